// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/sweep_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <iostream>
#include <string_view>
#include <utility>

#include "common/errors.h"
#include "common/text.h"
#include "io/atomic_file.h"
#include "runner/machine/host.h"

namespace tributary {
namespace {

/// Groups as one list of numbers: how many members, then the members, group after group.
std::vector<std::int64_t> flat(const std::vector<std::vector<std::size_t>>& groups) {
  std::vector<std::int64_t> numbers;
  for (const std::vector<std::size_t>& group : groups) {
    numbers.push_back(std::ssize(group));
    for (const std::size_t member : group) numbers.push_back(static_cast<std::int64_t>(member));
  }
  return numbers;
}

std::vector<std::vector<std::size_t>> unflat(const std::vector<std::int64_t>& numbers) {
  std::vector<std::vector<std::size_t>> groups;
  for (std::size_t at = 0; at < numbers.size();) {
    const auto count = static_cast<std::size_t>(numbers[at++]);
    std::vector<std::size_t>& group = groups.emplace_back();
    for (std::size_t i = 0; i < count; ++i) group.push_back(static_cast<std::size_t>(numbers[at++]));
  }
  return groups;
}

/// A job that Slurm has put back may come before a file system takes its dead node's lock for gone (NFS 4: 90 s).
std::chrono::seconds patience() {
  const char* const restarts = std::getenv("SLURM_RESTART_COUNT");
  return std::chrono::seconds(restarts == nullptr || std::string_view(restarts) == "0" ? 10 : 150);
}

}  // namespace

void warn_user(const std::string& text) { std::cerr << "tributary: warning: " << text << '\n'; }

SweepFolder::SweepFolder(std::filesystem::path out, const Communicator& comm, std::set<std::string> folders)
    : out_(std::move(out)), journal_(journal_path(out_)), comm_(comm), earlier_(out_, std::move(folders)) {
  hosts_ = comm.gather(host_name());
}

void SweepFolder::lock(const std::function<void()>& meanwhile) {
  if (lock_) return meanwhile();
  if (refused_) std::rethrow_exception(refused_);
  const bool is_new = !std::filesystem::exists(journal_);
  make_folder(journal_);
  std::future<void> other = std::async(std::launch::async, meanwhile);
  try {
    lock_ = std::make_unique<FolderLock>(journal_, FolderLock::Times{.patience = patience()});
  } catch (const UserError&) {
    refused_ = std::current_exception();
    throw;
  }
  try {
    other.get();
  } catch (...) {
    lock_.reset();
    std::error_code ignored;
    if (is_new) {  // nothing is left of what was not begun
      std::filesystem::remove(journal_ / "lock", ignored);
      std::filesystem::remove(journal_, ignored);
    }
    throw;
  }
  state_.emplace(journal_, hosts_);
}

std::vector<std::vector<std::size_t>> SweepFolder::group(const std::vector<Candidate>& candidates, Fresh fresh) {
  std::vector<std::int64_t> numbers;
  agreed(comm_, [&] {
    if (comm_.rank() == 0) numbers = flat(group_here(candidates, fresh).groups);
  });
  comm_.broadcast(numbers);
  return unflat(numbers);
}

Grouping SweepFolder::group_here(const std::vector<Candidate>& candidates, Fresh fresh) const {
  std::vector<JournalGroup> known = journalled_groups(journal_, warn_user);
  if (fresh == Fresh::yes) {
    const auto ours = [&candidates](const JournalGroup& group) {
      return std::any_of(group.runs.begin(), group.runs.end(), [&candidates](const JournalledRun& run) {
        return std::any_of(candidates.begin(), candidates.end(), [&run](const Candidate& candidate) {
          return candidate.run.folder == run.folder || candidate.run.identity == run.identity;
        });
      });
    };
    for (const JournalGroup& group : known) {
      if (ours(group)) forget_group(journal_, group.name);
    }
    std::erase_if(known, ours);
  }
  if (const std::vector<std::string> conflicts = conflicting_groups(candidates, known); !conflicts.empty()) {
    throw UserError((journal_ / conflicts.front()).string(),
                    "holds work on another configuration, model or pairs, or of another version (it would be thrown "
                    "away); name another folder with --out, or say --fresh to start over");
  }
  Grouping grouping = group_candidates(candidates, known);
  for (const std::string& name : grouping.unused) {
    warn_user((journal_ / name).string() +
              " holds blocks of runs that are not all in this sweep any more; they are not used");
  }
  return grouping;
}

GroupJournal SweepFolder::open_group(const std::vector<JournalledRun>& runs, const std::string& processor,
                                     bool may_mix) const {
  std::vector<std::string> processors = comm_.gather(processor);
  std::sort(processors.begin(), processors.end());
  processors.erase(std::unique(processors.begin(), processors.end()), processors.end());
  agreed(comm_, [&] {
    if (processors.size() < 2) return;
    const std::string what = "the ranks run on different kinds of processor (" + join(processors, "; ") +
                             "): the last digits will depend on who computes what";
    if (!may_mix) throw UserError("processors", what + "; start them on one kind (sbatch --constraint), or say mixed");
    warn_user(what);
  });
  GroupJournal journal(journal_, JournalGroup::of(runs), {processor, std::move(processors), may_mix});
  agreed(comm_, [&] {
    if (comm_.rank() == 0) journal.begin();
  });
  agreed(comm_, [&] {
    if (!journal.visible()) {
      throw UserError(journal_.string(), fmt::format("is not there on host {} (rank {}): every rank writes what it has "
                                                     "computed; name a folder that all nodes share with --out",
                                                     host_name(), comm_.rank()));
    }
  });
  return journal;
}

}  // namespace tributary
