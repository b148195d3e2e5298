// How an ONNX operator is called in the op table: its name in snake case. Which operators there are, and what com.microsoft
// means by a name, is in operators.def.
//
//   Conv -> conv   MatMul -> mat_mul   LSTM -> lstm   RMSNormalization -> rms_normalization   PRelu -> prelu
//   ReduceL2 -> reduce_l2   QLinearConv -> qlinear_conv   GatherND -> gather_nd   MatMulNBits -> mat_mul_nbits
#pragma once

#include <string>
#include <string_view>

namespace ingot::onnx {

// A word begins at a capital after a small letter, and at the last capital of three or more before a small letter.
std::string snake_case(std::string_view name);

inline constexpr std::string_view kMlDomain = "ai.onnx.ml", kMicrosoftDomain = "com.microsoft";
// Brevitas, QONNX and FINN: one operator, Quant, under three domains.
inline constexpr std::string_view kQuantDomains[] = {"onnx.brevitas", "qonnx.custom_op.general",
                                                     "finn.custom_op.general"};
bool is_quant_domain(std::string_view domain);
std::string_view canonical_domain(std::string_view domain);  // "ai.onnx" -> ""

}  // namespace ingot::onnx
