// What schedules may know of a target: one page of numbers, filled from the backend's target table.
#pragma once

#include <cstdint>

namespace ingot {

struct TargetFacts {
  enum class Device : uint8_t { Cpu, OpenCl } device = Device::Cpu;
  int vector_bytes = 16;        // 0: schedules use scalars only (OpenCL: one work-item per element)
  int vector_registers = 16;
  bool masked_memory = false;   // masked loads and stores cost about as much as plain ones
  bool lane_products = false;   // a multiply-add takes one lane of a vector as a factor (AArch64)
  int fma_ports = 2;            // multiply-adds of vectors that begin in a cycle
  bool dot4 = false;            // u8 x s8 products summed by fours into i32 in one instruction
  bool f16_convert = false;     // f16 <-> f32 is an instruction
  bool f16_fma = false;         // arithmetic on vectors of f16, at twice the rate of f32
  bool bf16_dot = false;        // pairs of bf16 products are summed into f32 faster than two of f32
  bool amx_bf16 = false;        // tiles of bf16 are multiplied by one instruction
  int64_t l2_bytes = 1 << 20;
};

}  // namespace ingot
