// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a journal keeps of a run besides its blocks: what it is, and who computes it. `finalize` may be another version
// of the program, on a machine without the card that computed: it takes from here what it would work out otherwise.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "runner/job/job.h"
#include "runner/results/results_table.h"

namespace tributary {

struct RunRecord {
  Identities identities;
  std::string configuration;  //!< as YAML
  std::string model_hash, pairs_hash, training_pairs_hash;
  Provenance computing;  //!< computing_facts
};

RunRecord record_of(const Job& job, const Provenance& computing);

std::string json_of(const RunRecord& record);

/// Nothing where there is none, which is so in journals of earlier versions. Throws UserError when it is damaged.
std::optional<RunRecord> read_record(const std::filesystem::path& file);

/// Gives a job that was made ready here the identity of the one that was computed. Throws UserError about `where` when
/// it is not that one: another model, or other pairs.
void take_over(Job& job, const RunRecord& record, const std::filesystem::path& where);

}  // namespace tributary
