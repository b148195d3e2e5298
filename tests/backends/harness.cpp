#include "tests/backends/harness.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

#include "compiler/targets.h"
#include "passes/loops/legalize.h"

namespace ingot::test {

using l::Stmt;
using l::StmtKind;

Stmt for_(const Symbol& s, const Dim& begin, const Dim& end, std::vector<Stmt> body, int64_t step, bool unroll) {
  Stmt r{StmtKind::For};
  r.symbol = s, r.begin = begin, r.end = end, r.step = step, r.unroll = unroll, r.body = std::move(body);
  return r;
}
Stmt declare(int64_t id, DType t, int lanes, Expr init) {
  Stmt r{StmtKind::Declare};
  r.id = id, r.dtype = t, r.lanes = lanes, r.expr = std::move(init);
  return r;
}
Stmt set(int64_t id, Expr e) {
  Stmt r{StmtKind::Set};
  r.id = id, r.expr = std::move(e);
  return r;
}
Stmt store(int64_t buffer, const Dim& offset, Expr e, Expr mask, Expr index, int64_t stride) {
  Stmt r{StmtKind::Store};
  r.id = buffer, r.offset = offset, r.expr = std::move(e), r.mask = std::move(mask), r.index = std::move(index),
  r.stride = stride;
  return r;
}
Stmt launch(int64_t kernel, std::vector<int> buffers, std::vector<Dim> scalars, const Dim& grid, int64_t grain) {
  Stmt r{StmtKind::Launch};
  r.id = kernel, r.buffers = std::move(buffers), r.scalars = std::move(scalars), r.end = grid, r.grain = grain;
  return r;
}
Stmt place(int64_t buffer) {
  Stmt r{StmtKind::Place};
  r.id = buffer;
  return r;
}

Expr node(ScalarOp op, DType t, int lanes, std::vector<Expr> args) {
  ExprNode n{op, t, lanes, std::move(args), Dim(0)};
  return Expr(std::make_shared<const ExprNode>(std::move(n)));
}
Expr load(int64_t buffer, DType t, int lanes, const Dim& offset, std::vector<Expr> extra, int64_t stride) {
  ExprNode n{ScalarOp::Load, t, lanes, std::move(extra), offset, buffer, stride};
  return Expr(std::make_shared<const ExprNode>(std::move(n)));
}
Expr local(int64_t id, DType t, int lanes) {
  ExprNode n{ScalarOp::Local, t, lanes, {}, Dim(0), id};
  return Expr(std::make_shared<const ExprNode>(std::move(n)));
}
Expr splat(Expr e, int lanes) {
  DType t = e.type();
  return lanes == 1 ? e : node(ScalarOp::Splat, t, lanes, {std::move(e)});
}
Expr ramp(const Dim& d, int lanes, int64_t stride) {
  ExprNode n{ScalarOp::Ramp, DType::I64, lanes, {}, d, -1, stride};
  return Expr(std::make_shared<const ExprNode>(std::move(n)));
}

Loaded::Loaded(const Image& image) {
  int fd = memfd_create("image", 0);
  if (fd < 0 || write(fd, image.elf.data(), image.elf.size()) != static_cast<ssize_t>(image.elf.size())) return;
  handle_ = dlopen(("/proc/self/fd/" + std::to_string(fd)).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle_) ADD_FAILURE() << dlerror();
  close(fd);
  if (handle_) entry_ = reinterpret_cast<ingot_entry_fn>(dlsym(handle_, "ingot_entry"));
}

Loaded::~Loaded() {
  if (handle_) dlclose(handle_);
}

int32_t Loaded::run(const std::vector<Input>& inputs, const std::vector<uint8_t>& weights) {
  std::vector<ingot_tensor_view> views;
  for (const Input& i : inputs)
    views.push_back({const_cast<void*>(i.data), i.shape.data(), static_cast<int32_t>(i.shape.size()), i.dtype});
  aligned_weights_.resize(weights.size() + 64);
  auto align = [](std::vector<uint8_t>& v) {
    return reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(v.data()) + 63) & ~uintptr_t{63});
  };
  if (!weights.empty()) std::memcpy(align(aligned_weights_), weights.data(), weights.size());
  reports.clear();
  ingot_context c{};
  c.abi_version = INGOT_ABI_VERSION;
  c.size_bytes = sizeof c;
  c.runtime = this;
  c.inputs = views.data();
  c.weights = align(aligned_weights_);
  c.cancel = &cancel;
  c.parallel_for = [](const ingot_context* x, ingot_kernel_fn f, void* const* b, const int64_t* s, int64_t count,
                      int64_t grain) {
    auto* self = static_cast<Loaded*>(x->runtime);
    ++self->parallel_calls;
    int64_t step = std::max<int64_t>(grain, (count + 2) / 3);
    for (int64_t i = 0; i < count; i += step)
      if (int32_t r = f(x, b, s, i, std::min(count, i + step)); r != 0) return r;
    return 0;
  };
  c.parallel_group = [](const ingot_context* x, const ingot_launch* l, int32_t count) {
    for (int32_t k = count; k-- > 0;)  // in any order
      if (int32_t r = l[k].count > 0 ? l[k].kernel(x, l[k].buffers, l[k].scalars, 0, l[k].count) : 0; r != 0) return r;
    return 0;
  };
  c.arena = [](const ingot_context* x, int64_t size) -> void* {
    auto* self = static_cast<Loaded*>(x->runtime);
    self->arena_.resize(static_cast<size_t>(size) + 64);
    return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(self->arena_.data()) + 63) & ~uintptr_t{63});
  };
  c.allocate = [](const ingot_context* x, int64_t size) -> void* {
    ++static_cast<Loaded*>(x->runtime)->allocations;
    return aligned_alloc(64, static_cast<size_t>((size + 127) / 64 * 64));
  };
  c.release = [](const ingot_context* x, void* p) {
    --static_cast<Loaded*>(x->runtime)->allocations;
    free(p);
  };
  c.output = [](const ingot_context* x, int32_t index, int32_t dtype, int32_t rank, const int64_t* shape) -> void* {
    auto* self = static_cast<Loaded*>(x->runtime);
    (void)dtype;
    if (self->outputs.size() <= static_cast<size_t>(index)) self->outputs.resize(static_cast<size_t>(index) + 1);
    Output& o = self->outputs[static_cast<size_t>(index)];
    o.shape.assign(shape, shape + rank);
    int64_t n = 1;
    for (int64_t d : o.shape) n *= d;
    o.bytes.assign(static_cast<size_t>(n) * 16 + 64, 0xAA);
    return o.bytes.data();
  };
  c.output_object = [](const ingot_context* x, int32_t index, const ingot_object* object) {
    auto* self = static_cast<Loaded*>(x->runtime);
    if (self->objects.size() <= static_cast<size_t>(index)) self->objects.resize(static_cast<size_t>(index) + 1);
    self->objects[static_cast<size_t>(index)] = object;
  };
  c.report = [](const ingot_context* x, int32_t node, int32_t code, int32_t count, const int64_t* args) {
    static_cast<Loaded*>(x->runtime)->reports.push_back({node, code, {args, args + count}});
    return code;
  };
  if (profile)
    c.profile = [](const ingot_context* x, int32_t, int64_t, int64_t start, int64_t end) {
      if (end >= start) ++static_cast<Loaded*>(x->runtime)->profiled;
    };
  c.now_ns = [](const ingot_context*) -> int64_t {
    return std::chrono::steady_clock::now().time_since_epoch().count();
  };
  return entry_(&c);
}

