// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The ranks of a run. A null communicator (the default) is one process alone: everything works and no
// MPI is loaded. MPI's layer (runner/mpi) is used here and in messages.cpp, nowhere else, and only by the
// thread that created ScopedMpi. Waiting sleeps between polls, so a waiting rank leaves its core free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/errors.h"

struct MpiLayer;

namespace tributary {

/// Another rank has the reason, and tells it.
class FailedElsewhere : public RuntimeFailure {
 public:
  using RuntimeFailure::RuntimeFailure;
};

/// Another rank cannot go on: its own words. What follows is the end of all ranks.
class RankFailed : public RuntimeFailure {
 public:
  using RuntimeFailure::RuntimeFailure;
};

class Communicator {
 public:
  Communicator() = default;

  [[nodiscard]] bool is_null() const { return ranks_ == nullptr; }
  [[nodiscard]] int rank() const;
  [[nodiscard]] int size() const;
  [[nodiscard]] int local_rank() const;  //!< among the ranks on this node
  [[nodiscard]] int local_size() const;  //!< ranks on this node

  // Collective: every rank calls them, in the same order. All throw RuntimeFailure when MPI fails.

  /// Makes every rank's `values` those of rank 0, sizes included; any length.
  void broadcast(std::vector<std::byte>& values) const;
  void broadcast(std::vector<double>& values) const;
  void broadcast(std::vector<float>& values) const;
  void broadcast(std::vector<std::int32_t>& values) const;
  void broadcast(std::vector<std::int64_t>& values) const;
  void broadcast(std::string& text) const;

  /// True on every rank when every rank says true. What a rank calls after a set-up that may have
  /// failed, so that the others do not wait for it for ever.
  [[nodiscard]] bool agree(bool ok) const;

  /// What every rank passed, by rank, on rank 0; empty elsewhere.
  [[nodiscard]] std::vector<std::string> gather(const std::string& text) const;
  [[nodiscard]] std::vector<std::int64_t> gather(std::int64_t value) const;

  void barrier() const;

  /// Waits until `done` says so, as wait_until; on rank 0 throws RankFailed when another rank has reported trouble. All
  /// waiting goes through here, so a rank that cannot go on never leaves rank 0 waiting for it.
  void wait(const std::function<bool()>& done) const;

  /// What a message of one rank to another is about; each kind arrives in the order in which it was sent.
  enum class Tag { message_head = 1, message_rest = 2, trouble = 3 };
  /// Sends at most 1 GiB to another rank, and returns when MPI has them. Not collective.
  void send(std::span<const std::byte> bytes, int to, Tag tag) const;

  /// A rank other than 0 tells rank 0 why it cannot go on. Not collective.
  void report_trouble(const std::string& text) const;
  /// Rank 0: throws RankFailed when another rank has reported trouble.
  void require_no_trouble() const;

  /// What this rank leaves with when all end in good order with this code, so that the launcher gives it back.
  [[nodiscard]] int exit_code_here(int code) const;
  /// Ends all ranks at once with this exit code. For the top of the program only.
  [[noreturn]] void abort(int exit_code) const;

  /// What talks to MPI. Throws ContractViolation on a null communicator.
  [[nodiscard]] const MpiLayer& mpi() const;

 private:
  friend class ScopedMpi;
  struct Ranks;
  void broadcast_bytes(void* data, std::size_t size) const;
  template <class Container>
  void broadcast_container(Container& values) const;

  std::shared_ptr<const Ranks> ranks_;
};

/// Runs `body`, which need not be the same on every rank, and lets every rank know whether it went well everywhere: for
/// what comes before a collective call. Throws what this rank's body threw, FailedElsewhere where another's did.
/// Collective.
template <typename Body>
void agreed(const Communicator& comm, const Body& body) {
  std::exception_ptr problem;
  try {
    body();
  } catch (...) {
    problem = std::current_exception();
  }
  const bool all_well = comm.agree(problem == nullptr);
  if (problem) std::rethrow_exception(problem);
  if (!all_well) throw FailedElsewhere("another rank could not start; see its message");
}

/// Starts MPI when a launcher has started this process as one of several (runner/mpi/launchers.h), and ends it with the
/// scope; does nothing in a process started alone. Throws UserError where the processes cannot find each other.
class ScopedMpi {
 public:
  ScopedMpi();
  ~ScopedMpi();
  ScopedMpi(const ScopedMpi&) = delete;
  ScopedMpi& operator=(const ScopedMpi&) = delete;

  [[nodiscard]] const Communicator& world() const { return world_; }

 private:
  Communicator world_;
  int exceptions_at_start_;
};

/// Throws RuntimeFailure with what a function of the layer has said, unless that is nothing.
void check_mpi(const char* problem);

/// Polls until `done` says so: first only yielding, then sleeping 0.2 to 2 ms between polls, so that short
/// waits are short and long ones leave the core free.
void wait_until(const std::function<bool()>& done);

}  // namespace tributary
