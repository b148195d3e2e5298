#include "frontend/onnx/attributes.h"

#include <algorithm>

namespace ingot::onnx {

namespace {

using A = AttributeProto;

struct Kind {
  int32_t type;
  std::string_view names;  // separated by spaces
};
// All attributes of ai.onnx 1-28 and ai.onnx.ml 1-5; a name of several kinds stands several times. Then those of com.microsoft
// that no operator of these has.
constexpr Kind kKinds[] = {
    {A::kString, "k_quant_type pad_value tokenexp v_quant_type"},
    {A::kStrings, "separators"},
    {A::kInt,
     "bits causal do_rotary gather_axis kv_cache_bit_width local_window_size mark mincharnum positive qk_output quantize_axis rotary_interleaved "
     "sliding_window_cache smooth_softmax"},
    {A::kFloat, "k_norm_epsilon q_norm_epsilon qk_norm_epsilon"},
    {A::kString,
     "activation approximate auto_pad case_change_action cast_to coordinate_transformation_mode default_string "
     "delimiter "
     "direction equation keep_aspect_ratio_policy kernel_type locale map_form mode nearest_mode norm padding_mode "
     "pattern "
     "pixel_format reduction round_mode update_rule value_string y aggregate_function post_transform to"},
    {A::kFloats,
     "activation_alpha activation_beta base_values class_weights coefficients imputed_value_floats intercepts "
     "kernel_params "
     "keys_floats nodes_values offset prob_a prob_b rho scales support_vectors target_weights value_floats "
     "values_floats "
     "weights nodes_hitrates scale bias"},
    {A::kStrings,
     "activations cats_strings classes_strings classlabels_strings keys_strings pool_strings stopwords "
     "string_vocabulary "
     "value_strings values_strings xs zs nodes_modes"},
    {A::kInt,
     "align_corners allowzero antialias axis batch_axis batch_dims block_size blocksize broadcast ceil_mode "
     "center_point_box chunk_size count_include_pad default_int64 detect_negative detect_positive dtype end "
     "exclude_outside "
     "exclusive fmod group hidden_size ignore_index input_forget interleaved inverse is_case_sensitive is_causal "
     "is_test k "
     "keepdims kv_num_heads largest layout left_window_size linear_before_reset max_gram_length max_map max_skip_count "
     "maxsplit min_gram_length multi_class n_supports n_targets new_axis noop_with_empty_axes num_groups num_heads "
     "num_outputs num_scan_inputs offset_group one_class onesided output_datatype output_dtype output_height "
     "output_sequence output_width periodic precision q_num_heads qk_matmul_output_mode replaced_value_int64 reverse "
     "right_window_size rotary_embedding_dim sample_size sampling_ratio saturate select_last_index size "
     "softmax_precision "
     "sorted spatial start stash_type storage_order targets time_axis training_mode transA transB upper value_int "
     "zeros "
     "aggregate_function post_transform p seed to"},
    {A::kFloat,
     "alpha beta bias clip cubic_coeff_a decay_factor default_float epsilon extrapolation_value gamma height_scale "
     "high "
     "lambd low max mean min momentum norm_coefficient norm_coefficient_post ratio replaced_value_float softcap "
     "spatial_scale threshold value_float width_scale p scale seed value"},
    {A::kInts,
     "axes cats_int64s class_ids class_nodeids class_treeids classlabels_int64s classlabels_ints consumed_inputs "
     "dilations "
     "directions ends imputed_value_int64s inputdimensions int64_vocabulary kernel_shape keys_int64s leaf_targetids "
     "ngram_counts ngram_indexes nodes_falseleafs nodes_falsenodeids nodes_featureids nodes_missing_value_tracks_true "
     "nodes_nodeids nodes_treeids nodes_trueleafs nodes_truenodeids output_padding output_shape paddings pads perm "
     "pool_int64s pooled_shape border scale scan_input_axes scan_input_directions scan_output_axes "
     "scan_output_directions shape split "
     "starts strides target_ids target_nodeids target_treeids tree_roots value_ints values_int64s vectors_per_class"},
    {A::kTensor,
     "base_values_as_tensor class_weights_as_tensor default_tensor keys_tensor leaf_weights membership_values "
     "nodes_hitrates_as_tensor nodes_splits nodes_values_as_tensor target_weights_as_tensor values_tensor "
     "nodes_hitrates "
     "nodes_modes value"},
    {A::kGraph, "body else_branch prob_mod score_mod then_branch"},
    {A::kSparseTensor, "sparse_value"},
    {A::kTypeProto, "type"},
};

bool lists(std::string_view names, std::string_view name) {
  for (size_t at = names.find(name); at != names.npos; at = names.find(name, at + 1)) {
    bool begins = at == 0 || names[at - 1] == ' ';
    size_t end = at + name.size();
    if (begins && (end == names.size() || names[end] == ' ')) return true;
  }
  return false;
}

std::vector<int64_t> copy(const std::vector<int64_t>& v) { return v; }
std::vector<double> copy(const std::vector<float>& v) { return {v.begin(), v.end()}; }
std::vector<std::string> copy(const std::vector<std::string_view>& v) { return {v.begin(), v.end()}; }

}  // namespace

std::string_view attribute_kind_name(int32_t type) {
  constexpr std::string_view kNames[] = {
      "undefined", "float",   "int",    "string",        "tensor",         "graph",      "floats",     "ints",
      "strings",   "tensors", "graphs", "sparse_tensor", "sparse_tensors", "type_proto", "type_protos"};
  return type >= 0 && type < static_cast<int32_t>(std::size(kNames)) ? kNames[type] : "unknown";
}

Result<void> check_attribute_kind(std::string_view name, int32_t type) {
  std::string expected;
  if (name.empty()) return invalid("an attribute without a name");
  for (const Kind& kind : kKinds) {
    if (!lists(kind.names, name)) continue;
    if (kind.type == type) return {};
    expected += fmt::format("{}{}", expected.empty() ? "" : " or ", attribute_kind_name(kind.type));
  }
  if (expected.empty()) return {};
  return invalid("attribute {} is of kind {}, expected {}", quoted(name), attribute_kind_name(type), expected);
}

Result<Type> read_type(const TypeProto& proto) {
  switch (proto.kind) {
    case TypeProto::Kind::Tensor: {
      TensorType t{dtype_of(proto.elem_type), {}};
      if (t.dtype == DType::Invalid) return invalid("unknown element type {}", proto.elem_type);
      if (proto.shape)
        for (const auto& d : proto.shape->dim) {
          if (!d.dim_value || *d.dim_value < 0) return unsupported("a type with free dims in an attribute");
          t.dims.emplace_back(std::min(*d.dim_value, kDimMax));
        }
      return Type::of(std::move(t));
    }
    case TypeProto::Kind::Sequence:
    case TypeProto::Kind::Optional:
    case TypeProto::Kind::Map: {
      if (!proto.element) return invalid("a type without its element type");
      Type element = TRY(read_type(*proto.element));
      if (proto.kind == TypeProto::Kind::Sequence) return Type::sequence(std::move(element));
      if (proto.kind == TypeProto::Kind::Optional) return Type::optional(std::move(element));
      DType key = dtype_of(proto.elem_type);
      if (key == DType::Invalid) return invalid("unknown key type {}", proto.elem_type);
      return Type::map(key, std::move(element));
    }
    case TypeProto::Kind::SparseTensor: return unsupported("sparse tensors as values");
    case TypeProto::Kind::Opaque: return unsupported("opaque values");
    case TypeProto::Kind::None: return invalid("a value without a type");
  }
  return invalid("a value without a type");
}

Result<AttrValue> read_attribute(const AttributeProto& proto, const TensorSource& source) {
  switch (proto.type) {
    case A::kFloat: return AttrValue(static_cast<double>(proto.f));
    case A::kInt: return AttrValue(proto.i);
    case A::kString: return AttrValue(std::string(proto.s));
    case A::kFloats: return AttrValue(copy(proto.floats));
    case A::kInts: return AttrValue(copy(proto.ints));
    case A::kStrings: return AttrValue(copy(proto.strings));
    case A::kTensor:
      if (!proto.t) return invalid("attribute {} has no tensor", quoted(proto.name));
      return AttrValue(TRY(read_tensor(*proto.t, source)));
    case A::kSparseTensor:
      if (!proto.sparse_tensor) return invalid("attribute {} has no tensor", quoted(proto.name));
      return AttrValue(TRY(read_sparse_tensor(*proto.sparse_tensor, source)));
    case A::kTypeProto:
      if (!proto.tp) return invalid("attribute {} has no type", quoted(proto.name));
      return AttrValue(TRY(read_type(*proto.tp)).str());
    default: return unsupported("attribute {} of kind {}", quoted(proto.name), attribute_kind_name(proto.type));
  }
}

}  // namespace ingot::onnx
