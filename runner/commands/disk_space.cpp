// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/disk_space.h"

#include <set>
#include <system_error>

#include "runner/commands/sweep_folder.h"
#include "runner/journal/output_folder.h"
#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

/// Of the scores of single pairs that are kept, `full` bytes for each node or `one` for each of the largest.
std::uint64_t kept_bytes(const Job& job, std::uint64_t full, std::uint64_t one) {
  const std::uint64_t pairs = job.pairs.train.size();
  const Keep& keep = job.config.keep;
  if (keep.what == Keep::What::all) return full * static_cast<std::uint64_t>(job.nodes()) * pairs;
  if (keep.what == Keep::What::largest) return one * static_cast<std::uint64_t>(keep.count) * pairs;
  return 0;
}

/// Float64 sums of a range of layers, of all runs; those of tokens alone are less.
std::uint64_t sum_bytes(const RunGroup& runs, const LayerRange& layers) {
  std::uint64_t bytes = 0;
  for (const Job* job : runs) {
    const std::int64_t nodes = job->layout().nodes_in(layers);
    if (job->config.method.has_neurons()) bytes += 8 * static_cast<std::uint64_t>(nodes * sums_of(job->config));
  }
  return bytes;
}

std::uint64_t bytes_in(const std::filesystem::path& folder) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error)) {
    std::error_code gone;
    const std::uint64_t size = entry.is_regular_file(gone) ? entry.file_size(gone) : 0;
    if (!gone) bytes += size;
  }
  return bytes;
}

}  // namespace

std::uint64_t results_bytes(const Job& job) {
  const std::uint64_t kept = kept_bytes(job, 4, 12);
  return 4 * static_cast<std::uint64_t>(job.nodes()) * static_cast<std::uint64_t>(sums_of(job.config)) + kept +
         (1 << 20);
}

JournalBytes journal_bytes(const RunGroup& runs) {
  const StagePlan plan = plan_attribution(runs);
  std::set<std::int64_t> lanes;
  JournalBytes bytes;
  for (std::size_t unit = 0; unit < plan.units.size(); ++unit) {
    const std::uint64_t sum = sum_bytes(runs, plan.chunks[unit].layers);
    bytes.most += sum;
    if (lanes.insert(plan.units[unit].lane).second) bytes.least += sum;
  }
  for (const Job* job : runs) {
    const std::uint64_t kept = kept_bytes(*job, 8, 16);
    bytes.least += kept;
    bytes.most += kept;
  }
  bytes.most += bytes.least;  // parts and whole at once
  bytes.least *= 2;
  return bytes;
}

void require_room_for_journal(const std::filesystem::path& group, const JournalBytes& bytes) {
  const std::uint64_t there = bytes_in(group);
  if (bytes.least > there) require_room(group, bytes.least - there, "the journal");
  const std::uint64_t free = free_disk_bytes(group);
  if (bytes.most <= there || bytes.most - there <= free) return;
  warn_user(group.string() + " may take up to " + text_of_bytes(bytes.most - there) +
            " more until the results are there, and the disk has " + text_of_bytes(free) +
            "; where that is not enough the run ends, and goes on once there is room");
}

}  // namespace tributary
