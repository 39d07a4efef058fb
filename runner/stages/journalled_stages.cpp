// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/journalled_stages.h"

#include <filesystem>

#include "common/errors.h"
#include "runner/cluster/fold_sink.h"
#include "runner/cluster/units.h"
#include "runner/journal/spent_time.h"

namespace tributary {

StageResult JournalledStages::result_of(const Stage& stage) const {
  StageResult result;
  agreed(comm_, [&] {
    if (comm_.rank() == 0) result = read(stage);
  });
  return result;
}

StageResult JournalledStages::read(const Stage& stage) const {
  const UnitTable table(stage.units);
  StageJournal journal = journal_.stage(stage.full_name(), table);
  FoldSink sink(table);
  StageResult result;
  if (std::filesystem::exists(journal.folder())) {
    while (std::optional<BlockResult> block = journal.next({}, warn_)) {
      if (sink.has_any_of(*block)) continue;  // computed twice, by ranks that outlived rank 0 for a moment
      result.restored += sink.amount_in(*block).units;
      sink.add(std::move(*block));
    }
  }
  if (on_processors_) on_processors_(journal.processors());
  if (result.restored < table.size()) {
    throw UserError(
        "", "the journal misses units of stage '" + stage.name + "'; the command that began the run computes them");
  }
  result.earlier_seconds = spent_seconds(journal.folder());
  result.sums = sink.take_sums();
  result.sparse = sink.take_sparse();
  result.rows = sink.take_rows();
  return result;
}

}  // namespace tributary
