// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Stages that an earlier run has computed, read from its journal. Computes nothing and writes nothing.
#pragma once

#include "runner/cluster/comm.h"
#include "runner/journal/group_journal.h"
#include "runner/stages/stage_source.h"

namespace tributary {

class JournalledStages : public StageSource {
 public:
  /// Both, and what `warn` refers to, must outlive the stages.
  JournalledStages(const Communicator& comm, const GroupJournal& journal, Warn warn, OnProcessors on_processors = {})
      : comm_(comm), journal_(journal), warn_(std::move(warn)), on_processors_(std::move(on_processors)) {}

  /// Throws UserError where the journal misses units.
  [[nodiscard]] StageResult result_of(const Stage& stage) const override;

 private:
  [[nodiscard]] StageResult read(const Stage& stage) const;

  const Communicator& comm_;
  const GroupJournal& journal_;
  Warn warn_;
  OnProcessors on_processors_;
};

}  // namespace tributary
