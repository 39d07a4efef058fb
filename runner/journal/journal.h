// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a killed run leaves behind: every finished block as a file, written by the rank that computed it before it tells
// rank 0. So blocks are written in parallel, and what rank 0 has heard of is on the disk already. A folder a group of
// runs that are computed together, in it a folder a stage:
//   journal/<group>/group.json                       the runs
//   journal/<group>/<stage>/plan.json                what the stage consists of
//   journal/<group>/<stage>/<lane>.<first>.<n>.block n units of a lane; all.block: the whole stage
//   journal/<group>/<stage>/failed.json              units given up, with their texts
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runner/cluster/units.h"
#include "runner/journal/block_file.h"

namespace tributary {

/// A run as the journal knows it.
struct JournalledRun {
  std::string folder;    //!< of its results, relative to the journal's own parent; "." where they are one
  std::string identity;  //!< of its numbers

  bool operator==(const JournalledRun&) const = default;
};

/// The runs that are computed together, under a name made of their identities.
struct JournalGroup {
  std::string name;
  std::vector<JournalledRun> runs;

  static JournalGroup of(std::vector<JournalledRun> runs);
};

using Warn = std::function<void(const std::string&)>;

/// One stage of a group. Its folder must exist before write().
class StageJournal {
 public:
  StageJournal(std::filesystem::path folder, std::string stage, std::string processor);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  /// Stores what a block has computed; nothing where that is nothing. Any rank, any thread. Throws UserError or
  /// RuntimeFailure when the disk refuses.
  void write(const BlockResult& result, const UnitTable& table) const;

  /// Rank 0: makes the folder and says in it what the stage consists of.
  void begin(const std::string& name, const UnitTable& table) const;

  /// Rank 0, until it gives nothing: what an earlier start has stored. Damaged files are set aside with a warning;
  /// UserError where a block belongs to another stage, or to none of `processors` (empty: any will do).
  std::optional<BlockResult> next(const std::vector<std::string>& processors, const Warn& warn);

  /// Whether next() gave the whole stage at once.
  [[nodiscard]] bool packed() const { return packed_; }
  /// Rank 0: the whole stage in one file instead of many.
  void pack(const BlockResult& everything) const;
  void record_failed(const std::vector<FailedUnit>& failed) const;

 private:
  std::optional<BlockResult> read(const std::filesystem::path& file, const std::vector<std::string>& processors,
                                  const Warn& warn) const;

  std::filesystem::path folder_;
  std::string stage_, processor_;
  std::optional<std::vector<std::filesystem::path>> waiting_;  // files not read yet; none: not looked
  bool packed_ = false;
};

/// The journal of one group.
class GroupJournal {
 public:
  /// `processor`: kind of this rank's; `processors`: of all ranks.
  GroupJournal(const std::filesystem::path& journal, JournalGroup group, std::string processor,
               std::vector<std::string> processors);

  [[nodiscard]] const JournalGroup& group() const { return group_; }
  [[nodiscard]] const std::vector<std::string>& processors() const { return processors_; }

  /// Rank 0: makes the folder.
  void begin() const;
  /// Rank 0: keeps the settings of the group's run number i as YAML, for `tributary finalize`.
  void keep_settings(std::size_t i, const std::string& yaml) const;
  /// Whether this rank sees it.
  [[nodiscard]] bool visible() const;
  /// A stage of the group. Its name is unique in the group.
  [[nodiscard]] StageJournal stage(const std::string& name, const UnitTable& table) const;

 private:
  std::filesystem::path folder_;
  JournalGroup group_;
  std::string processor_;
  std::vector<std::string> processors_;
};

/// journal/ under the folder that a sweep writes to.
std::filesystem::path journal_path(const std::filesystem::path& out);

/// All groups that a journal holds; those that cannot be read are left out with a warning.
std::vector<JournalGroup> journalled_groups(const std::filesystem::path& journal, const Warn& warn);

/// Where keep_settings keeps them.
std::filesystem::path settings_path(const std::filesystem::path& journal, const std::string& group, std::size_t i);

/// Removes a group with all its blocks.
void forget_group(const std::filesystem::path& journal, const std::string& name);

}  // namespace tributary
