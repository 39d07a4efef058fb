// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The folders of a journal: one for each group of runs that are computed together, in it one for each stage.
//   journal/<group>/group.json   the runs
//   journal/<group>/run-<i>.yaml the settings of run number i
//   journal/<group>/run-<i>.json who computes it, and as what
//   journal/<group>/<stage>/     the stage's blocks (stage_journal.h)
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "runner/cluster/units.h"
#include "runner/journal/stage_journal.h"

namespace tributary {

/// A run as the journal knows it.
struct JournalledRun {
  std::string folder;    //!< of its results, relative to the journal's own parent; "." where they are one
  std::string identity;  //!< of its scores

  bool operator==(const JournalledRun&) const = default;
};

/// The runs that are computed together, under a name made of their identities: wherever their results lie, and
/// whatever is evaluated with their scores.
struct JournalGroup {
  std::string name;
  std::vector<JournalledRun> runs;

  static JournalGroup of(std::vector<JournalledRun> runs);
};

/// The kinds of processor that compute a group: sums of two kinds differ in their last digits.
struct Processors {
  std::string here;              //!< this rank's; empty: nothing is computed
  std::vector<std::string> all;  //!< of all ranks, each once
  bool may_mix = true;           //!< whether blocks of other kinds are taken
};

/// The journal of one group.
class GroupJournal {
 public:
  /// For reading alone: blocks of any kind of processor.
  GroupJournal(const std::filesystem::path& journal, JournalGroup group)
      : GroupJournal(journal, std::move(group), {}) {}
  /// For writing too.
  GroupJournal(const std::filesystem::path& journal, JournalGroup group, Processors processors);

  [[nodiscard]] const JournalGroup& group() const { return group_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] const std::vector<std::string>& processors() const { return processors_.all; }
  /// Of those the ones whose blocks are taken; empty: all are.
  [[nodiscard]] std::vector<std::string> accepted() const {
    return processors_.may_mix ? std::vector<std::string>() : processors_.all;
  }

  /// Rank 0: makes the folder.
  void begin() const;
  /// Rank 0: keeps the settings of the group's run number i as YAML, for `tributary finalize`, …
  void keep_settings(std::size_t i, const std::string& yaml) const;
  /// … and what it would otherwise work out by itself, on another machine and with another version perhaps, as JSON.
  void keep_record(std::size_t i, const std::string& json) const;
  /// Whether this rank sees it.
  [[nodiscard]] bool visible() const;
  /// A stage of the group. Its name is unique in the group.
  [[nodiscard]] StageJournal stage(const std::string& name, const UnitTable& table) const;

 private:
  std::filesystem::path folder_;
  JournalGroup group_;
  Processors processors_;
};

/// journal/ under the folder that a sweep writes to.
std::filesystem::path journal_path(const std::filesystem::path& out);

/// All groups that a journal holds; those that cannot be read are left out with a warning. Throws UserError where one
/// names a run outside the folder that the journal lies in.
std::vector<JournalGroup> journalled_groups(const std::filesystem::path& journal, const Warn& warn);

/// Where keep_settings keeps them.
std::filesystem::path settings_path(const std::filesystem::path& journal, const std::string& group, std::size_t i);
/// Where keep_record keeps it.
std::filesystem::path record_path(const std::filesystem::path& journal, const std::string& group, std::size_t i);

/// Removes a group with all its blocks.
void forget_group(const std::filesystem::path& journal, const std::string& name);

}  // namespace tributary
