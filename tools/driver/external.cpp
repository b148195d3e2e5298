// A model that is compiled here and runs elsewhere: by a command, of another machine's code mostly ("qemu-aarch64 RUNNER"),
// that takes MODEL.ingot, an .npy per input ("-": absent) and -o DIR, and writes DIR/OUT0.npy, ... (tests/aarch64/runner.c).
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "compiler/compile.h"
#include "frontend/onnx/dtype.h"
#include "tools/driver/data_set.h"
#include "tools/driver/executable.h"
#include "tools/driver/files.h"
#include "tools/driver/npy.h"
#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

constexpr int64_t kMaxMessageBytes = 1 << 16;  // of what the command says where it fails

// A directory that goes with the object.
class TemporaryDirectory {
 public:
  ~TemporaryDirectory() {
    std::error_code ec;
    if (!path_.empty()) std::filesystem::remove_all(path_, ec);
  }
  Result<void> make() {
    std::error_code ec;
    std::string pattern = (std::filesystem::temp_directory_path(ec) / "ingot-XXXXXX").string();
    if (!mkdtemp(pattern.data())) return io_error("cannot make the directory {}: {}", pattern, std::strerror(errno));
    path_ = pattern;
    return {};
  }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The wait status of a command whose output goes to a file. It ends with the thread that waits for it.
Result<int> execute(const std::vector<std::string>& words, const std::string& output_path, int threads) {
  std::vector<char*> argv;
  for (const std::string& w : words) argv.push_back(const_cast<char*>(w.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return io_error("cannot start {}: {}", words.front(), std::strerror(errno));
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = open(output_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0) dup2(fd, 1), dup2(fd, 2);
    if (threads > 0) setenv("INGOT_NUM_THREADS", std::to_string(threads).c_str(), 1);
    execvp(argv[0], argv.data());
    dprintf(2, "cannot start %s: %s\n", argv[0], std::strerror(errno));
    _exit(127);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return io_error("cannot wait for {}: {}", words.front(), std::strerror(errno));
  return status;
}

class External final : public Executable {
 public:
  Result<void> prepare(ModelSource source, const LoadOptions& options) {
    for (size_t at = 0; at < options.runner.size();) {
      const size_t end = std::min(options.runner.find(' ', at), options.runner.size());
      if (end > at) command_.push_back(options.runner.substr(at, end - at));
      at = end + 1;
    }
    if (command_.empty()) return invalid("got an empty command, expected one that runs a model");
    const std::string path = source.path;
    ModelSource imported(TRY(import_model(std::move(source))));
    imported.path = path;
    for (const Value* v : imported.graph->body.inputs) inputs_.push_back({v->name, v->type, may_stay_unset(*v)});
    TRY(directory_.make());
    CompileModelOptions compile;
    compile.targets = options.targets;
    compile.jobs = options.jobs;
    compile.pipeline = pipeline_of(options);
    threads_ = options.threads;
    const auto model = TRY(compile_model(std::move(imported), compile));
    // Known by the compiler's inference; of the type only the element matters here.
    for (const ModelFile::Port& p : model->file.outputs) {
      const bool tensor = p.levels.size() == 1 && !p.any_rank;
      const DType element = onnx::dtype_of(p.dtype);
      if (!tensor || element == DType::String)
        return unsupported("output '{}' is {}, expected a tensor of numbers: it travels as .npy", p.name, type_text(p));
      outputs_.push_back({p.name, Type::of({element, {}})});
    }
    const std::vector<uint8_t> bytes = TRY(ingot_bytes(model->file));
    return write_file(directory_.file("model.ingot"), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }

  Result<void> bind(std::vector<HostValue> inputs) override {
    TRY(check_inputs(inputs_, inputs));
    arguments_ = {directory_.file("model.ingot")};
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].kind == HostValue::Kind::None) {
        arguments_.emplace_back("-");
        continue;
      }
      if (!inputs[i].is_tensor() || inputs[i].tensor->dtype == DType::String)
        return unsupported("input '{}' is {}, expected a tensor of numbers: it travels as .npy", inputs_[i].name,
                           inputs[i].type().str());
      arguments_.push_back(directory_.file(fmt::format("IN{}.npy", i)));
      TRY(write_file(arguments_.back(), format_npy(*inputs[i].tensor)));
    }
    arguments_.insert(arguments_.end(), {"-o", directory_.path()});
    return {};
  }

  Result<void> run() override {
    std::error_code ec;
    for (size_t i = 0; i < outputs_.size(); ++i) std::filesystem::remove(output_path(i), ec);
    std::vector<std::string> words = command_;
    words.insert(words.end(), arguments_.begin(), arguments_.end());
    const std::string log = directory_.file("log");
    const int status = TRY(execute(words, log, threads_));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    const auto said = read_file(log, kMaxMessageBytes);
    const std::string how = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                                : fmt::format("status {}", WEXITSTATUS(status));
    return invalid("{} ended with {}: {}", base_name(command_.back()), how, said ? one_line(*said, 600) : "");
  }

  Result<std::vector<HostValue>> fetch() override {
    std::vector<HostValue> values;
    for (size_t i = 0; i < outputs_.size(); ++i) values.push_back(TRY(load_value(output_path(i), outputs_[i].type)));
    return values;
  }

  int threads() const override { return std::max(threads_, 1); }
  std::string description() const override { return base_name(command_.back()); }

 private:
  std::string output_path(size_t i) const { return directory_.file(fmt::format("OUT{}.npy", i)); }

  TemporaryDirectory directory_;
  std::vector<std::string> command_, arguments_;
  int threads_ = 0;
};

}  // namespace

Result<std::unique_ptr<Executable>> make_external(ModelSource source, const LoadOptions& options) {
  auto external = std::make_unique<External>();
  TRY(external->prepare(std::move(source), options));
  return std::unique_ptr<Executable>(std::move(external));
}

}  // namespace ingot::driver
