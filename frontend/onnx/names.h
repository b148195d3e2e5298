// How an ONNX operator is called in the op table: its name in snake case, the domain left out unless two domains mean
// different things by one name.
//
//   Conv -> conv   MatMul -> mat_mul   LSTM -> lstm   RMSNormalization -> rms_normalization   PRelu -> prelu
//   ReduceL2 -> reduce_l2   QLinearConv -> qlinear_conv   GatherND -> gather_nd   MatMulNBits -> mat_mul_nbits
//   com.microsoft Attention -> ms_attention   com.microsoft FusedConv -> fused_conv
#pragma once

#include <string>
#include <string_view>

namespace ingot::onnx {

// A word begins at a capital after a small letter, and at the last capital of three or more before a small letter.
std::string snake_case(std::string_view name);

inline constexpr std::string_view kMlDomain = "ai.onnx.ml", kMicrosoftDomain = "com.microsoft";
// Brevitas, QONNX and FINN: one operator, Quant, under three domains.
bool is_quant_domain(std::string_view domain);
std::string_view canonical_domain(std::string_view domain);  // "ai.onnx" -> ""
std::string op_name(std::string_view domain, std::string_view op_type);

}  // namespace ingot::onnx
