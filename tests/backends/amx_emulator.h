// Runs code with AMX instructions on a machine without them: they fail there, and a handler of that signal does what each
// says to tiles in memory. Slow, and made for tests of one thread. x86-64 Linux.
#pragma once

#include <cstdint>

namespace ingot::test {

class AmxEmulator {
 public:
  AmxEmulator();  // takes SIGILL over
  ~AmxEmulator();  // gives it back
  AmxEmulator(const AmxEmulator&) = delete;
  static bool possible();  // on this machine, which has no AMX of its own
  int64_t products() const;  // instructions that multiplied tiles, so far
};

}  // namespace ingot::test
