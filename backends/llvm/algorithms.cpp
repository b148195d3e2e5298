// The bitcode that was built with the compiler: freestanding algorithms and memory functions, per family of targets.
#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Transforms/IPO/Internalize.h>

#include <set>

#include "backends/llvm/codegen.h"
#include "backends/llvm/printer.h"

// BLOB(name, file): the file's bytes as ingot_bitcode_NAME .. ingot_bitcode_NAME_end.
#define BLOB(name, file)                                                                           \
  __asm__(".pushsection .rodata\n.balign 16\n.globl ingot_bitcode_" #name "\ningot_bitcode_" #name \
          ":\n.incbin \"" file "\"\n.globl ingot_bitcode_" #name "_end\ningot_bitcode_" #name      \
          "_end:\n.byte 0\n.popsection\n");                                                        \
  extern "C" const char ingot_bitcode_##name[], ingot_bitcode_##name##_end[];

BLOB(algorithms_v2, INGOT_BITCODE_DIR "/algorithms-x86-64-v2.bc")
BLOB(algorithms_v3, INGOT_BITCODE_DIR "/algorithms-x86-64-v3.bc")
BLOB(algorithms_aarch64, INGOT_BITCODE_DIR "/algorithms-aarch64.bc")
BLOB(support_x86, INGOT_BITCODE_DIR "/support-x86-64-v2.bc")
BLOB(support_aarch64, INGOT_BITCODE_DIR "/support-aarch64.bc")

namespace ingot::codegen {

#define VIEW(name) \
  std::string_view(ingot_bitcode_##name, static_cast<size_t>(ingot_bitcode_##name##_end - ingot_bitcode_##name))

Bitcode bitcode_for(const Target& target) {
  if (target.arch == Arch::AArch64) return {VIEW(algorithms_aarch64), VIEW(support_aarch64)};
  return {target.has("avx2") ? VIEW(algorithms_v3) : VIEW(algorithms_v2), VIEW(support_x86)};
}

namespace {

Result<std::unique_ptr<llvm::Module>> parse(llvm::LLVMContext& context, std::string_view bytes,
                                            llvm::TargetMachine& machine) {
  auto buffer = llvm::MemoryBuffer::getMemBuffer(llvm::StringRef(bytes.data(), bytes.size()), "bitcode", false);
  auto module = llvm::parseBitcodeFile(buffer->getMemBufferRef(), context);
  if (!module) return io_error("the compiler's own bitcode does not read: {}", llvm::toString(module.takeError()));
  prepare(**module, machine);
  return std::move(*module);
}

void retarget(llvm::Module& m, const Target& target) {
  for (llvm::Function& f : m) {
    for (const char* a : {"target-cpu", "target-features", "tune-cpu", "min-legal-vector-width", "probe-stack"})
      f.removeFnAttr(a);
    if (!f.isDeclaration()) print::set_attributes(f, target, false);
  }
}

}  // namespace

Result<std::unique_ptr<llvm::Module>> load_algorithms(llvm::LLVMContext& context, std::span<const std::string> names,
                                                      const Target& target, llvm::TargetMachine& machine) {
  std::unique_ptr<llvm::Module> m = TRY(parse(context, bitcode_for(target).algorithms, machine));
  std::set<std::string> keep;
  for (const std::string& n : names) {
    std::string symbol = "ingot_alg_" + n;
    llvm::Function* f = m->getFunction(symbol);
    if (!f || f->isDeclaration()) return invalid("no algorithm named '{}'", n);
    f->setVisibility(llvm::GlobalValue::HiddenVisibility);
    keep.insert(symbol);
  }
  llvm::internalizeModule(*m, [&](const llvm::GlobalValue& g) { return keep.count(g.getName().str()) > 0; });
  drop_unused(*m, machine);
  retarget(*m, target);
  return m;
}

Result<std::unique_ptr<llvm::Module>> load_support(llvm::LLVMContext& context, const Target& target,
                                                   llvm::TargetMachine& machine) {
  std::unique_ptr<llvm::Module> m = TRY(parse(context, bitcode_for(target).support, machine));
  retarget(*m, target);
  return m;
}

}  // namespace ingot::codegen
