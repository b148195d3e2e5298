// The same as run.c with the C++ header, for models of f32 tensors.
//
//   run model.ingot
#include <cstdio>
#include <ingot/ingot.hpp>
#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " model.ingot\n";
    return 2;
  }
  ingot::Model model(argv[1]);
  ingot::Session session(model);
  std::cout << model.name() << " for " << model.target() << "\n";

  for (const ingot_port& port : model.inputs()) {
    std::vector<int64_t> shape(port.dims, port.dims + port.rank);
    size_t count = 1;
    for (int64_t& dim : shape) count *= dim = dim < 0 ? 1 : dim;
    std::vector<float> ones(count, 1.f);
    session.set(port.name, ones.data(), shape);
  }
  session.run();

  auto outputs = model.outputs();
  for (int i = 0; i < static_cast<int>(outputs.size()); i++) {
    std::cout << outputs[i].name << ": " << outputs[i].type;
    if (outputs[i].dtype == INGOT_F32) {
      auto values = session.output<float>(i);
      for (size_t k = 0; k < values.size() && k < 8; k++) std::cout << " " << values[k];
      if (values.size() > 8) std::cout << " ...";
    }
    std::cout << "\n";
  }
} catch (const ingot::RuntimeError& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
