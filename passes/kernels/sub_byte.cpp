// x: i4[...] -> x: i8[...], one element to a byte, everywhere inside the program.
//
// Formats of fewer than eight bits (i2, u2, i4, u4, f4e2m1) are packed at the interface and in constants only. Inputs are
// unpacked by a stage of their own, outputs packed by one; in between, every schedule sees whole bytes. f4e2m1 is kept
// as its code; a cast from or to it becomes arithmetic. What it costs is memory for such intermediates.
#include "passes/kernels/passes.h"

namespace ingot {

namespace {

bool is_sub_byte(DType t) {
  return t == DType::I4 || t == DType::U4 || t == DType::I2 || t == DType::U2 || t == DType::F4E2M1;
}
DType whole(DType t) { return !is_sub_byte(t) ? t : t == DType::I4 || t == DType::I2 ? DType::I8 : DType::U8; }

Expr shift_left(Expr e, int64_t n) {
  auto t = e.type();
  return ex::binary(ScalarOp::Shl, std::move(e), ex::integer(t, n));
}
Expr shift_right(Expr e, int64_t n) {
  auto t = e.type();
  return ex::binary(ScalarOp::Shr, std::move(e), ex::integer(t, n));
}
Expr mask(Expr e, int64_t m) {
  auto t = e.type();
  return ex::binary(ScalarOp::And, std::move(e), ex::integer(t, m));
}

// The low bits of a byte as a value of the format, in a byte.
Expr wrap(Expr byte, DType format) {
  int rest = 8 - bits(format);
  if (whole(format) == DType::I8) return shift_right(shift_left(ex::cast(byte, DType::I8), rest), rest);
  return mask(ex::cast(byte, DType::U8), (1 << bits(format)) - 1);
}

// f4e2m1: sign, two bits of exponent, one of mantissa: 0 0.5 1 1.5 2 3 4 6.
Expr decode_f4(const Expr& code) {
  Expr e = mask(shift_right(code, 1), 3);
  Expr m = ex::cast(mask(code, 1), DType::F32) * 0.5;
  Expr scale =
      ex::select(eq(e, ex::integer(DType::U8, 3)), ex::number(DType::F32, 4),
                 ex::select(eq(e, ex::integer(DType::U8, 2)), ex::number(DType::F32, 2), ex::number(DType::F32, 1)));
  Expr magnitude = ex::select(eq(e, ex::integer(DType::U8, 0)), m, (m + 1.0) * scale);
  return ex::select(eq(mask(code, 8), ex::integer(DType::U8, 0)), magnitude, -magnitude);
}

// To the nearest, ties to the even code, saturated at 6; NaN gives -0.
Expr encode_f4(const Expr& value) {
  Expr x = ex::cast(value, DType::F32), a = abs(x);
  Expr code = ex::integer(DType::U8, 0);
  struct Step {
    double at;
    bool tie_up;
  };
  for (Step s : {Step{0.25, false}, {0.75, true}, {1.25, false}, {1.75, true}, {2.5, false}, {3.5, true}, {5, false}}) {
    Expr limit = ex::number(DType::F32, s.at);
    code = code + ex::cast(s.tie_up ? a >= limit : a > limit, DType::U8);
  }
  Expr negative = ex::bitcast(x, DType::I32) < ex::integer(DType::I32, 0) || ex::unary(ScalarOp::IsNaN, x);
  return code + ex::select(negative, ex::integer(DType::U8, 8), ex::integer(DType::U8, 0));
}

Expr cast_to(const Expr& value, DType format) {
  if (format == DType::F4E2M1) return encode_f4(value);
  if (!is_float(value.type())) return wrap(ex::cast(value, whole(format)), format);
  bool sign = whole(format) == DType::I8;
  double low = sign ? -(1 << (bits(format) - 1)) : 0, high = sign ? -low - 1 : (1 << bits(format)) - 1;
  return ex::cast(min(max(ex::cast(value, DType::I32), low), high), whole(format));
}

class Expander {
 public:
  explicit Expander(k::Program& p) : p_(p) {}

  void run() {
    size_t count = p_.values.size();
    was_.resize(count, DType::Invalid);
    bool any = false;
    for (k::Value& v : p_.values) {
      if (v.type.is_tensor() && is_sub_byte(v.tensor().dtype)) {
        was_[static_cast<size_t>(v.id)] = v.tensor().dtype;
        any = true;
      }
    }
    if (!any) return;
    for (size_t k = 0; k < count; ++k) {
      k::Value& v = p_.values[k];
      if (was_[k] == DType::Invalid) continue;
      v.type.tensor.dtype = whole(was_[k]);
      if (v.constant) v.constant = unpacked(*v.constant);
    }
    block(p_.body);
    std::vector<k::Stage> unpack;
    for (int& id : p_.inputs) {
      if (was_[static_cast<size_t>(id)] != DType::Invalid) id = unpack_input(id, unpack);
    }
    p_.body.stages.insert(p_.body.stages.begin(), unpack.begin(), unpack.end());
    for (int& id : p_.body.outputs) {
      if (was_[static_cast<size_t>(id)] != DType::Invalid) id = pack_output(id);
    }
  }

