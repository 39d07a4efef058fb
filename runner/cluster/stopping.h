// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Stopping early without losing work: signals raise a flag, the stage loop hands out nothing more, and
// what was computed is kept. Slurm announces the end of a job with SIGUSR1 or SIGTERM, people with Ctrl-C.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>

namespace tributary {

/// A request to stop; safe to raise from a signal handler and to read from any thread.
class StopFlag {
 public:
  void request(int signal_number = 0) noexcept;
  [[nodiscard]] bool requested() const noexcept {
    return requested_.load(std::memory_order_relaxed) ||
           std::chrono::steady_clock::now().time_since_epoch() >= deadline_.load(std::memory_order_relaxed);
  }
  /// From `left` from now on the flag counts as raised.
  void set_deadline(std::chrono::nanoseconds left) noexcept;
  /// Whether that time is over, and no signal to this process came before it.
  [[nodiscard]] bool out_of_time() const noexcept {
    return signal_number() == 0 &&
           std::chrono::steady_clock::now().time_since_epoch() >= deadline_.load(std::memory_order_relaxed);
  }
  /// The first signal that asked for it; 0 when it was not a signal of this process.
  [[nodiscard]] int signal_number() const noexcept { return signal_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> requested_{false};
  std::atomic<int> signal_{0};
  std::atomic<std::chrono::nanoseconds> deadline_{std::chrono::nanoseconds::max()};  // on the steady clock
};

/// Thrown by a computation that polls the flag and leaves its unit undone. Not a failure.
class Stopped : public std::exception {
 public:
  enum class Cause { request, time };  //!< time: the flag's own deadline
  explicit Stopped(Cause cause = Cause::request) : cause_(cause) {}

  [[nodiscard]] Cause cause() const noexcept { return cause_; }
  [[nodiscard]] const char* what() const noexcept override {
    return cause_ == Cause::time ? "stopped at the end of the time that --time gives" : "stopped on request";
  }

 private:
  Cause cause_;
};

/// Raises the flag on SIGINT, SIGTERM and SIGUSR1 while it lives; a second Ctrl-C ends the program at
/// once. One at a time.
class ScopedSignalHandler {
 public:
  explicit ScopedSignalHandler(StopFlag& flag);
  ~ScopedSignalHandler();
  ScopedSignalHandler(const ScopedSignalHandler&) = delete;
  ScopedSignalHandler& operator=(const ScopedSignalHandler&) = delete;

 private:
  static constexpr std::array<int, 3> kSignals{SIGINT, SIGTERM, SIGUSR1};
  std::array<struct sigaction, kSignals.size()> previous_{};
};

}  // namespace tributary
