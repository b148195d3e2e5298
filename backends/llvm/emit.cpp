#include "backends/llvm/emit.h"

#include <llvm/IR/Verifier.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Object/SymbolSize.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "backends/llvm/codegen.h"
#include "backends/llvm/printer.h"
#include "ir/loops/key.h"

namespace ingot {

namespace {

constexpr size_t kKernelsPerModule = 8;

using Clock = std::chrono::steady_clock;
double seconds(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

// Names are made unique and safe for an assembler; which kernels share code is decided by their text.
struct Plan {
  std::vector<std::string> symbols;  // per kernel, of the function that serves it
  std::vector<int> same_as;
  std::vector<int> unique;           // kernels to print
};

Plan plan_kernels(const l::Program& p) {
  Plan plan;
  std::unordered_map<std::string, int> seen, names;
  std::set<std::string> taken{"ingot_entry", "ingot_launch", "memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"};
  for (size_t i = 0; i < p.kernels.size(); ++i) {
    const l::Kernel& k = p.kernels[i];
    auto [it, fresh] = seen.emplace(l::key(k), static_cast<int>(i));
    if (!fresh) {
      plan.symbols.push_back(plan.symbols[it->second]);
      plan.same_as.push_back(it->second);
      continue;
    }
    std::string base;
    for (char c : k.name) base += (isalnum(static_cast<unsigned char>(c)) || c == '_') ? c : '_';
    if (base.empty() || isdigit(static_cast<unsigned char>(base[0])) || base.rfind("ingot_", 0) == 0)
      base = "k_" + base;
    std::string name = base;
    for (int& n = names[base]; !taken.insert(name).second;) name = base + "_" + std::to_string(++n + 1);
    plan.symbols.push_back(name);
    plan.same_as.push_back(-1);
    plan.unique.push_back(static_cast<int>(i));
  }
  return plan;
}

void collect_calls(const std::vector<l::Stmt>& body, std::set<std::string>& names) {
  for (const l::Stmt& s : body) {
    if (s.kind == l::StmtKind::Call) names.insert(s.name);
    collect_calls(s.body, names);
    collect_calls(s.otherwise, names);
  }
}

Result<void> check_module(llvm::Module& m) {
  std::string text;
  llvm::raw_string_ostream out(text);
  if (llvm::verifyModule(m, &out)) return invalid("the printed module is malformed: {}", text);
  return {};
}

codegen::Effort effort(const CompileOptions& o) {
  return o.plain_code ? codegen::Effort::Plain : codegen::Effort::Full;
}

// A host program of more instructions than this, as printed, is not optimised: the time of LLVM's passes, and of its choice of
// instructions, is not linear in the size of a function.
constexpr unsigned kMaxOptimisedHost = 60'000;

codegen::Effort host_effort(const llvm::Module& m, const CompileOptions& o) {
  return m.getInstructionCount() > kMaxOptimisedHost ? codegen::Effort::None : effort(o);
}

// What `emit` makes of a printed module after its passes. `machine` is of effort(o).
Result<std::string> generate(llvm::Module& m, llvm::TargetMachine& machine, const CompileOptions& o,
                             codegen::Effort with, Result<std::string> (*emit)(llvm::Module&, llvm::TargetMachine&)) {
  if (with == codegen::Effort::None) {
    auto fast = TRY(codegen::make_machine(*o.target, with));
    return emit(m, *fast);
  }
  codegen::optimise(m, machine, with);
  return emit(m, machine);
}

Result<std::unique_ptr<llvm::Module>> kernel_module(llvm::LLVMContext& context, llvm::TargetMachine& machine,
                                                    const l::Program& p, const Plan& plan, std::span<const int> kernels,
                                                    const CompileOptions& o) {
  auto m = std::make_unique<llvm::Module>("kernels", context);
  codegen::prepare(*m, machine);
  std::optional<Error> error;
  for (int k : kernels) print::print_kernel(*m, p.kernels[k], plan.symbols[k], *o.target, o.debug_names, error);
  if (error) return *error;
  TRY(check_module(*m));
  return m;
}

Result<std::unique_ptr<llvm::Module>> host_module(llvm::LLVMContext& context, llvm::TargetMachine& machine,
                                                  const l::Program& p, const Plan& plan, const CompileOptions& o) {
  auto m = std::make_unique<llvm::Module>("host", context);
  codegen::prepare(*m, machine);
  std::optional<Error> error;
  print::print_host(*m, p, plan.symbols, *o.target, o.debug_names, error);
  if (error) return *error;
  for (llvm::Function& f : *m)
    if (f.isDeclaration() && !f.isIntrinsic()) f.setVisibility(llvm::GlobalValue::HiddenVisibility);
  TRY(check_module(*m));
  return m;
}

// Code bytes of each kernel, body included, from the object's symbols.
void measure(const std::string& object, std::map<std::string, int64_t>& sizes) {
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "object"));
  if (!file) return llvm::consumeError(file.takeError());
  for (auto& [symbol, size] : llvm::object::computeSymbolSizes(**file)) {
    auto name = symbol.getName();
    auto type = symbol.getType();
    if (!name || !type) {
      if (!name) llvm::consumeError(name.takeError());
      if (!type) llvm::consumeError(type.takeError());
      continue;
    }
    if (*type != llvm::object::SymbolRef::ST_Function) continue;
    llvm::StringRef base = *name;
    base.consume_back(".body");
    sizes[base.str()] += static_cast<int64_t>(size);
  }
}

}  // namespace

