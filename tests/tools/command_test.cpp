// The command as its users meet it: exit status, messages, output.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tools/driver/npy.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Ran {
  int status = -1;  // 128 + signal where it was killed
  std::string out, err;
};

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

class Command : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() / ("ingot-command-" + std::to_string(getpid()));
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  Ran ingot(const std::string& arguments) {
    const std::string command = "cd '" + dir_.string() + "' && '" INGOT_BINARY_DIR "/bin/ingot' " + arguments +
                                " >out.txt 2>err.txt </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read(dir_ / "out.txt"),
            read(dir_ / "err.txt")};
  }
  void write(const std::string& name, const std::string& bytes) {
    fs::create_directories((dir_ / name).parent_path());
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
  }
  // A backend test of the digits model; `seed` of the inputs, and of those that the expected outputs are made of.
  void make_test(const std::string& name, int digit, int expected_digit) {
    const fs::path set = dir_ / name / "test_data_set_0";
    fs::create_directories(set);
    fs::copy_file(kModels + "/digits.onnx", dir_ / name / "model.onnx");
    write(name + "/test_data_set_0/input_0.pb", tensor_pb("image", {1, 1, 28, 28}, sample(digit)));
    const Ran ran = ingot("run " + kModels + "/digits.onnx --input image=" + kModels + "/sample_" +
                          std::to_string(expected_digit) + ".npy --output-dir made");
    ASSERT_EQ(ran.status, 0) << ran.err;
    write(name + "/test_data_set_0/output_0.pb",
          tensor_pb("probabilities", {1, 10}, floats(dir_ / "made/probabilities.npy")));
  }

  static std::string floats(const fs::path& npy) {
    const std::string bytes = read(npy);
    auto t = driver::parse_npy(bytes);
    return t ? std::string(reinterpret_cast<const char*>((*t)->bytes), static_cast<size_t>((*t)->size_bytes)) : "";
  }
  static std::string sample(int digit) { return floats(kModels + "/sample_" + std::to_string(digit) + ".npy"); }
  // TensorProto: dims = 1, data_type = 2, name = 8, raw_data = 9.
  static std::string tensor_pb(const std::string& name, const std::vector<int>& dims, const std::string& raw) {
    std::string pb;
    for (int d : dims) pb += std::string("\x08") + static_cast<char>(d);
    pb += "\x10\x01\x42" + std::string(1, static_cast<char>(name.size())) + name + "\x4a";
    for (size_t n = raw.size();; n >>= 7) {
      pb += static_cast<char>(n < 128 ? n : n | 128);
      if (n < 128) break;
    }
    return pb + raw;
  }

  inline static const std::string kModels = INGOT_BINARY_DIR "/models";
  fs::path dir_;
};

TEST_F(Command, help_of_every_subcommand_ends_with_an_example) {
  const Ran help = ingot("--help");
  EXPECT_EQ(help.status, 0);
  for (const char* name : {"compile", "run", "bench", "inspect", "diff", "conformance", "targets"}) {
    EXPECT_NE(help.out.find(std::string("\n  ") + name + " "), std::string::npos) << name;
    const Ran ran = ingot(std::string(name) + " --help");
    EXPECT_EQ(ran.status, 0);
    EXPECT_NE(ran.out.find(std::string("Example:\n  ingot ") + name), std::string::npos) << ran.out;
  }
  EXPECT_EQ(ingot("--version").out, INGOT_VERSION_TEXT "\n");
}

