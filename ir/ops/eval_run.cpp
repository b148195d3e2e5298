// Runs vector code: one chunk of the lane loop at the current position of the others. See eval_code.h.
#include <algorithm>
#include <cstring>

#include "ir/ops/eval_code.h"

namespace ingot::eval {

int64_t Code::form_base(int form) const {
  int64_t v = forms_[static_cast<size_t>(form)].base;
  for (const auto& [loop, c] : sparse_[static_cast<size_t>(form)]) v += c * at_[static_cast<size_t>(loop)];
  return v;
}

int64_t Code::form_stride(int form) const {
  return forms_[static_cast<size_t>(form)].coefficients[static_cast<size_t>(lane_)];
}

bool Code::direct_root(int section, size_t i, void* where) {
  const auto& regs = root_regs_[static_cast<size_t>(section)];
  Reg& r = regs_[static_cast<size_t>(regs[i])];
  if (!r.direct || !is_native(r.type) || std::count(regs.begin(), regs.end(), regs[i]) != 1) return false;
  r.ptr = where ? where : r.own;
  return true;
}

Error out_of_range(int64_t index, int64_t extent, bool wraps) {
  if (!wraps) return invalid("index {} out of range [0, {})", index, extent);
  return invalid("index {} out of range [-{}, {})", index < 0 ? index - extent : index, extent, extent);
}

Result<void> Code::run(int section, int64_t n) {
  const auto [begin, end] = section_range_[static_cast<size_t>(section)];
  for (size_t pc = begin; pc < end;) {
    const Instr& i = instrs_[pc++];
    const int64_t count = i.uniform ? 1 : n;
    auto ptr = [&](int reg) { return reg < 0 ? nullptr : regs_[static_cast<size_t>(reg)].ptr; };
    switch (i.kind) {
      case Kind::Fn: i.fn(ptr(i.dst), ptr(i.a), ptr(i.b), ptr(i.c), count); break;
      case Kind::Splat: i.fn(ptr(i.dst), ptr(i.a), nullptr, nullptr, n); break;
      case Kind::Ramp: {
        int64_t* out = static_cast<int64_t*>(ptr(i.dst));
        const int64_t base = form_base(i.extra), step = form_stride(i.extra);
        for (int64_t l = 0; l < count; ++l) out[l] = base + l * step;
        break;
      }
      case Kind::Load: TRY(run_load(i, n)); break;
      case Kind::SkipIfNone:
      case Kind::SkipIfAll: {
        const uint8_t* mask = static_cast<const uint8_t*>(ptr(i.a));
        int64_t set = 0;
        for (int64_t l = 0; l < count; ++l) set += mask[l] != 0;
        if (set == (i.kind == Kind::SkipIfNone ? 0 : count)) pc = static_cast<size_t>(i.extra);
        break;
      }
      case Kind::Blend: {
        const DType t = regs_[static_cast<size_t>(i.dst)].type;
        if (i.b < 0) copy_lanes(ptr(i.dst), ptr(i.a), t, 0, count);
        else op_fn(ScalarOp::Select, t)(ptr(i.dst), ptr(i.b), ptr(i.dst), ptr(i.a), count);
        break;
      }
    }
  }
  return {};
}

namespace {

// The lanes l in [0, n) with 0 <= start + l*step < extent, as [lo, hi).
void valid_lanes(int64_t start, int64_t step, int64_t extent, int64_t& lo, int64_t& hi) {
  if (step == 0) {
    if (start < 0 || start >= extent) hi = lo;
    return;
  }
  if (step < 0) {
    // Mirror: start' = extent - 1 - start grows with the lane.
    start = extent - 1 - start;
    step = -step;
  }
  if (start < 0) lo = std::max(lo, (-start + step - 1) / step);
  if (start >= extent) hi = lo;
  else hi = std::min(hi, (extent - start + step - 1) / step);
  if (hi < lo) hi = lo;
}

}  // namespace

Result<void> Code::run_load(const Instr& instr, int64_t n) {
  const Access& a = accesses_[static_cast<size_t>(instr.extra)];
  Reg& dst = regs_[static_cast<size_t>(instr.dst)];
  const int64_t lanes = n;
  if (instr.uniform) n = 1;
  int64_t base = 0, stride = 0, lo = 0, hi = n;
  const int64_t* varying = nullptr;
  bool any_varying = false;
  if (a.flat_form >= 0) {
    base = form_base(a.flat_form);
    stride = instr.uniform ? 0 : form_stride(a.flat_form);
  } else if (a.flat_reg >= 0) {
    const Reg& r = regs_[static_cast<size_t>(a.flat_reg)];
    if (r.uniform) base = *static_cast<const int64_t*>(r.ptr);
    else varying = static_cast<const int64_t*>(r.ptr);
  } else {
    for (const DimAccess& d : a.dims) {
      int64_t start, step = 0;
      if (d.form >= 0) {
        start = form_base(d.form);
        step = instr.uniform ? 0 : form_stride(d.form);
      } else if (const Reg& r = regs_[static_cast<size_t>(d.reg)]; r.uniform || instr.uniform) {
        start = *static_cast<const int64_t*>(r.ptr);
      } else {
        any_varying = true;
        continue;
      }
      valid_lanes(start, step, d.extent, lo, hi);
      if (lo < hi) {
        base += start * d.stride;
        stride += step * d.stride;
      }
    }
  }
  if (varying) {
    dst.ptr = dst.own;
    load_indexed(dst.ptr, *a.data, varying, n);
    return {};
  }
  auto guarded = [&](int64_t lane) {
    if (a.guard < 0) return true;
    const Reg& g = regs_[static_cast<size_t>(a.guard)];
    const uint8_t* mask = static_cast<const uint8_t*>(g.ptr);
    if (instr.uniform && !g.uniform) return std::any_of(mask, mask + lanes, [](uint8_t m) { return m != 0; });
    return mask[g.uniform ? 0 : lane] != 0;
  };
  auto index_at = [&](const DimAccess& d, int64_t lane) {
    if (d.form >= 0) return form_base(d.form) + lane * (instr.uniform ? 0 : form_stride(d.form));
    const Reg& r = regs_[static_cast<size_t>(d.reg)];
    return static_cast<const int64_t*>(r.ptr)[r.uniform ? 0 : lane];
  };
  auto fail = [&](int64_t lane) -> Error {
    for (const DimAccess& d : a.dims)
      if (const int64_t i = index_at(d, lane); i < 0 || i >= d.extent) return out_of_range(i, d.extent, d.wraps);
    return out_of_range(-1, 0, false);
  };

  if (!any_varying) {
    if (lo == 0 && hi == n) {
      if (is_native(a.data->dtype) && (stride == 1 || n == 1)) {
        dst.ptr = const_cast<uint8_t*>(a.data->bytes) + base * register_bytes(dst.type);
        return {};
      }
      dst.ptr = dst.own;
      load_strided(dst.ptr, *a.data, base, stride, n);
      return {};
    }
    dst.ptr = dst.own;
    if (a.fill < 0) {
      for (int64_t l = 0; l < n; ++l)
        if ((l < lo || l >= hi) && guarded(l)) return fail(l);
      zero_lanes(dst.ptr, dst.type, 0, n);
    } else {
      const Reg& f = regs_[static_cast<size_t>(a.fill)];
      copy_lanes(dst.ptr, f.ptr, dst.type, 0, lo);
      copy_lanes(dst.ptr, f.ptr, dst.type, hi, n);
    }
    if (lo < hi)
      load_strided(static_cast<uint8_t*>(dst.ptr) + lo * register_bytes(dst.type), *a.data, base + lo * stride, stride,
                   hi - lo);
    return {};
  }

  dst.ptr = dst.own;
  int64_t* index = scratch_index_.data();
  uint8_t ok[kEvalChunk];
  for (int64_t l = 0; l < n; ++l) {
    index[l] = base + l * stride;
    ok[l] = l >= lo && l < hi;
  }
  for (const DimAccess& d : a.dims) {
    if (d.form >= 0 || regs_[static_cast<size_t>(d.reg)].uniform) continue;
    const int64_t* i = static_cast<const int64_t*>(regs_[static_cast<size_t>(d.reg)].ptr);
    for (int64_t l = 0; l < n; ++l) {
      const bool in = static_cast<uint64_t>(i[l]) < static_cast<uint64_t>(d.extent);
      ok[l] = static_cast<uint8_t>(ok[l] & static_cast<uint8_t>(in));
      index[l] += in ? i[l] * d.stride : 0;
    }
  }
  const bool all = std::all_of(ok, ok + n, [](uint8_t v) { return v != 0; });
  if (all) {
    load_indexed(dst.ptr, *a.data, index, n);
    return {};
  }
  if (a.fill < 0)
    for (int64_t l = 0; l < n; ++l)
      if (!ok[l] && guarded(l)) return fail(l);
  const Reg* f = a.fill >= 0 ? &regs_[static_cast<size_t>(a.fill)] : nullptr;
  if (!f) zero_lanes(dst.ptr, dst.type, 0, n);
  const int64_t size = register_bytes(dst.type);
  for (int64_t l = 0; l < n; ++l) {
    if (ok[l]) load_indexed(static_cast<uint8_t*>(dst.ptr) + l * size, *a.data, index + l, 1);
    else if (f) copy_lanes(dst.ptr, f->ptr, dst.type, l, l + 1);
  }
  return {};
}

}  // namespace ingot::eval
