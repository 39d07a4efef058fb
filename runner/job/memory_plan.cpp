// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/errors.h"
#include "runner/job/answers.h"
#include "runner/job/prompts.h"
#include "runner/machine/device.h"
#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

/// Rows beyond which a call gets no faster: weights are then read once for many rows, and more rows only leave the
/// cache.
constexpr std::int64_t most_rows_cpu = 1024;
constexpr std::int64_t most_rows_card = 16384;
/// Part of what is free that `auto` takes.
constexpr double share_of_free = 0.8;
/// Buffers come and go in many sizes, and the allocator cannot fit them all into one another's places.
constexpr double fragmentation = 1.2;
/// What the matrix libraries keep for a thread on the CPU, measured: their packed operands and compiled kernels.
constexpr double library_bytes = 48 << 20;

/// Sequences' rows in the fullest network call of one method, weighed by the part of the network that they go through.
double rows_at_most(const Job& job, std::int64_t pairs, std::int64_t live, std::int64_t batch_rows) {
  const Method& method = job.config.method;
  const auto cap = static_cast<double>(std::max(batch_rows, live));
  const auto of_pairs = static_cast<double>(pairs * live);
  const auto layers = static_cast<double>(job.architecture().layers());
  const double steps = method.steps != 0 ? method.steps : 16;  // adaptive, pilot: 17 points, one of them known
  switch (method.path) {
    case PathKind::none:
      return 0;
    case PathKind::embeddings:
      return std::min(cap, of_pairs * steps);
    case PathKind::activations: {
      // A call is filled by layers in order, from the first on; adaptive: two points of each, then many of the first.
      const double points = method.steps != 0 ? steps * layers : std::max(steps, 2 * layers);
      return std::min(cap, of_pairs * points);
    }
  }
  return cap;
}

struct Sizes {
  double fixed = 0;  // bytes of one worker whatever the rows of a call
  double rows = 0;   // rows of tape in the fullest call
};

Sizes sizes_of(const RunGroup& runs, const RowBytes& row, std::int64_t length, std::int64_t live, std::int64_t pairs,
               std::int64_t batch_rows) {
  const Job& job = *runs.front();
  const Architecture& a = job.architecture();
  const std::int64_t together = std::min(pairs, std::max<std::int64_t>(1, batch_rows / (2 * length)));
  Sizes sizes;
  const double networks = job.working == job.exact ? 1 : 3;  // a float32 tape is twice a bfloat16 one
  sizes.fixed += networks * row.backward * static_cast<double>(together * (2 * live + (length - live)));
  const auto nodes = static_cast<double>(a.layers() * a.neurons);
  for (const Job* run : runs) {
    const Method& method = run->config.method;
    sizes.rows = std::max(sizes.rows, rows_at_most(*run, together, live, batch_rows));
    if (!method.has_neurons()) continue;
    // Scores in float32 and float64, and the sums over pairs on their way to the fold.
    const auto sums = static_cast<double>(sums_of(run->config));
    sizes.fixed += nodes * static_cast<double>(live) * (12.0 * static_cast<double>(together) + 8 * 4 * sums);
    // Scores of single pairs: as they are, joined, and on their way to rank 0.
    if (run->config.keep.what == Keep::What::all) sizes.fixed += nodes * static_cast<double>(length * pairs) * 8 * 3;
    if (method.path != PathKind::embeddings) continue;
    sizes.fixed += nodes * static_cast<double>(live * together) * 4 * 3;  // mean gradients, conductances, their last
    // Values and gradients of every row of a call, float32.
    sizes.fixed += nodes * rows_at_most(*run, together, live, batch_rows) * 4 * 2;
  }
  return sizes;
}

/// The longest prompts decide, with the fewest shared positions.
struct Longest {
  std::int64_t length = 0, live = 0;
};

Longest longest_of(const Job& job) {
  Longest longest;
  for (const Bucket& bucket : buckets_of(job.pairs.train)) {
    const std::int64_t shared = job.config.unpaired ? 0 : shared_positions(job.pairs.train, bucket.members);
    longest = {bucket.length, bucket.length - shared};
  }
  return longest;
}

/// Whether a weight lies in the checkpoint's own mapping.
bool is_mapped(const at::Tensor& weight, const Checkpoint& checkpoint) {
  const auto* data = static_cast<const std::byte*>(weight.data_ptr());
  return std::any_of(checkpoint.tensors().begin(), checkpoint.tensors().end(), [data](const auto& named) {
    return data >= named.second.data && data < named.second.data + named.second.bytes;
  });
}

