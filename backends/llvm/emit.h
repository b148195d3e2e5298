// L program -> machine code. The printer takes a legalised program (passes/loops/legalize.h) and gives an ELF shared
// object without undefined symbols that exports `ingot_entry` (runtime/abi.h).
//
// Kernels are cut into modules of a fixed number of kernels, each compiled in its own LLVMContext by a pool of threads,
// and linked by LLD in the order of the program: the bytes do not depend on the number of threads. Kernels with the same
// body are compiled once.
#pragma once

#include <string>
#include <vector>

#include "backends/llvm/target.h"
#include "ir/loops/loops.h"
#include "support/result.h"

namespace ingot {

struct CompileOptions {
  const Target* target =
      nullptr;  // one with kernels for a device: the host program alone is compiled, which launches them
  int jobs = 1;
  bool plain_code =
      false;  // no loop passes, instructions selected without optimisation: for tests, in 40 % of the time
  bool debug_names = false;  // keep .eh_frame and local symbols, for gdb and perf
};

struct KernelStats {
  std::string name;
  int64_t code_bytes = 0;
  int same_as = -1;  // the kernel whose code this one shares
  int vector_spills = 0;  // stack references of vector width in the assembly; measured by `asm_text` only
};

struct Image {
  std::vector<uint8_t> elf;
  std::vector<KernelStats> kernels;
  int64_t code_bytes = 0;
  double print_seconds = 0, codegen_seconds = 0, link_seconds = 0;  // summed over threads, but for the link
};

// Compiles a whole program. Errors: an expression the printer does not know (Unsupported), an unknown algorithm
// (Invalid), a failure of the linker (Io).
Result<Image> compile(const l::Program&, const CompileOptions&);

// For inspection: of one kernel by index, or of the host entry (kernel = -1).
Result<std::string> llvm_text(const l::Program&, int kernel, const CompileOptions&, bool optimised = true);
Result<std::string> asm_text(const l::Program&, int kernel, const CompileOptions&);
// The text of every kernel, and last that of the host program.
Result<std::vector<std::string>> all_texts(const l::Program&, const CompileOptions&, bool assembly);
// Loads and stores of whole vectors to the stack in an assembly text: spills of a register tile.
int count_vector_spills(const std::string& assembly);

}  // namespace ingot