 private:
  static TensorRef unpacked(const TensorData& data) {
    auto bytes = TensorData::make(whole(data.dtype), data.dims);
    int width = bits(data.dtype), per = 8 / width;
    bool sign = whole(data.dtype) == DType::I8;
    for (int64_t i = 0; i < data.elements(); ++i) {
      int code = (data.bytes[i / per] >> (i % per * width)) & ((1 << width) - 1);
      if (sign && code >= 1 << (width - 1)) code -= 1 << width;
      bytes->mutable_bytes()[i] = static_cast<uint8_t>(code);
    }
    return bytes;
  }

  Expr expr(const Expr& e) {
    return rewrite(e, [&](const ExprNode& n) -> Expr {
      if (n.op == ScalarOp::Cast) {
        // The argument is rewritten already: what it was stands in the original format of its read.
        DType from = format_of(n.args[0]);
        Expr value = from == DType::F4E2M1 ? decode_f4(n.args[0]) : n.args[0];
        if (is_sub_byte(n.type)) return remember(cast_to(value, n.type), n.type);
        if (from == DType::Invalid) return Expr();
        return ex::cast(value, n.type, n.saturate);
      }
      DType format = DType::Invalid;
      if (n.op == ScalarOp::Read) {
        format = was_[static_cast<size_t>(n.id)];
      } else if (is_sub_byte(n.type)) {
        format = n.type;
      }
      if (format == DType::Invalid) return Expr();
      ExprNode copy = n;
      copy.type = whole(format);
      if (n.op == ScalarOp::Const && format == DType::F4E2M1) {
        Expr code = encode_f4(ex::number(DType::F32, n.number));
        return remember(code, format);
      }
      return remember(ex::make(std::move(copy)), format);
    });
  }

  Expr remember(Expr e, DType format) {
    formats_.push_back({e, format});
    return e;
  }
  DType format_of(const Expr& e) const {
    for (size_t k = formats_.size(); k-- > 0;) {
      if (formats_[k].first.get() == e.get()) return formats_[k].second;
    }
    return DType::Invalid;
  }

  void block(k::Block& b) {
    for (k::Stage& s : b.stages) {
      for (auto* list : {&s.body, &s.targets, &s.init}) {
        for (Expr& e : *list) {
          e = expr(e);
          formats_.clear();
        }
      }
      if (s.condition) s.condition = expr(s.condition);
      formats_.clear();
      for (k::Block& inner : s.blocks) block(inner);
    }
  }

  // A stage over packed bytes and whole elements: input -> unpack -> value.
  int unpack_input(int id, std::vector<k::Stage>& stages) {
    DType format = was_[static_cast<size_t>(id)];
    TensorType type = p_.values[static_cast<size_t>(id)].tensor();
    int raw = raw_value(id, format);
    int per = 8 / bits(format);
    k::Stage s;
    s.results = {id};
    Dim flat = 0;
    for (const Dim& d : type.dims) {
      s.iters.push_back({Dim::iterator("i", d), d});
      flat = flat * d + Dim(s.iters.back().symbol);
    }
    Expr byte = ex::read(raw, DType::U8, {ex::index(floordiv(flat, per))});
    Expr shift = ex::cast(ex::index(mod(flat, per) * bits(format)), DType::U8);
    s.body = {wrap(ex::binary(ScalarOp::Shr, byte, shift), format)};
    stages.push_back(std::move(s));
    return raw;
  }

  int pack_output(int id) {
    DType format = was_[static_cast<size_t>(id)];
    TensorType type = p_.values[static_cast<size_t>(id)].tensor();
    int raw = raw_value(id, format);
    int per = 8 / bits(format);
    k::Stage s;
    s.results = {raw};
    Dim bytes = p_.values[static_cast<size_t>(raw)].tensor().dims[0];
    s.iters.push_back({Dim::iterator("i", bytes), bytes});
    Expr packed;
    for (int part = 0; part < per; ++part) {
      Dim flat = Dim(s.iters[0].symbol) * per + part;
      std::vector<Expr> index(type.dims.size());
      Dim rest = flat;
      for (size_t k = type.dims.size(); k-- > 0;) {
        index[k] = ex::index(k == 0 ? rest : mod(rest, type.dims[k]));
        rest = floordiv(rest, type.dims[k]);
      }
      // Past the last element the first index is outside: the bits are 0.
      Expr element =
          index.empty() ? ex::read(id, type.dtype, {}) : ex::read_or(id, type.dtype, index, ex::integer(type.dtype, 0));
      Expr code = shift_left(mask(ex::cast(element, DType::U8), (1 << bits(format)) - 1), part * bits(format));
      if (index.empty() && part > 0) continue;
      packed = packed ? ex::binary(ScalarOp::Or, packed, code) : code;
    }
    s.body = {packed};
    p_.body.stages.push_back(std::move(s));
    return raw;
  }

  int raw_value(int id, DType format) {
    k::Value raw;
    raw.name = p_.values[static_cast<size_t>(id)].name;
    TensorType type = p_.values[static_cast<size_t>(id)].tensor();
    type.dtype = format;
    raw.type = Type::of({DType::U8, {ceildiv(product(type.dims) * bits(format), 8)}});
    raw.interface = std::move(type);
    return p_.add(std::move(raw));
  }

  k::Program& p_;
  std::vector<DType> was_;  // by value: the packed format; Invalid: none
  std::vector<std::pair<Expr, DType>> formats_;  // of the expressions made in the current body
};

}  // namespace

void expand_sub_byte(k::Program& p) { Expander(p).run(); }

}  // namespace ingot
