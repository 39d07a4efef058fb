// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/stage_store.h"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <set>
#include <string>

#include "runner/cluster/block_codec.h"
#include "runner/cluster/fold.h"

namespace tributary {
namespace {

/// A whole stage as one block, whose numbers stay where they are.
BlockView whole_stage(const UnitTable& table, const StageResult& result) {
  BlockView all;
  for (std::int64_t lane = 0; lane < table.lanes(); ++lane) {
    const int level = LaneFold::root_level(table.lane_size(lane));
    const auto place = static_cast<std::size_t>(lane);
    all.nodes.push_back({lane, level, 0, result.sums[place], view_of(result.sparse[place])});
  }
  for (std::int64_t unit = 0; unit < table.size(); ++unit) {
    const std::vector<double>& rows = result.rows[static_cast<std::size_t>(unit)];
    if (!rows.empty()) all.rows.push_back({unit, rows});
  }
  return all;
}

}  // namespace

StageStore::StageStore(const Communicator& comm, const GroupJournal& journal, const Stage& stage)
    : comm_(comm),
      journal_(journal),
      name_(stage.full_name()),
      table_(stage.units),
      stage_(journal.stage(name_, table_)) {}

void StageStore::begin() const {
  agreed(comm_, [this] {
    if (comm_.rank() == 0) stage_.begin(name_, table_);
  });
}

void StageStore::end(const StageResult& result, const Warn& warn) const {
  agreed(comm_, [&] {
    if (comm_.rank() != 0 || result.stopped) return;
    if (result.any_failed) return stage_.record_failed(result.failed);
    pack(result, warn);
  });
}

/// A file names the one kind of processor that computed it: blocks of several stay as they are.
void StageStore::pack(const StageResult& result, const Warn& warn) const {
  std::set<std::string> kinds(journal_.processors().begin(), journal_.processors().end());
  kinds.insert(stage_.processors().begin(), stage_.processors().end());
  if (kinds.size() != 1 || stage_.packed()) return;
  try {
    if (stage_.files() <= few_files && result.restored == 0) return;  // an earlier start's may overlap
    stage_.pack(whole_stage(table_, result));
  } catch (const std::exception& error) {
    if (warn) warn(std::string(error.what()) + " (only to make one file of many: the blocks stay as they are)");
  }
}

}  // namespace tributary