TEST_F(Command, wrong_usage_is_status_2_with_the_nearest_name) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "error: A subcommand is required\n"},
      {"rnu x.onnx", "error: unknown command 'rnu', did you mean 'run'?; there are: "},
      {"run", "error: MODEL is required\n"},
      {"run x.onnx --output-dri d", "error: unknown flag --output-dri, did you mean --output-dir?\n"},
      {"run x.onnx --zzzzzzzzzz", "error: unknown flag --zzzzzzzzzz\n"},
      {"run x.onnx y.onnx", "error: unexpected argument 'y.onnx'\n"},
      {"run x.onnx --dim batch", "error: --dim: got 'batch', expected NAME=EXTENT, as in batch=8\n"},
      {"run x.onnx --dim batch=-1", "error: --dim: got 'batch=-1', expected NAME=EXTENT, as in batch=8\n"},
      {"run x.onnx --backend cuda", "error: --backend: got 'cuda', expected interpreter, llvm or opencl\n"},
      {"conformance . --tolerance loose",
       "error: --tolerance: got 'loose', expected auto, node, model, topology or argmax\n"},
      {"--threads 2", "error: unknown flag --threads, expected a command: compile, run, "},
      {"run x.onnx --threads 0", "error: --threads: got '0', expected an integer from 1 to 1024\n"},
      {"run x.onnx --random-inputs -1",
       "error: --random-inputs: got '-1', expected an integer from 0 to 18446744073709551615\n"},
      {"bench x.onnx --min-time nan", "error: --min-time: got 'nan', expected a number of at least 0\n"},
      {"conformance . --timeout 0", "error: --timeout: got '0', expected a number above 0\n"},
      {"run x.ingot --backend llvm",
       "error: --backend: got 'llvm' for the compiled file x.ingot, expected a .onnx file\n"},
      {"diff x.onnx --rtol -1", "error: --rtol: got '-1', expected a number of at least 0\n"},
      {"inspect x.onnx --json",
       "error: --json: expected --stage schedules, or a compiled file, which stage file is of\n"},
      {"inspect x.onnx --stage kernel", "error: --stage: no stage 'kernel', did you mean 'kernels'"},
      {"compile x.onnx -o x.ingot --target x86-64-v5",
       "error: --target: unknown target 'x86-64-v5', did you mean 'x86-64-v"},
      {"compile x.onnx -o x.ingot --target ,", "error: --target: got ',', expected names\n"},
      {"compile x.onnx -o ''", "error: --output: got '', expected the name of a file\n"},
      {"compile x.onnx -o x.ingot --backend interpreter",
       "error: --backend: got 'interpreter', expected llvm or opencl\n"},
      {"compile x.onnx -o x.ingot --backend opencl --target x86-64-v3", "error: --target: got a target of "},
      {"compile x.onnx -o x.ingot --optimize fast", "error: --optimize: got 'fast', expected speed or size\n"},
      {"compile x.onnx -o x.ingot --precision f8", "error: --precision: got 'f8', expected f32, bf16 or f16\n"},
      {"compile x.onnx -o x.ingot --lower-logits", "error: --lower-logits: expected --precision bf16 or f16\n"},
      {"run x.ingot --precision bf16",
       "error: --precision: got 'bf16' for the compiled file x.ingot, expected a .onnx file\n"},
      {"run x.onnx --precision bf16 --backend interpreter",
       "error: --precision: got 'bf16' with --backend interpreter, "},
      {"compile x.onnx -o x.ingot --dump-after simplfy",
       "error: --dump-after: no pass 'simplfy', did you mean 'simplify'; there are: import, "},
      {"compile x.onnx -o x.ingot --disable-pass simplfy",
       "error: --disable-pass: no pass 'simplfy', did you mean 'simplify'; there are: "},
  };
  for (const auto& [arguments, message] : cases) {
    const Ran ran = ingot(arguments);
    EXPECT_EQ(ran.status, 2) << arguments;
    EXPECT_EQ(ran.err.substr(0, std::string(message).size()), message) << arguments;
    EXPECT_EQ(ran.out, "") << arguments;
  }
}

