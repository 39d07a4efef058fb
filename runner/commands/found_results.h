// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the folder of a run holds already, and what that means for the run.
#pragma once

#include <filesystem>
#include <string>

#include "runner/commands/run_arguments.h"
#include "runner/job/job.h"
#include "runner/journal/output_folder.h"

namespace tributary {

struct FoundResults {
  /// These very results; results whose scores are these, evaluated otherwise; those of another run; a file whose bytes
  /// are not those that were written; none.
  enum class What { none, these, same_scores, others, changed } what = What::none;
  /// What is other, for people: "circuit.counts and circuit.ablation"; what is wrong with a changed file; else empty.
  std::string difference{};
};

/// Throws UserError where the folder cannot be looked into, or holds a results.h5 that this program did not write.
FoundResults look_for_results(const std::filesystem::path& folder, const Job& job);

/// The same for a run that is about to write there: with Fresh::yes there is nothing. Throws UserError where they are
/// another run's.
FoundResults results_to_replace(const std::filesystem::path& folder, const Job& job, Fresh fresh);

}  // namespace tributary
