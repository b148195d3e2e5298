// Loading must survive any bytes. Hashes would stop nearly every mutation at the door, so that the harness repairs
// them: what lies behind is then tested. Nothing is run, since running a file is running a program.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ingot::test {

// Sets all hashes to those of the content, as far as the section table can be followed.
void repair_hashes(std::vector<uint8_t>& file);
// Loads the bytes (repaired), asks everything, makes a session within a small limit.
void load_any(std::vector<uint8_t> file);
// The input of the fuzzer: one byte of mode, then either a file or edits (offset: 3 bytes, value: 1 to 8 bytes) of a
// valid one, which get behind the checks much sooner.
void fuzz_one(std::span<const uint8_t> input, std::span<const std::vector<uint8_t>> valid_files);

}  // namespace ingot::test