TEST_F(Command, a_fault_of_the_input_is_status_1) {
  write("text.onnx", "this is no model");
  write("text.ingot", "nor this");
  write("bad.npy", "nor that");
  const std::pair<std::string, std::string> cases[] = {
      {"run absent.onnx", "absent.onnx"},
      {"run text.onnx", "text.onnx"},
      {"run text.ingot", "text.ingot"},
      {"inspect text.ingot", "text.ingot"},
      {"compile text.onnx -o x.ingot", "text.onnx"},
      {"conformance absent", "absent is not a directory"},
      {"conformance .", "no test (a directory with a model.onnx) below ."},
      {"conformance . --filter '('", "malformed regular expression '('"},
      {"run " + kModels + "/digits.onnx --input bad.npy", "not a .npy file: the magic bytes are missing"},
      {"run " + kModels + "/digits.onnx --input imgae=bad.npy",
       "the model has no input 'imgae', did you mean 'image'; its inputs:\n  --input image=FILE  # f32[batch, 1, 28, 28]"},
      {"run " + kModels + "/digits.onnx",
       "inputs without a value (or use --random-inputs SEED):\n  --input image=FILE  # f32[batch, 1, 28, 28]"},
      {"run " + kModels + "/digits.onnx --random-inputs 1 --dim btach=2",
       "no input has a dimension 'btach', did you mean 'batch'"},
      {"run " + kModels + "/digits.onnx --input image=x.npz", "got 'x.npz', expected a .npy or a .pb file"},
      {"run " + kModels + "/digits.onnx --data .", "error: . has no input_0.pb"},
      {"compile text.ingot -o x.ingot", "error: got the compiled file text.ingot, expected a .onnx file"},
      {"diff text.ingot", "error: got the compiled file text.ingot, expected a .onnx file"},
      {"compile " + kModels + "/digits.onnx -o absent/x.ingot", "absent/x.ingot"},
  };
  for (const auto& [arguments, message] : cases) {
    const Ran ran = ingot(arguments);
    EXPECT_EQ(ran.status, 1) << arguments << "\n" << ran.err;
    EXPECT_EQ(ran.err.substr(0, 7), "error: ") << arguments;
    EXPECT_NE(ran.err.find(message), std::string::npos) << arguments << "\n" << ran.err;
    EXPECT_EQ(ran.err.find("\n  in text.ingot\n  in text.ingot"), std::string::npos) << ran.err;
  }
}

// A pipe stands for every file that is not a regular one: a compiler that replaces /dev/null breaks the machine.
TEST_F(Command, an_output_that_is_no_regular_file_is_written_to_and_stays) {
  ASSERT_EQ(ingot("compile " + kModels + "/digits.onnx -o whole.ingot --target host").status, 0);
  const std::string pipe = (dir_ / "pipe").string();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::thread reader([&] { std::ofstream(dir_ / "read.ingot", std::ios::binary) << read(pipe); });
  EXPECT_EQ(ingot("compile " + kModels + "/digits.onnx -o pipe --target host").status, 0);
  EXPECT_TRUE(fs::is_fifo(pipe));
  if (!fs::is_fifo(pipe)) std::ofstream(pipe) << "";
  reader.join();
  EXPECT_TRUE(read(dir_ / "read.ingot") == read(dir_ / "whole.ingot"));
  fs::create_directories(dir_ / "folder");
  EXPECT_NE(ingot("compile " + kModels + "/digits.onnx -o folder").err.find("folder: it is a directory"),
            std::string::npos);
}

