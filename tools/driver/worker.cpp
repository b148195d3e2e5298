// See worker.h. Each worker has a pipe for job numbers and one for results; the parent polls the latter.
#include "tools/driver/worker.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <new>
#include <vector>

#include "tools/driver/text.h"

namespace ingot::driver {

namespace {

constexpr int64_t kMaxResultBytes = int64_t{64} << 20;
constexpr int64_t kStderrTail = 300;
constexpr int kOutOfMemoryExit = 77;

struct Process {
  pid_t pid = -1;
  int to = -1, from = -1;
  FILE* errors = nullptr;  // its stderr
  int job = -1;            // -1: idle
  int jobs_done = 0;
  double started = 0;
  std::string received;    // an 8-byte length, then the text
};

bool write_all(int fd, const void* data, size_t size) {
  const char* p = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = write(fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n, size -= static_cast<size_t>(n);
  }
  return true;
}

bool read_all(int fd, void* data, size_t size) {
  char* p = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t n = read(fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n, size -= static_cast<size_t>(n);
  }
  return true;
}

void limit_memory(int64_t bytes) {
  if (bytes <= 0) return;
  long pages = 0;
  if (FILE* f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%ld", &pages) != 1) pages = 0;
    std::fclose(f);
  }
#if !defined(__SANITIZE_ADDRESS__)  // its shadow memory is most of the address space
  const rlim_t limit =
      static_cast<rlim_t>(pages) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + static_cast<rlim_t>(bytes);
  rlimit value{limit, limit};
  setrlimit(RLIMIT_AS, &value);
#endif
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

[[noreturn]] void serve(int from_parent, int to_parent, FILE* errors, int64_t memory_bytes,
                        const std::function<std::string(int)>& job) {
  dup2(fileno(errors), 2);
  dup2(fileno(errors), 1);
  signal(SIGINT, SIG_DFL);
  limit_memory(memory_bytes);
  int32_t number = 0;
  while (read_all(from_parent, &number, sizeof number)) {
    if (ftruncate(2, 0) == 0) lseek(2, 0, SEEK_SET);
    std::string text;
    try {
      text = job(number);
    } catch (const std::bad_alloc&) {
      // The heap may be in any state of fullness: the parent learns of it from the exit status.
      _exit(kOutOfMemoryExit);
    }
    const int64_t size = static_cast<int64_t>(text.size());
    if (!write_all(to_parent, &size, sizeof size) || !write_all(to_parent, text.data(), text.size())) break;
  }
  _exit(0);
}

std::string stderr_tail(FILE* errors) {
  std::fflush(errors);
  const int fd = fileno(errors);
  const off_t end = lseek(fd, 0, SEEK_END);
  const off_t begin = end > kStderrTail ? end - static_cast<off_t>(kStderrTail) : 0;
  std::string tail(static_cast<size_t>(std::max<off_t>(end - begin, 0)), '\0');
  const ssize_t n = pread(fd, tail.data(), tail.size(), begin);
  tail.resize(n > 0 ? static_cast<size_t>(n) : 0);
  while (!tail.empty() && tail.back() == '\n') tail.pop_back();
  return one_line(tail);
}

class Pool {
 public:
  Pool(const WorkerOptions& options, const std::function<std::string(int)>& job) : options_(options), job_(job) {}
  ~Pool() {
    for (Process& p : processes_) stop(p);
  }

  void run(int count, const std::function<void(int, JobResult)>& done) {
    processes_.resize(static_cast<size_t>(std::max(1, std::min(options_.processes, count))));
    int next = 0, finished = 0;
    while (finished < count) {
      for (Process& p : processes_)
        if (p.job < 0 && next < count) finished += give(p, next++, done) ? 0 : 1;
      finished += wait(done);
    }
  }

 private:
  bool start(Process& p) {
    int down[2], up[2];
    if (pipe(down) != 0) return false;
    if (pipe(up) != 0) return close(down[0]), close(down[1]), false;
    p.errors = std::tmpfile();
    std::fflush(stdout), std::fflush(stderr);
    p.pid = p.errors ? fork() : -1;
    if (p.pid == 0) {
      close(down[1]), close(up[0]);
      for (Process& other : processes_)
        if (other.pid > 0) close(other.to), close(other.from);
      serve(down[0], up[1], p.errors, options_.memory_bytes, job_);
    }
    close(down[0]), close(up[1]);
    p.to = down[1], p.from = up[0];
    if (p.pid < 0) {
      stop(p);
      return false;
    }
    return true;
  }

  int stop(Process& p) {  // gives the wait status
    int status = 0;
    if (p.to >= 0) close(p.to);
    if (p.from >= 0) close(p.from);
    if (p.pid > 0) waitpid(p.pid, &status, 0);
    if (p.errors) std::fclose(p.errors);
    p = Process{};
    return status;
  }

  bool give(Process& p, int job, const std::function<void(int, JobResult)>& done) {
    if (p.pid > 0 && p.jobs_done >= kJobsPerProcess) stop(p);
    const auto number = static_cast<int32_t>(job);
    for (int attempt = 0; attempt < 2; ++attempt) {
      if (p.pid < 0 && !start(p)) break;
      p.job = job, p.started = now_seconds(), p.received.clear();
      if (write_all(p.to, &number, sizeof number)) return true;
      stop(p);
    }
    done(job, {JobResult::Outcome::Crashed, fmt::format("no worker process: {}", std::strerror(errno)), 0});
    return false;
  }

  int wait(const std::function<void(int, JobResult)>& done) {
    std::vector<pollfd> fds;
    std::vector<Process*> polled;
    double patience = 60;
    for (Process& p : processes_) {
      if (p.job < 0) continue;
      fds.push_back({p.from, POLLIN, 0});
      polled.push_back(&p);
      patience = std::min(patience, p.started + options_.timeout_s - now_seconds());
    }
    if (fds.empty()) return 0;
    poll(fds.data(), fds.size(), static_cast<int>(std::ceil(std::max(patience, 0.0) * 1000)));
    int finished = 0;
    for (size_t i = 0; i < fds.size(); ++i) finished += attend(*polled[i], fds[i].revents != 0, done) ? 1 : 0;
    return finished;
  }

  // True where the process's job is over.
  bool attend(Process& p, bool readable, const std::function<void(int, JobResult)>& done) {
    const int job = p.job;
    const double seconds = now_seconds() - p.started;
    if (readable) {
      char buffer[1 << 16];
      const ssize_t n = read(p.from, buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) return false;
      if (n <= 0) {
        const std::string tail = stderr_tail(p.errors);
        const int status = stop(p);
        std::string reason = WIFSIGNALED(status)
                                 ? fmt::format("signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)))
                             : WEXITSTATUS(status) == kOutOfMemoryExit
                                 ? fmt::format("out of memory (limit {})", bytes_text(options_.memory_bytes))
                                 : fmt::format("exit status {}", WEXITSTATUS(status));
        if (!tail.empty()) reason += ": " + tail;
        done(job, {JobResult::Outcome::Crashed, std::move(reason), seconds});
        return true;
      }
      p.received.append(buffer, static_cast<size_t>(n));
      int64_t size = 0;
      if (p.received.size() >= sizeof size) {
        std::memcpy(&size, p.received.data(), sizeof size);
        if (size >= 0 && size <= kMaxResultBytes && static_cast<int64_t>(p.received.size() - sizeof size) >= size) {
          p.job = -1, ++p.jobs_done;
          done(job, {JobResult::Outcome::Done, p.received.substr(sizeof size), seconds});
          return true;
        }
      }
    }
    if (seconds < options_.timeout_s) return false;
    kill(p.pid, SIGKILL);
    stop(p);
    done(job, {JobResult::Outcome::TimedOut, fmt::format("took longer than {:g} s", options_.timeout_s), seconds});
    return true;
  }

  const WorkerOptions& options_;
  const std::function<std::string(int)>& job_;
  std::vector<Process> processes_;
};

}  // namespace

void run_isolated(int count, const WorkerOptions& options, const std::function<std::string(int)>& job,
                  const std::function<void(int, JobResult)>& done) {
  Pool(options, job).run(count, done);
}

}  // namespace ingot::driver