Result<Image> compile(const l::Program& p, const CompileOptions& o) {
  Plan plan = plan_kernels(p);
  std::set<std::string> algorithms;
  collect_calls(p.host, algorithms);
  if (o.target->kernels != Target::Kernels::Native) plan.unique.clear();
  size_t chunks = (plan.unique.size() + kKernelsPerModule - 1) / kKernelsPerModule;
  size_t tasks = 1 + chunks;  // the host first: it is the longest
  std::vector<codegen::Object> objects(tasks);
  std::vector<std::optional<Error>> errors(tasks + 1);
  std::atomic<size_t> next{0};
  std::mutex stats;
  Image image;

  auto run_task = [&](size_t t, llvm::TargetMachine& machine) -> Result<void> {
    auto begin = Clock::now();
    llvm::LLVMContext context;
    std::unique_ptr<llvm::Module> m;
    if (t == 0) {
      m = TRY(host_module(context, machine, p, plan, o));
    } else {
      size_t first = (t - 1) * kKernelsPerModule;
      size_t count = std::min(kKernelsPerModule, plan.unique.size() - first);
      m = TRY(kernel_module(context, machine, p, plan, std::span(plan.unique).subspan(first, count), o));
    }
    double printed = seconds(begin);
    begin = Clock::now();
    objects[t].bytes = TRY(generate(*m, machine, o, t == 0 ? host_effort(*m, o) : effort(o), codegen::emit_object));
    std::lock_guard<std::mutex> lock(stats);
    image.print_seconds += printed;
    image.codegen_seconds += seconds(begin);
    return {};
  };
  auto worker = [&](size_t slot) {
    auto machine = codegen::make_machine(*o.target, effort(o));
    if (!machine) {
      std::lock_guard<std::mutex> lock(stats);
      errors[tasks] = machine.error();
      return;
    }
    (void)slot;
    for (size_t t; (t = next++) < tasks;)
      if (auto r = run_task(t, **machine); !r) errors[t] = r.error();
  };
  size_t threads = std::min<size_t>(static_cast<size_t>(std::max(1, o.jobs)), tasks);
  std::vector<std::thread> pool;
  for (size_t i = 1; i < threads; ++i) pool.emplace_back(worker, i);
  worker(0);
  for (std::thread& t : pool) t.join();
  for (auto& e : errors)
    if (e) return *e;

  auto machine = TRY(codegen::make_machine(*o.target, effort(o)));
  if (!algorithms.empty()) {
    llvm::LLVMContext context;
    std::vector<std::string> names(algorithms.begin(), algorithms.end());
    auto m = TRY(codegen::load_algorithms(context, names, *o.target, *machine));
    objects.push_back({TRY(codegen::emit_object(*m, *machine)), false});
  }
  {
    llvm::LLVMContext context;
    auto m = TRY(codegen::load_support(context, *o.target, *machine));
    objects.push_back({TRY(codegen::emit_object(*m, *machine)), true});
  }
  std::map<std::string, int64_t> sizes;
  for (const codegen::Object& object : objects)
    if (!object.lazy) measure(object.bytes, sizes);
  for (auto& [name, size] : sizes) image.code_bytes += size;
  for (size_t i = 0; i < p.kernels.size(); ++i)
    image.kernels.push_back({p.kernels[i].name, plan.same_as[i] < 0 ? sizes[plan.symbols[i]] : 0, plan.same_as[i], 0});
  auto begin = Clock::now();
  image.elf = TRY(codegen::link_image(objects, *o.target, o.debug_names));
  image.link_seconds = seconds(begin);
  return image;
}