TEST_F(Command, a_full_standard_output_is_told) {
  if (!fs::is_character_file("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  const int status = std::system("'" INGOT_BINARY_DIR "/bin/ingot' targets >/dev/full 2>/dev/null");
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

TEST_F(Command, a_batch_of_nothing_gives_no_rows) {
  for (const char* fixed : {"", " --dim batch=0"}) {
    ASSERT_EQ(ingot("compile " + kModels + "/digits.onnx -o none.ingot --target host" + fixed).status, 0) << fixed;
    const Ran ran =
        ingot(std::string("run none.ingot --random-inputs 1 --output-dir none") + (*fixed ? "" : " --dim batch=0"));
    EXPECT_EQ(ran.status, 0) << fixed << ran.err;
    EXPECT_NE(ran.out.find("f32[0, 10]"), std::string::npos) << ran.out;
  }
}

TEST_F(Command, a_compiled_file_takes_target_and_dim) {
  ASSERT_EQ(ingot("compile " + kModels + "/digits.onnx -o both.ingot --target x86-64-v2,aarch64").status, 0);
  const Ran other = ingot("run both.ingot --random-inputs 1 --target x86-64-v3");
  EXPECT_EQ(other.status, 1);
  EXPECT_NE(other.err.find("x86-64-v3"), std::string::npos) << other.err;
  const Ran dim = ingot("inspect both.ingot");
  EXPECT_EQ(dim.status, 0);
  const Ran wrong = ingot("run both.ingot --random-inputs 1 --dim btach=2");
  EXPECT_EQ(wrong.status, 1);
  EXPECT_NE(wrong.err.find("no input has a dimension 'btach', did you mean 'batch'"), std::string::npos) << wrong.err;
}

TEST_F(Command, run_names_the_digit_on_every_backend) {
  write("labels.txt", "zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n");
  ASSERT_EQ(ingot("compile " + kModels + "/digits.onnx -o digits.ingot").status, 0);
  const char* names[] = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"};
  for (const std::string& model : {kModels + "/digits.onnx --backend interpreter",
                                   kModels + "/digits.onnx --backend llvm", std::string("digits.ingot")}) {
    for (int k : {0, 3, 8}) {
      const Ran ran = ingot("run " + model + " --input image=" + kModels + "/sample_" + std::to_string(k) +
                            ".npy --labels labels.txt" + (k == 3 ? "" : " --top 1"));
      EXPECT_EQ(ran.status, 0) << ran.err;
      EXPECT_NE(ran.out.find(std::string("  ") + names[k]), std::string::npos) << model << "\n" << ran.out;
    }
  }
}

TEST_F(Command, run_writes_npy_files_that_it_can_read) {
  const Ran ran = ingot("run " + kModels + "/digits.onnx --random-inputs 3 --dim batch=4 --output-dir a/b");
  ASSERT_EQ(ran.status, 0) << ran.err;
  auto t = driver::load_npy((dir_ / "a/b/probabilities.npy").string());
  ASSERT_TRUE(t) << t.error().message;
  EXPECT_EQ((*t)->type().str(), "f32[4, 10]");
  double sum = 0;
  for (int64_t i = 0; i < 10; ++i) sum += (*t)->number(i);
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST_F(Command, compile_ends_with_a_summary_and_is_reproducible) {
  const Ran first = ingot("compile " + kModels + "/digits.onnx -o one.ingot --jobs 1");
  ASSERT_EQ(first.status, 0) << first.err;
  for (const char* row :
       {"\n  ops ", "\n  kernels ", "\n  weights ", "\n  arena ", "\n  code ", "\n  time ", "\n  peak memory "})
    EXPECT_NE(first.out.find(row), std::string::npos) << row;
  ASSERT_EQ(ingot("compile " + kModels + "/digits.onnx -o two.ingot --jobs 4").status, 0);
  EXPECT_TRUE(read(dir_ / "one.ingot") == read(dir_ / "two.ingot"));
  const Ran json = ingot("compile " + kModels + "/digits.onnx -o one.ingot --target host --dim batch=1 --json");
  const Json j = Json::parse(json.out, nullptr, false);
  ASSERT_FALSE(j.is_discarded()) << json.out;
  EXPECT_EQ(j["ops"], 9);
  EXPECT_EQ(j["targets"].size(), 1u);
  EXPECT_GT(j["arena_lower_bound"].get<int64_t>(), 0);
  EXPECT_GE(j["arena_bytes"].get<int64_t>(), j["arena_lower_bound"].get<int64_t>());
}

TEST_F(Command, bench_prints_the_promised_json) {
  ASSERT_EQ(ingot("compile " + kModels + "/digits.onnx -o digits.ingot --target host").status, 0);
  const Ran ran = ingot("bench digits.ingot --min-time 0.05 --per-kernel --json");
  const Json j = Json::parse(ran.out, nullptr, false);
  ASSERT_FALSE(j.is_discarded()) << ran.out << ran.err;
  for (const char* key : {"min", "median", "p90", "p99", "mean"})
    EXPECT_GT(j["latency_ms"][key].get<double>(), 0) << key;
  EXPECT_LE(j["latency_ms"]["min"].get<double>(), j["latency_ms"]["median"].get<double>());
  EXPECT_LE(j["latency_ms"]["median"].get<double>(), j["latency_ms"]["p99"].get<double>());
  EXPECT_GE(j["latency_ms"]["runs"].get<int>(), 10);
  EXPECT_GT(j["load_ms"].get<double>(), 0);
  EXPECT_GT(j["peak_rss_bytes"].get<int64_t>(), 0);
  EXPECT_GT(j["kernels"].size(), 0u);
}

TEST_F(Command, inspect_shows_every_stage) {
  for (const char* stage : {"import", "graph", "kernels", "schedules", "loops", "llvm", "asm"}) {
    const Ran ran = ingot("inspect " + kModels + "/digits.onnx --stage " + stage);
    EXPECT_EQ(ran.status, 0) << stage << "\n" << ran.err;
    EXPECT_GT(ran.out.size(), 100u) << stage;
  }
  ASSERT_EQ(ingot("compile " + kModels + "/digits.onnx -o digits.ingot").status, 0);
  const Json j = Json::parse(ingot("inspect digits.ingot --json").out, nullptr, false);
  ASSERT_FALSE(j.is_discarded());
  EXPECT_EQ(j["inputs"][0]["name"], "image");
  EXPECT_EQ(j["inputs"][0]["type"], "f32[batch, 1, 28, 28]");
  EXPECT_GE(j["images"].size(), 1u);
}

// The record of a model and that in its compiled file are the same; measuring adds times, and changes nothing else.
TEST_F(Command, inspect_says_what_each_kernel_does_and_why) {
  const std::string model = kModels + "/digits.onnx", fixed = " --dim batch=1 --target host";
  const Ran text = ingot("inspect " + model + fixed + " --stage schedules");
  ASSERT_EQ(text.status, 0) << text.err;
  for (const char* part :
       {"  schedule  contraction ", "  why       B ", "  fused     ", "expected ", "\narena ", "(lower bound "})
    EXPECT_NE(text.out.find(part), std::string::npos) << part << "\n" << text.out;
  const Json of_model =
      Json::parse(ingot("inspect " + model + fixed + " --stage schedules --json").out, nullptr, false);
  ASSERT_FALSE(of_model.is_discarded());
  ASSERT_EQ(ingot("compile " + model + fixed + " -o digits.ingot").status, 0);
  const Json of_file = Json::parse(ingot("inspect digits.ingot --stage schedules --json").out, nullptr, false);
  EXPECT_EQ(of_model, of_file);
  EXPECT_LE(of_file["arena_lower_bound"].get<int64_t>(), of_file["arena_bytes"].get<int64_t>());
  EXPECT_NE(ingot("inspect digits.ingot").out.find("(lower bound "), std::string::npos);
  Json measured = Json::parse(ingot("inspect digits.ingot --stage schedules --measure --json").out, nullptr, false);
  ASSERT_FALSE(measured.is_discarded());
  for (Json& k : measured["kernels"]) {
    ASSERT_TRUE(k.contains("measured")) << k;
    EXPECT_GT(k["measured"]["ms"].get<double>(), 0) << k;
    k.erase("measured");
  }
  EXPECT_EQ(measured, of_file);
  ASSERT_EQ(ingot("compile " + model + fixed + " -o small.ingot --optimize size").status, 0);
  const Ran small = ingot("inspect small.ingot --stage schedules");
  EXPECT_EQ(small.status, 1);
  EXPECT_NE(small.err.find("got a file without a record of schedules"), std::string::npos) << small.err;
}

TEST_F(Command, compile_says_what_precision_lowers_and_what_not) {
  const std::string model = INGOT_BINARY_DIR "/models/digits.onnx";
  const Ran lowered = ingot("compile " + model + " -o p.ingot --target x86-64-v3 --dim batch=1 --precision bf16");
  EXPECT_EQ(lowered.status, 0) << lowered.err;
  EXPECT_NE(lowered.out.find("  precision    "), std::string::npos) << lowered.out;
  EXPECT_NE(lowered.out.find("sums of products: "), std::string::npos) << lowered.out;
  EXPECT_NE(lowered.out.find("1 logits"), std::string::npos) << lowered.out;
  EXPECT_EQ(ingot("compile " + model + " -o q.ingot --target x86-64-v3 --dim batch=1").out.find("precision"),
            std::string::npos);
}

TEST_F(Command, compile_emits_any_stage) {
  for (const char* kind : {"graph", "kernels", "loops", "llvm", "asm", "so"}) {
    const Ran ran = ingot("compile " + kModels + "/digits.onnx -o out.stage --target x86-64-v3 --emit " + kind);
    EXPECT_EQ(ran.status, 0) << kind << "\n" << ran.err;
    EXPECT_GT(read(dir_ / "out.stage").size(), 100u) << kind;
  }
  EXPECT_EQ(read(dir_ / "out.stage").substr(1, 3), "ELF");
  EXPECT_EQ(ingot("compile " + kModels + "/digits.onnx -o out.stage --emit elf").status, 2);
}

TEST_F(Command, ingot_opt_runs_passes_over_graph_text) {
  ASSERT_EQ(ingot("compile " + kModels + "/digits.onnx -o digits.graph --emit import").status, 0);
  auto opt = [&](const std::string& arguments) {
    const int status = std::system(
        ("cd '" + dir_.string() + "' && '" INGOT_BINARY_DIR "/bin/ingot-opt' " + arguments + " >out.txt 2>err.txt")
            .c_str());
    return Ran{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read(dir_ / "out.txt"),
               read(dir_ / "err.txt")};
  };
  const Ran list = opt("--list");
  EXPECT_EQ(list.status, 0);
  EXPECT_NE(list.out.find("inline-maps\n"), std::string::npos);
  const Ran kernels = opt("digits.graph --until inline-maps");
  EXPECT_EQ(kernels.status, 0) << kernels.err;
  EXPECT_EQ(opt("digits.graph --target x86-64-v3").status, 0);
  EXPECT_EQ(opt("digits.graph --until nothing").status, 1);
  EXPECT_EQ(opt("").status, 2);
}

TEST_F(Command, diff_agrees_with_the_reference) {
  const Ran ran = ingot("diff " + kModels + "/digits.onnx --random-inputs 5 --dim batch=3");
  EXPECT_EQ(ran.status, 0) << ran.out << ran.err;
  EXPECT_NE(ran.out.find("probabilities: agrees"), std::string::npos) << ran.out;
}

TEST_F(Command, diff_names_the_first_node_that_differs) {
  const Ran ran = ingot("diff " + kModels + "/digits.onnx --random-inputs 5 --rtol 0 --atol 0 --tolerance node");
  if (ran.status == 0) GTEST_SKIP() << "compiled code and reference agree to the last bit here";
  EXPECT_EQ(ran.status, 1) << ran.err;
  EXPECT_NE(ran.out.find("first divergent node: 'conv1' (Conv"), std::string::npos) << ran.out;
}

TEST_F(Command, conformance_tells_passes_from_failures) {
  make_test("suite/good", 3, 3);
  make_test("suite/deeper/wrong", 3, 4);
  fs::create_directories(dir_ / "suite/no_data");
  fs::copy_file(kModels + "/digits.onnx", dir_ / "suite/no_data/model.onnx");
  write("suite/broken/model.onnx", "no model");
  write("suite/broken/test_data_set_0/input_0.pb", "");
  for (const char* backend : {"interpreter", "llvm"}) {
    const Ran ran = ingot(std::string("conformance suite --json r.json --jobs 2 --backend ") + backend);
    EXPECT_EQ(ran.status, 1);
    EXPECT_TRUE(ran.out.ends_with("1 passed, 2 failed, 1 skipped\n")) << ran.out << ran.err;
    const Json j = Json::parse(read(dir_ / "r.json"), nullptr, false);
    ASSERT_EQ(j.size(), 4u);
    EXPECT_EQ(j[0]["test"], "broken");
    EXPECT_EQ(j[0]["status"], "error");
    EXPECT_EQ(j[1]["test"], "deeper/wrong");
    EXPECT_EQ(j[1]["status"], "wrong");
    EXPECT_NE(j[1]["reason"].get<std::string>().find("output 'probabilities' [0, "), std::string::npos);
    EXPECT_EQ(j[2]["test"], "good");
    EXPECT_EQ(j[2]["status"], "pass");
    EXPECT_EQ(j[3]["status"], "skip");
    EXPECT_EQ(j[3]["reason"], "no test_data_set_* directory");
  }
  EXPECT_TRUE(ingot("conformance suite --filter '^go'").out.ends_with("1 passed, 0 failed, 0 skipped\n"));
}

TEST_F(Command, conformance_counts_known_failures_and_refuses_stale_ones) {
  make_test("suite/good", 3, 3);
  make_test("suite/wrong", 3, 4);
  write("known.txt", "# expected\nwrong: the output is of another digit\n");
  const Ran known = ingot("conformance suite --known known.txt");
  EXPECT_EQ(known.status, 0);
  EXPECT_NE(known.out.find("wrong: known failure (wrong): the output is of another digit"), std::string::npos)
      << known.out;
  EXPECT_TRUE(known.out.ends_with("1 passed, 0 failed, 1 skipped\n"));
  write("known.txt", "good: it passes\nwrong: x\n");
  const Ran stale = ingot("conformance suite --known known.txt");
  EXPECT_EQ(stale.status, 1);
  EXPECT_NE(stale.out.find("good: passes, but is listed as a known failure (it passes)"), std::string::npos)
      << stale.out;
}

TEST_F(Command, targets_say_what_runs_here_and_why) {
  const Json j = Json::parse(ingot("targets --json").out, nullptr, false);
  ASSERT_FALSE(j.is_discarded());
  bool some = false;
  for (const auto& t : j) {
    some = some || t["runs_here"] == "yes";
    EXPECT_NE(t["evidence"], "");
  }
  EXPECT_TRUE(some);
}

// Cut anywhere, a file is refused with a message.
TEST_F(Command, survives_truncated_files) {
  ASSERT_EQ(ingot("compile " + kModels + "/digits.onnx -o whole.ingot --target host").status, 0);
  const std::string onnx = read(kModels + "/digits.onnx"), compiled = read(dir_ / "whole.ingot");
  for (int part = 1; part < 8; ++part) {
    write("cut.onnx", onnx.substr(0, onnx.size() * static_cast<size_t>(part) / 8));
    write("cut.ingot", compiled.substr(0, compiled.size() * static_cast<size_t>(part) / 8));
    for (const char* file : {"cut.onnx", "cut.ingot"}) {
      const Ran ran = ingot(std::string("run ") + file + " --random-inputs 1");
      EXPECT_EQ(ran.status, 1) << file << " " << part;
      EXPECT_EQ(ran.err.substr(0, 7), "error: ");
    }
  }
}

}  // namespace
}  // namespace ingot
