#include "ir/ops/algorithms/algorithms.h"

namespace ingot {

namespace {
constexpr Algorithm kAlgorithms[] = {
#define ALGORITHM(name) {#name, ingot_alg_##name},
#include "ir/ops/algorithms/algorithms.def"
#undef ALGORITHM
    {"", nullptr},
};
}  // namespace

std::span<const Algorithm> all_algorithms() { return {kAlgorithms, std::size(kAlgorithms) - 1}; }

ingot_algorithm_fn find_algorithm(std::string_view name) {
  for (const Algorithm& a : all_algorithms())
    if (a.name == name) return a.run;
  return nullptr;
}

namespace {
constexpr std::pair<DType, int32_t> kCodes[] = {{DType::F32, INGOT_F32},
                                                {DType::U8, INGOT_U8},
                                                {DType::I8, INGOT_I8},
                                                {DType::U16, INGOT_U16},
                                                {DType::I16, INGOT_I16},
                                                {DType::I32, INGOT_I32},
                                                {DType::I64, INGOT_I64},
                                                {DType::String, INGOT_STRING},
                                                {DType::Bool, INGOT_BOOL},
                                                {DType::F16, INGOT_F16},
                                                {DType::F64, INGOT_F64},
                                                {DType::U32, INGOT_U32},
                                                {DType::U64, INGOT_U64},
                                                {DType::C64, INGOT_C64},
                                                {DType::C128, INGOT_C128},
                                                {DType::BF16, INGOT_BF16},
                                                {DType::F8E4M3FN, INGOT_F8E4M3FN},
                                                {DType::F8E4M3FNUZ, INGOT_F8E4M3FNUZ},
                                                {DType::F8E5M2, INGOT_F8E5M2},
                                                {DType::F8E5M2FNUZ, INGOT_F8E5M2FNUZ},
                                                {DType::U4, INGOT_U4},
                                                {DType::I4, INGOT_I4},
                                                {DType::F4E2M1, INGOT_F4E2M1},
                                                {DType::F8E8M0, INGOT_F8E8M0},
                                                {DType::U2, INGOT_U2},
                                                {DType::I2, INGOT_I2}};
}  // namespace

int32_t dtype_code(DType t) {
  for (const auto& [d, c] : kCodes)
    if (d == t) return c;
  return 0;
}

DType dtype_of_code(int32_t code) {
  for (const auto& [d, c] : kCodes)
    if (c == code) return d;
  return DType::Invalid;
}

}  // namespace ingot
