#include "backends/llvm/codegen.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/SmallVectorMemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Transforms/IPO/GlobalDCE.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>

#include <mutex>

namespace ingot::codegen {

namespace {

void initialise() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
  });
}

Result<std::string> emit(llvm::Module& m, llvm::TargetMachine& machine, llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream out(bytes);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, out, nullptr, type, true))
    return unsupported("the target '{}' cannot emit this kind of file", machine.getTargetTriple().str());
  passes.run(m);
  return std::string(bytes.begin(), bytes.end());
}

// The analyses of LLVM's pass managers, registered with each other.
struct Analyses {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  explicit Analyses(llvm::TargetMachine& machine) {
    llvm::PassBuilder builder(&machine);
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(graphs);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, graphs, modules);
  }
};

}  // namespace

Result<std::unique_ptr<llvm::TargetMachine>> make_machine(const Target& target, Effort effort) {
  initialise();
  std::string message;
  llvm::Triple triple{llvm::StringRef(target.triple())};
  const llvm::Target* t = llvm::TargetRegistry::lookupTarget(triple, message);
  if (!t) return unsupported("{}", message);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  options.EmitAddrsig = false;
  std::unique_ptr<llvm::TargetMachine> machine(
      t->createTargetMachine(triple, target.level, target.llvm_features(), options, llvm::Reloc::PIC_, std::nullopt,
                             effort == Effort::Full ? llvm::CodeGenOptLevel::Default : llvm::CodeGenOptLevel::None));
  if (!machine) return unsupported("no code generator for '{}'", target.triple());
  return machine;
}

void prepare(llvm::Module& m, llvm::TargetMachine& machine) {
  m.setTargetTriple(machine.getTargetTriple());
  m.setDataLayout(machine.createDataLayout());
  m.setPICLevel(llvm::PICLevel::BigPIC);
}

void drop_unused(llvm::Module& m, llvm::TargetMachine& machine) {
  Analyses analyses(machine);
  llvm::GlobalDCEPass().run(m, analyses.modules);
}

void optimise(llvm::Module& m, llvm::TargetMachine& machine, Effort effort) {
  if (effort == Effort::None) return;
  Analyses analyses(machine);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass(true));
  passes.addPass(llvm::InstCombinePass());
  if (effort == Effort::Full) {
    llvm::LoopPassManager in_loops;
    in_loops.addPass(llvm::LICMPass(llvm::LICMOptions()));
    passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(in_loops), true));
    passes.addPass(llvm::EarlyCSEPass(true));
  }
  passes.addPass(llvm::SimplifyCFGPass());
  for (llvm::Function& f : m)
    if (!f.isDeclaration()) passes.run(f, analyses.functions);
}

Result<std::string> emit_object(llvm::Module& m, llvm::TargetMachine& machine) {
  return emit(m, machine, llvm::CodeGenFileType::ObjectFile);
}

Result<std::string> emit_assembly(llvm::Module& m, llvm::TargetMachine& machine) {
  return emit(m, machine, llvm::CodeGenFileType::AssemblyFile);
}

}  // namespace ingot::codegen