/// Whether logits of all tokens are computed, so that the unembedding is read whole.
bool reads_vocabulary(const RunGroup& runs) {
  return std::any_of(runs.begin(), runs.end(), [](const Job* run) {
    return (run->config.top > 0 && run->config.method.has_neurons()) || run->has_steering() || !sign_tells(*run);
  });
}

/// What a network's weights will hold of this process's memory. Of embedding tables that lie in the file, only rows
/// that are used are read; copies were written whole, and so is all that goes to a card.
std::uint64_t weight_bytes(const RunGroup& runs, const Transformer& network) {
  const Job& job = *runs.front();
  const Weights& w = network.weights();
  const bool whole = &network == job.exact.get() && reads_vocabulary(runs);
  const auto lies_in_file = [&](const at::Tensor& table) {
    if (!job.device.is_cpu()) return false;
    return job.checkpoint ? is_mapped(table, *job.checkpoint) : table.scalar_type() == job.stored_type;
  };
  std::uint64_t bytes = block_bytes(w);
  const bool tied = w.unembedding.is_same(w.embedding);
  if (!lies_in_file(w.embedding) || (tied && whole)) bytes += w.embedding.nbytes();
  if (!tied && (!lies_in_file(w.unembedding) || whole)) bytes += w.unembedding.nbytes();
  return bytes;
}

std::uint64_t weight_bytes(const RunGroup& runs) {
  const Job& job = *runs.front();
  return weight_bytes(runs, *job.working) + (job.exact != job.working ? weight_bytes(runs, *job.exact) : 0);
}

/// Resident memory once all weights have been used.
std::uint64_t resident_with_weights(const RunGroup& runs) {
  if (const auto& checkpoint = runs.front()->checkpoint) checkpoint->release_pages();
  return resident_bytes() + weight_bytes(runs);
}

}  // namespace

MemoryPlan plan_memory(const RunGroup& runs, int threads, int ranks_here) {
  const Job& job = *runs.front();
  const bool card = !job.device.is_cpu();
  MemoryPlan plan;
  const Longest longest = longest_of(job);
  plan.row = job.measures->row_bytes(*job.working, longest.length);
  const std::uint64_t held = card ? weight_bytes(runs) : resident_with_weights(runs);
  const auto share_of = [&](std::uint64_t free) {
    return held + static_cast<std::uint64_t>(share_of_free * static_cast<double>(free) / ranks_here);
  };
  plan.budget = job.config.memory != 0 ? job.config.memory : share_of(free_bytes(job.device));
  std::int64_t pairs = 1;
  for (const Chunk& chunk : plan_attribution(runs).chunks) {
    pairs = std::max(pairs, static_cast<std::int64_t>(chunk.members.size()));
  }
  const auto peak_with = [&](std::int64_t rows) {
    const Sizes sizes = sizes_of(runs, plan.row, longest.length, longest.live, pairs, rows);
    const double forward = plan.row.forward * static_cast<double>(rows);  // true effects, circuits
    const double one = sizes.fixed + std::max(sizes.rows * plan.row.backward, forward);
    const double each = fragmentation * one + (card ? 0 : library_bytes);
    const auto run = held + static_cast<std::uint64_t>(each * threads);
    return card ? run : std::max(run, peak_resident_bytes() / 32 * 33);  // reading the model may have taken more
  };
  const std::int64_t most = card ? most_rows_card : most_rows_cpu;
  std::int64_t rows = job.config.batch_rows != 0 ? job.config.batch_rows : most;
  while (job.config.batch_rows == 0 && rows > longest.length && peak_with(rows) > plan.budget) rows /= 2;
  plan.batch_rows = std::max<std::int64_t>(rows, 1);
  plan.expected_peak = peak_with(plan.batch_rows);
  if (job.config.memory != 0 && plan.expected_peak > plan.budget) {
    throw UserError(
        "memory",
        fmt::format("{} are not enough: {} rows in a network call with {} worker threads take {}, {} of it for "
                    "weights; raise memory, or lower threads{}",
                    text_of_bytes(plan.budget), plan.batch_rows, threads, text_of_bytes(plan.expected_peak),
                    text_of_bytes(weight_bytes(runs)), job.config.batch_rows != 0 ? " or batch_rows" : ""));
  }
  return plan;
}

}  // namespace tributary
