// LLVM modules -> object files, and object files -> one ELF shared object.
#pragma once

#include <llvm/IR/Module.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backends/llvm/target.h"
#include "support/result.h"

namespace ingot::codegen {

// What LLVM does with a module.
enum class Effort {
  Full,   // the short pipeline of SCHEDULES §12
  Plain,  // the same without loop passes, instructions selected without optimisation: CompileOptions::plain_code
  None,   // instructions selected from what was printed, in time that is linear in its size
};
Result<std::unique_ptr<llvm::TargetMachine>> make_machine(const Target&, Effort = Effort::Full);
void prepare(llvm::Module&, llvm::TargetMachine&);   // triple and data layout
void drop_unused(llvm::Module&, llvm::TargetMachine&);  // internal functions and globals that nothing refers to
void optimise(llvm::Module&, llvm::TargetMachine&, Effort = Effort::Full);
Result<std::string> emit_object(llvm::Module&, llvm::TargetMachine&);
Result<std::string> emit_assembly(llvm::Module&, llvm::TargetMachine&);

struct Object {
  std::string bytes;
  bool lazy = false;  // linked only where something refers to it
};
// Links with LLD. Not thread-safe inside: calls queue up on a mutex.
Result<std::vector<uint8_t>> link_image(std::span<const Object>, const Target&, bool debug_names);

// Bitcode built with the compiler (see CMakeLists.txt), per family of targets.
struct Bitcode {
  std::string_view algorithms, support;  // support: memcpy, memmove, memset, memcmp
};
Bitcode bitcode_for(const Target&);
// The algorithms that `names` asks for, with what they call, as a module of `context` with `target`'s features.
Result<std::unique_ptr<llvm::Module>> load_algorithms(llvm::LLVMContext&, std::span<const std::string> names,
                                                      const Target&, llvm::TargetMachine&);
Result<std::unique_ptr<llvm::Module>> load_support(llvm::LLVMContext&, const Target&, llvm::TargetMachine&);

}  // namespace ingot::codegen
