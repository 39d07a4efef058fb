// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Stages that the ranks of a run compute, with a journal that holds every finished block.
#pragma once

#include <c10/core/DeviceType.h>

#include <functional>

#include "runner/cluster/comm.h"
#include "runner/cluster/stage_options.h"
#include "runner/journal/group_journal.h"
#include "runner/stages/batch_rows.h"
#include "runner/stages/stage_source.h"

namespace tributary {

class ComputedStages : public StageSource {
 public:
  struct Options {
    StageOptions stage;      //!< of every stage; name, keep and restore are filled in
    c10::DeviceType device;  //!< whose memory may run out
    bool may_halve = true;   //!< where memory runs out, try again with half the rows (on a card that may change bits)
    /// Several threads may compute a unit together where there are fewer units than threads: it changes no bit.
    bool may_share_units = false;
    OnProcessors on_processors{};
    /// Throws where what the units are computed from is not what it was any more. Any thread.
    std::function<void()> require_unchanged = [] {};
  };

  /// All but the options must outlive the stages. `rows` is halved where memory runs out.
  ComputedStages(const Communicator& comm, const GroupJournal& journal, BatchRows& rows, Options options)
      : comm_(comm), journal_(journal), rows_(rows), options_(std::move(options)) {}

  /// Computes what the journal does not hold. A unit that runs out of memory is tried again with half the rows. No
  /// block is written, and no failure is told, without a look at what it was computed from.
  [[nodiscard]] StageResult result_of(const Stage& stage) const override;

 private:
  [[nodiscard]] StageResult unless_changed(const std::function<StageResult()>& run) const;
  void warn_unless_changed(const std::string& text) const;
  template <typename Compute>
  [[nodiscard]] auto with_less_memory(const Compute& compute) const;

  const Communicator& comm_;
  const GroupJournal& journal_;
  BatchRows& rows_;
  Options options_;
};

}  // namespace tributary
