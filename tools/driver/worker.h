// Runs many small jobs, each isolated: in forked processes with a limit of time and of memory.
//
// A process survives many jobs, since forking one per job costs more than most jobs; it is replaced when it crashes, when
// it exceeds its time, and after kJobsPerProcess jobs (a job may leak). What it writes to stderr is kept, so that the
// message of a failed assertion becomes part of the reason.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace ingot::driver {

inline constexpr int kJobsPerProcess = 500;

struct WorkerOptions {
  int processes = 1;
  double timeout_s = 60;
  int64_t memory_bytes = int64_t{4} << 30;  // address space beyond what a process starts with; 0: no limit
};

struct JobResult {
  enum class Outcome { Done, Crashed, TimedOut } outcome = Outcome::Done;
  std::string text;  // Done: what the job returned; Crashed: "signal 11 (Segmentation fault): <last lines of stderr>"
  double seconds = 0;
};

// Runs job(0) .. job(count - 1), each in some worker, and calls done(i, result) in this process in order of completion. The
// caller must have no other threads.
void run_isolated(int count, const WorkerOptions&, const std::function<std::string(int)>& job,
                  const std::function<void(int, JobResult)>& done);

}  // namespace ingot::driver
