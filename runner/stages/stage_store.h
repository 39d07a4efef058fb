// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A stage's place in the journal of a run that computes it: begun before the first unit, fed block by block, packed
// when all is there.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "runner/cluster/comm.h"
#include "runner/cluster/stage_options.h"
#include "runner/cluster/units.h"
#include "runner/journal/group_journal.h"
#include "runner/journal/stage_journal.h"
#include "runner/stages/stage_source.h"

namespace tributary {

class StageStore {
 public:
  /// Communicator and journal must outlive the store.
  StageStore(const Communicator& comm, const GroupJournal& journal, const Stage& stage);

  [[nodiscard]] const std::filesystem::path& folder() const { return stage_.folder(); }

  /// Makes the stage's folder. Collective; throws on every rank.
  void begin() const;
  /// Writes a block that this rank has computed. Any thread.
  void write(const BlockResult& block) const { stage_.write(block, table_); }
  /// Rank 0: what an earlier start has stored, until it gives nothing.
  std::optional<BlockResult> next(const Warn& warn) { return stage_.next(journal_.accepted(), warn); }
  /// The kinds of processor that computed what next() has given.
  [[nodiscard]] const std::set<std::string>& processors() const { return stage_.processors(); }
  /// So many files of blocks stay as they are: one file of them would be no less to write than they were.
  static constexpr std::int64_t few_files = 8;
  /// Notes the units that failed, or makes one file of a whole stage of many, which warns where the disk has no room
  /// for it: all is there already; leaves a stopped stage as it is. Collective; throws on every rank.
  void end(const StageResult& result, const Warn& warn) const;

 private:
  void pack(const StageResult& result, const Warn& warn) const;

  const Communicator& comm_;
  const GroupJournal& journal_;
  std::string name_;
  UnitTable table_;
  StageJournal stage_;
};

}  // namespace tributary
