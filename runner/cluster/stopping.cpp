// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/stopping.h"

#include "common/errors.h"

namespace tributary {
namespace {

static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free &&
              std::atomic<StopFlag*>::is_always_lock_free);

// A signal handler gets nothing but the number, so the flag it raises has to be found here.
std::atomic<StopFlag*> flag_of_handler{nullptr};

extern "C" void raise_flag(int signal_number) {
  if (StopFlag* flag = flag_of_handler.load()) flag->request(signal_number);
}

}  // namespace

void StopFlag::request(int signal_number) noexcept {
  int none = 0;
  signal_.compare_exchange_strong(none, signal_number);
  requested_.store(true);
}

void StopFlag::set_deadline(std::chrono::nanoseconds left) noexcept {
  deadline_.store(std::chrono::steady_clock::now().time_since_epoch() + left);
}

ScopedSignalHandler::ScopedSignalHandler(StopFlag& flag) {
  StopFlag* none = nullptr;
  TRIBUTARY_EXPECT(flag_of_handler.compare_exchange_strong(none, &flag), "one signal handler at a time");
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    struct sigaction action {};
    action.sa_handler = raise_flag;
    // SA_RESETHAND gives the second Ctrl-C its default effect: it ends the program.
    action.sa_flags = kSignals[i] == SIGINT ? static_cast<int>(SA_RESTART | SA_RESETHAND) : SA_RESTART;
    sigaction(kSignals[i], &action, &previous_[i]);
  }
}

ScopedSignalHandler::~ScopedSignalHandler() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &previous_[i], nullptr);
  flag_of_handler.store(nullptr);
}

}  // namespace tributary
