// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The folder that a sweep writes to, as its ranks share it: locked by rank 0, with a journal that all of them write.
#pragma once

#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runner/cluster/comm.h"
#include "runner/commands/earlier_results.h"
#include "runner/commands/run_arguments.h"
#include "runner/journal/folder_lock.h"
#include "runner/journal/group_journal.h"
#include "runner/journal/grouping.h"
#include "runner/journal/state_file.h"

namespace tributary {

class SweepFolder {
 public:
  /// For runs in these folders below `out`, by name. Collective. Touches nothing yet.
  SweepFolder(std::filesystem::path out, const Communicator& comm, std::set<std::string> folders = {});

  /// Rank 0: makes journal/ and takes the lock, once. Throws UserError when another run holds it. `meanwhile` is called
  /// by a thread of its own while the lock settles; what it throws is thrown, and then nothing is locked.
  void lock(const std::function<void()>& meanwhile);

  /// The groups of a sweep's runs, the same on every rank. With Fresh::yes what the journal holds of their folders is
  /// thrown away first. Collective; throws UserError when the journal holds other work for one of the folders.
  [[nodiscard]] std::vector<std::vector<std::size_t>> group(const std::vector<Candidate>& candidates, Fresh fresh);

  /// The journal of a group that this rank computes on this kind of processor; its folder is there on every rank.
  /// Collective; throws UserError where a rank does not see it, or where there are several kinds of processor and they
  /// may not be mixed.
  [[nodiscard]] GroupJournal open_group(const std::vector<JournalledRun>& runs, const std::string& processor,
                                        bool may_mix) const;

  /// Rank 0, once locked: results that the sweep has left under other names.
  [[nodiscard]] EarlierResults& earlier() { return earlier_; }
  [[nodiscard]] const std::filesystem::path& out() const { return out_; }
  /// By rank; on rank 0.
  [[nodiscard]] const std::vector<std::string>& hosts() const { return hosts_; }
  /// Rank 0, once locked.
  [[nodiscard]] StateFile* state() { return state_ ? &*state_ : nullptr; }

 private:
  [[nodiscard]] Grouping group_here(const std::vector<Candidate>& candidates, Fresh fresh) const;

  std::filesystem::path out_, journal_;
  const Communicator& comm_;
  EarlierResults earlier_;
  std::vector<std::string> hosts_;  // by rank; on rank 0
  std::unique_ptr<FolderLock> lock_;
  std::exception_ptr refused_;  // why the lock could not be had: waited for once
  std::optional<StateFile> state_;
};

/// Prints "tributary: warning: …" on standard error.
void warn_user(const std::string& text);

}  // namespace tributary