namespace {

using TextOf = Result<std::string> (*)(llvm::Module&, llvm::TargetMachine&);

// Of a kernel, or of the host program: -1.
Result<std::string> text_of(const l::Program& p, const Plan& plan, llvm::TargetMachine& machine, int kernel,
                            const CompileOptions& o, bool optimised, TextOf text) {
  llvm::LLVMContext context;
  int one[] = {kernel};
  auto m = kernel < 0 ? TRY(host_module(context, machine, p, plan, o))
                      : TRY(kernel_module(context, machine, p, plan, one, o));
  if (!optimised) return text(*m, machine);
  return generate(*m, machine, o, kernel < 0 ? host_effort(*m, o) : effort(o), text);
}

Result<std::string> text_of(const l::Program& p, int kernel, const CompileOptions& o, bool optimised, TextOf text) {
  if (kernel >= static_cast<int>(p.kernels.size()))
    return invalid("got kernel {}, expected one below {}", kernel, p.kernels.size());
  auto machine = TRY(codegen::make_machine(*o.target, effort(o)));
  return text_of(p, plan_kernels(p), *machine, kernel, o, optimised, text);
}

Result<std::string> as_llvm(llvm::Module& m, llvm::TargetMachine&) {
  std::string text;
  llvm::raw_string_ostream out(text);
  m.print(out, nullptr);
  return text;
}

}  // namespace

Result<std::string> llvm_text(const l::Program& p, int kernel, const CompileOptions& o, bool optimised) {
  return text_of(p, kernel, o, optimised, as_llvm);
}

Result<std::string> asm_text(const l::Program& p, int kernel, const CompileOptions& o) {
  return text_of(p, kernel, o, true, codegen::emit_assembly);
}

Result<std::vector<std::string>> all_texts(const l::Program& p, const CompileOptions& o, bool assembly) {
  const Plan plan = plan_kernels(p);
  const TextOf text = assembly ? codegen::emit_assembly : as_llvm;
  auto machine = TRY(codegen::make_machine(*o.target, effort(o)));
  std::vector<std::string> texts;
  for (int k = 0; k < static_cast<int>(p.kernels.size()); ++k)
    texts.push_back(TRY(text_of(p, plan, *machine, k, o, true, text)));
  texts.push_back(TRY(text_of(p, plan, *machine, -1, o, true, text)));
  return texts;
}

int count_vector_spills(const std::string& assembly) {
  int count = 0;
  for (size_t at = 0; at < assembly.size();) {
    size_t end = std::min(assembly.find('\n', at), assembly.size());
    std::string_view line(assembly.data() + at, end - at);
    at = end + 1;
    bool stack = line.find("(%rsp)") != line.npos || line.find("[sp") != line.npos;
    bool vector = line.find("%zmm") != line.npos || line.find("%ymm") != line.npos || line.find("%xmm") != line.npos ||
                  line.find("\tq") != line.npos;
    if (stack && vector) ++count;
  }
  return count;
}

}  // namespace ingot
