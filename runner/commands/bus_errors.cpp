// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/bus_errors.h"

#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>

#include "io/mapped_files.h"
#include "runner/commands/exit_codes.h"

namespace tributary {
namespace {

iovec piece(const char* text) { return {const_cast<char*>(text), std::strlen(text)}; }

/// In a signal handler, where only calls to the system are allowed. A second thread that meets the same hole waits for
/// the end.
void on_bus_error(int /*signal*/, siginfo_t* info, void* /*context*/) {
  static std::atomic_flag told;
  if (told.test_and_set()) {
    for (;;) ::pause();
  }
  const char* const file = file_mapped_at(info->si_addr);
  const std::array<iovec, 3> line = {
      piece("tributary: "), piece(file == nullptr ? "memory" : file),
      piece(file == nullptr
                ? " could not be had (bus error): the machine failed, or this is a bug in tributary\n"
                : ": was cut short while it was in use, or its disk cannot read it any more (bus error). What was "
                  "finished "
                  "is kept: put the file back as it was and give the same command again. A checkpoint that is written "
                  "under another name and then renamed disturbs nobody\n")};
  [[maybe_unused]] const ssize_t written = ::writev(STDERR_FILENO, line.data(), static_cast<int>(line.size()));
  if (file != nullptr) ::_exit(exit_files_changed);
  std::signal(SIGBUS, SIG_DFL);  // ends the process when this returns, with a core file where they are wanted
}

}  // namespace

void name_files_on_bus_errors() {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace tributary
