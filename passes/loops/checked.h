// L -> L with checks: what a build of generated code that proves itself has in addition.
//
// Generated code is fast because it does not check. These passes run after legalisation, on every target, and change no
// number; a run that they end would have touched memory that is not its own, or read what nobody wrote.
#pragma once

#include <cstdint>
#include <optional>

#include "ir/loops/loops.h"

namespace ingot {

struct CheckOptions {
  bool bounds = false;  // check_bounds
  std::optional<uint64_t> poison;  // poison, with this seed; the runtime does the same to what it hands out
  bool any() const { return bounds || poison; }
};

namespace l {

// load b[i], store b[i] -> if (i outside of b) fail; load b[i]
//
// Every load, store and tile of every kernel and of the host program is compared with the memory of its buffer, every
// operand of an algorithm with what it spans, every placed buffer with the arena, every view with its base buffer. A kernel
// gets the memory of each of its buffers as two scalars, in bytes from the element with index 0. What fails ends the run with
// INGOT_RUN_BOUNDS: the message names kernel and buffer. What algorithms do inside is not seen here: the runtime's guard
// pages (INGOT_SESSION_GUARD) are for that.
void check_bounds(Program&);

inline constexpr int64_t kCanaryBytes = 64;  // before and after each buffer of the arena

// Scratch memory and registers without a value begin with poison_word(seed), and so do kCanaryBytes around each buffer of the
// arena, which the plan must have left free (ScheduleOptions::canary_bytes). After each kernel and algorithm the canaries of the
// buffers that it was given are compared; one that has changed ends the run with INGOT_RUN_BOUNDS.
void poison(Program&, uint64_t seed);

}  // namespace l

}  // namespace ingot