Image build(const l::Program& p, const std::string& target, bool legalise) {
  CompileOptions o;
  o.target = find_target(target);
  o.jobs = 2;
  l::Program program = p;
  auto checked = l::verify(program);
  // Every program of these tests makes the round trip through text.
  if (std::string text = l::str(p); text.size() < 200000) {
    auto again = l::parse(text);
    EXPECT_TRUE(again) << "round trip: " << again.error().message;
    if (again) {
      EXPECT_EQ(l::str(*again), text);
    }
  }
  EXPECT_TRUE(checked) << (checked ? "" : checked.error().message);
  if (legalise) {
    auto done = l::legalize(program, legalize_options_for(*o.target));
    EXPECT_TRUE(done) << (done ? "" : done.error().message);
  }
  checked = l::verify(program);
  EXPECT_TRUE(checked) << "after legalisation: " << (checked ? "" : checked.error().message);
  auto image = compile(program, o);
  EXPECT_TRUE(image) << (image ? "" : image.error().message);
  return image ? std::move(*image) : Image{};
}

l::Program single_kernel(l::Kernel k, std::vector<l::Port> inputs, l::Port output, const Dim& grid) {
  l::Program p;
  p.name = k.name;
  std::vector<int> ids;
  for (size_t i = 0; i < inputs.size(); ++i) {
    l::HostBuffer b;
    b.kind = l::HostBuffer::Kind::Input, b.name = inputs[i].name, b.dtype = inputs[i].dtype,
    b.index = static_cast<int>(i);
    b.dims = inputs[i].dims;
    ids.push_back(static_cast<int>(p.buffers.size()));
    p.buffers.push_back(b);
  }
  l::HostBuffer out;
  out.kind = l::HostBuffer::Kind::Output, out.name = output.name, out.dtype = output.dtype, out.index = 0,
  out.dims = output.dims;
  ids.push_back(static_cast<int>(p.buffers.size()));
  p.buffers.push_back(out);
  p.inputs = std::move(inputs);
  p.outputs = {std::move(output)};
  std::vector<Dim> scalars(k.scalars.begin(), k.scalars.end());
  p.host.push_back(place(ids.back()));
  p.host.push_back(launch(0, ids, scalars, grid));
  p.kernels.push_back(std::move(k));
  return p;
}

}  // namespace ingot::test
