// Makes the model of `./dev demo`: a classifier of drawn digits. Usage: make_digits DIR
//
// Draws kTrain digits, trains the network of digits_net.h on them, measures it on kTest digits it has not seen, and writes
//   DIR/digits.onnx      image f32[batch, 1, 28, 28] (0 paper, 1 ink) -> probabilities f32[batch, 10]
//   DIR/labels.txt       one name a line
//   DIR/sample_K.npy     a drawing of the digit K, and sample_K.txt: the same to look at
// It knows drawings of this program only; it is a demonstration, not a reader of handwriting.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "models/digits_net.h"
#include "models/onnx_writer.h"

namespace {

using namespace digits;

constexpr int kTrain = 12000, kTest = 2000, kBatch = 16;
constexpr uint64_t kTrainSeed = 1, kTestSeed = 2, kWeightSeed = 3, kSampleSeed = 20;

Net train() {
  Random weights(kWeightSeed), draw_random(kTrainSeed);
  Net net(weights);
  for (int i = 0; i < kTrain; ++i) {
    const int label = static_cast<int>(draw_random.next() % 10);
    net.learn(draw(label, draw_random), label);
    const float progress = static_cast<float>(i) / kTrain;
    if (i % kBatch == kBatch - 1) net.step(0.05f / kBatch * (1 - 0.9f * progress), 0.9f);
  }
  return net;
}

double accuracy(Net& net) {
  Random random(kTestSeed);
  int right = 0;
  for (int i = 0; i < kTest; ++i) {
    const int label = static_cast<int>(random.next() % 10);
    const Floats p = net.probabilities(draw(label, random));
    right += std::max_element(p.begin(), p.end()) - p.begin() == label ? 1 : 0;
  }
  return static_cast<double>(right) / kTest;
}

std::string to_onnx(const Net& net, double measured) {
  using namespace onnx_writer;
  Message graph;
  const std::vector<Message> conv = {ints("kernel_shape", {3, 3}), ints("pads", {1, 1, 1, 1})};
  const std::vector<Message> pool = {ints("kernel_shape", {2, 2}), ints("strides", {2, 2})};
  graph.message(1, node("Conv", {"image", "conv1.weight", "conv1.bias"}, "conv1", conv))
      .message(1, node("Relu", {"conv1"}, "relu1"))
      .message(1, node("MaxPool", {"relu1"}, "pool1", pool))
      .message(1, node("Conv", {"pool1", "conv2.weight", "conv2.bias"}, "conv2", conv))
      .message(1, node("Relu", {"conv2"}, "relu2"))
      .message(1, node("MaxPool", {"relu2"}, "pool2", pool))
      .message(1, node("Flatten", {"pool2"}, "features"))
      .message(1, node("Gemm", {"features", "dense.weight", "dense.bias"}, "scores", {int_("transB", 1)}))
      .message(1, node("Softmax", {"scores"}, "probabilities", {int_("axis", 1)}));
  graph.bytes(2, "digits")
      .message(5, tensor("conv1.weight", kFloat, {8, 1, 3, 3}, net.first.weight.value))
      .message(5, tensor("conv1.bias", kFloat, {8}, net.first.bias.value))
      .message(5, tensor("conv2.weight", kFloat, {16, 8, 3, 3}, net.second.weight.value))
      .message(5, tensor("conv2.bias", kFloat, {16}, net.second.bias.value))
      .message(5, tensor("dense.weight", kFloat, {10, Net::kFeatures}, net.weight.value))
      .message(5, tensor("dense.bias", kFloat, {10}, net.bias.value))
      .message(11, value_info("image", {-1, 1, kSize, kSize}))
      .message(12, value_info("probabilities", {-1, 10}));
  char doc[120];
  std::snprintf(doc, sizeof doc, "drawn digits; %.1f %% right on %d drawings it has not seen", 100 * measured, kTest);
  return model(graph, 17, "ingot models/digits.cpp", doc);
}

std::string to_npy(const Image& image) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 28, 28), }";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string out("\x93NUMPY\1\0", 8);
  out += static_cast<char>(header.size() & 255);
  out += static_cast<char>(header.size() >> 8);
  return out + header + std::string(reinterpret_cast<const char*>(image.data()), image.size() * sizeof(float));
}

std::string to_text(const Image& image) {
  std::string text;
  for (int y = 0; y < kSize; y += 2) {
    for (int x = 0; x < kSize; ++x) {
      const auto i = static_cast<size_t>(y * kSize + x);
      const float ink = (image[i] + image[i + kSize]) / 2;
      text += " .:+#"[std::min(4, static_cast<int>(ink * 5))];
    }
    text += '\n';
  }
  return text;
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out << bytes;
  out.close();
  if (!out) {
    std::fprintf(stderr, "error: cannot write %s\n", path.c_str());
    std::exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_digits DIR\n");
    return 2;
  }
  const std::string dir = argv[1];
  std::error_code ec;
  std::filesystem::create_directories(dir, ec);
  Net net = train();
  const double measured = accuracy(net);
  std::printf("digits: %.1f %% right on %d drawings it has not seen\n", 100 * measured, kTest);
  const char* names[] = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"};
  std::string labels;
  Random random(kSampleSeed);
  for (int k = 0; k < 10; ++k) {
    labels += std::string(names[k]) + "\n";
    const Image image = draw(k, random);
    write(dir + "/sample_" + std::to_string(k) + ".npy", to_npy(image));
    write(dir + "/sample_" + std::to_string(k) + ".txt", to_text(image));
  }
  write(dir + "/labels.txt", labels);
  write(dir + "/digits.onnx", to_onnx(net, measured));
  return measured > 0.9 ? 0 : 1;
}
