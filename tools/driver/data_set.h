// The directories of ONNX's backend tests: DIR/model.onnx, DIR/test_data_set_*/{input,output}_K.pb.
#pragma once

#include <string>
#include <vector>

#include "tools/driver/executable.h"

namespace ingot::driver {

inline constexpr int kMaxDataFiles = 4096;  // input_K.pb, output_K.pb in one data set

// Every directory at any depth below `dir` that holds a model.onnx, sorted by name. The name is the path from `dir`; that of
// `dir` itself its last component.
struct TestCase {
  std::string name, path;
};
Result<std::vector<TestCase>> find_tests(const std::string& dir);

std::vector<std::string> data_sets(const std::string& test_path);  // paths of its test_data_set_*, sorted

// Reads PREFIX_0.pb, PREFIX_1.pb, ... and binds each to the port of the name inside it, or where that is empty to the port of
// its index. A port without a file is absent (kind None).
Result<std::vector<HostValue>> read_values(const std::string& data_set, const std::string& prefix,
                                           const std::vector<Port>& ports);

// Types of the inputs whose declaration does not fit the data: those without a shape, and those of another shape (the runner
// that made the data does not check). For ImportOptions::input_types.
Result<std::map<std::string, Type>> types_from_data(const std::string& model_path, const std::string& data_set);

// A .npy or a .pb file, as a value of this type. A type that NumPy lacks is taken from the integers that npy.h writes.
Result<HostValue> load_value(const std::string& path, const Type& type);

}  // namespace ingot::driver
