// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "common/errors.h"
#include "runner/job/answers.h"
#include "runner/job/memory_needs.h"
#include "runner/machine/device.h"
#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

/// Rows beyond which a call gets no faster: weights are then read once for many rows, and more rows only leave the
/// cache.
constexpr std::int64_t most_rows_cpu = 1024;
constexpr std::int64_t most_rows_card = 16384;
/// Part of what a job may take that `auto` does.
constexpr double share_of_memory = 0.8;
/// Buffers come and go in many sizes, and the allocator cannot fit them all into one another's places.
constexpr double fragmentation = 1.2;
/// What the matrix libraries keep for a thread on the CPU, measured: their packed operands and compiled kernels.
constexpr double library_bytes = 48 << 20;
/// The same where products are loops of our own: packed rows and a panel.
constexpr double loop_bytes = 8 << 20;

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

/// Whether a weight is read from the file where it is used; what is not was written, all of it.
bool lies_in_file(const Job& job, const at::Tensor& weight) {
  if (!job.device.is_cpu()) return false;
  return job.checkpoint ? is_mapped(weight, *job.checkpoint) : weight.scalar_type() == job.stored_type;
}

/// What a network's weights will hold of this process's memory. Of embedding tables that lie in the file, only rows
/// that are used are read; copies were written whole, and so is all that goes to a card.
std::uint64_t weight_bytes(const RunGroup& runs, const Transformer& network) {
  const Job& job = *runs.front();
  const Weights& w = network.weights();
  const bool whole = &network == job.exact.get() && reads_vocabulary(runs);
  std::uint64_t bytes = block_bytes(w);
  const bool tied = w.unembedding.is_same(w.embedding);
  if (!lies_in_file(job, w.embedding) || (tied && whole)) bytes += w.embedding.nbytes();
  if (!tied && (!lies_in_file(job, w.unembedding) || whole)) bytes += w.unembedding.nbytes();
  return bytes;
}

/// The dictionaries of a group, each once.
std::map<const void*, DictionaryBytes> dictionaries_of(const RunGroup& runs) {
  std::map<const void*, DictionaryBytes> all;
  for (const Job* run : runs) {
    if (run->dictionaries) all[run->dictionaries.get()] = run->dictionary_bytes;
  }
  return all;
}

std::uint64_t mapped_dictionaries(const RunGroup& runs) {
  std::uint64_t bytes = 0;
  for (const auto& [dictionaries, own] : dictionaries_of(runs)) bytes += own.mapped;
  return bytes;
}

std::uint64_t weight_bytes(const RunGroup& runs) {
  const Job& job = *runs.front();
  const std::uint64_t exact = job.exact != job.working ? weight_bytes(runs, *job.exact) : 0;
  return weight_bytes(runs, *job.working) + exact + mapped_dictionaries(runs);
}

/// Of these what holds memory already, whoever of the node's ranks wrote it.
std::uint64_t written_bytes(const RunGroup& runs) {
  const Job& job = *runs.front();
  if (!job.checkpoint) return 0;  // a plan reads no weights
  const auto of = [&job](const Transformer& network) {
    const Weights& w = network.weights();
    const auto written = [&job](const at::Tensor& weight) { return !lies_in_file(job, weight); };
    std::uint64_t bytes = block_bytes(w, written);
    if (written(w.embedding)) bytes += w.embedding.nbytes();
    if (!w.unembedding.is_same(w.embedding) && written(w.unembedding)) bytes += w.unembedding.nbytes();
    return bytes;
  };
  return of(*job.working) + (job.exact != job.working ? of(*job.exact) : 0);
}

/// What this process holds of its own: trying the network has left freed memory, and pages of the checkpoint. Copies of
/// dictionaries are its own too, also where a plan has not made them.
std::uint64_t held_without_weights(const RunGroup& runs) {
  const Job& job = *runs.front();
  if (job.checkpoint) job.checkpoint->release_pages();
  return_freed_memory();
  std::uint64_t held = resident_bytes(), of_files = resident_file_bytes();
  for (const auto& [dictionaries, own] : dictionaries_of(runs)) {
    const std::uint64_t pages = std::min(own.resident, of_files);
    held -= pages;
    of_files -= pages;
    if (!job.checkpoint) held += own.copied;
  }
  return held;
}

/// What a rank on the CPU may hold: an even share of what the job may take of the node, of which the weights lie there
/// once. own: what this rank holds without them.
std::uint64_t share_of_node(const RunGroup& runs, std::uint64_t own, std::uint64_t weights, int ranks_here) {
  const auto ranks = static_cast<std::uint64_t>(ranks_here);
  const std::uint64_t there = ranks * own + written_bytes(runs) + free_host_bytes();
  const std::uint64_t all = std::min(there, slurm_limit(MemorySources::of_process()));
  const auto taken = static_cast<std::uint64_t>(share_of_memory * static_cast<double>(all));
  return taken > weights ? (taken - weights) / ranks + weights : taken;
}

/// Rows in a network call, and what the workers of the rank then hold.
struct WorkerBytes {
  std::int64_t rows;
  double bytes;
};

/// From the most rows that are of use down to a single sequence's, or the number that is asked for.
std::vector<WorkerBytes> choices_of_rows(const Job& job, std::int64_t length,
                                         const std::function<double(std::int64_t)>& bytes_of) {
  if (job.config.batch_rows != 0) return {{job.config.batch_rows, bytes_of(job.config.batch_rows)}};
  std::vector<WorkerBytes> choices;
  for (std::int64_t rows = job.device.is_cpu() ? most_rows_cpu : most_rows_card;; rows /= 2) {
    choices.push_back({rows, bytes_of(rows)});
    if (rows <= length || rows == 1) return choices;
  }
}

}  // namespace

std::string too_little_memory(const MemoryPlan& plan) {
  if (plan.expected_peak <= plan.budget) return "";
  return "may take " + text_of_bytes(plan.expected_peak) + " and should not take more than " +
         text_of_bytes(plan.budget) + " here: the system may end it; give it more memory, or take shorter prompts";
}

std::uint64_t memory_of_node(const MemoryPlan& gatherer, const MemoryPlan& other, std::int64_t ranks) {
  const std::uint64_t others = static_cast<std::uint64_t>(ranks - 1) * (other.expected_peak - other.weights);
  return static_cast<std::uint64_t>(static_cast<double>(gatherer.expected_peak + others) / share_of_memory);
}

MemoryPlan plan_memory(const RunGroup& runs, const RankPlace& place) {
  const Job& job = *runs.front();
  const bool card = !job.device.is_cpu();
  MemoryPlan plan;
  const std::int64_t all_ranks = std::max<std::int64_t>(1, place.workers / place.threads);
  const Sharing sharing = !card && has_own_products(*job.working) ? Sharing::of_units : Sharing::none;
  const auto working_with = [&](int threads) { return working_threads(runs, threads, all_ranks, sharing); };
  const WorkingThreads all_working = working_with(place.threads);
  const Longest longest = longest_of(runs, all_ranks * all_working.attribution);
  plan.row = job.measures->row_bytes(*job.working, longest.length);
  plan.weights = weight_bytes(runs);
  const std::uint64_t own = card ? 0 : held_without_weights(runs);
  const std::uint64_t held = own + plan.weights;
  if (job.config.memory != 0) {
    plan.budget = job.config.memory;
  } else if (card) {
    const double free = share_of_memory * static_cast<double>(free_bytes(job.device));
    plan.budget = held + static_cast<std::uint64_t>(free / place.ranks_here);
  } else {
    plan.budget = share_of_node(runs, own, plan.weights, place.ranks_here);
  }
  const MemoryNeeds needs(runs, plan.row, longest, place.workers);
  const double of_rank = card ? 0 : needs.rank();  // on the host, which has more
  const bool gathers = !card && place.role == RankPlace::Role::gathers;
  const double gathered = gathers ? needs.gathered() : 0;
  const double written = gathers ? of_rank + needs.written() : 0;
  const double bytes_of_thread = sharing == Sharing::of_units ? loop_bytes : library_bytes;
  const auto peak_with = [&](double of_workers, int threads) {
    const double computing = fragmentation * of_workers + (card ? 0 : bytes_of_thread * threads);
    const auto run = held + static_cast<std::uint64_t>(std::max(computing + of_rank + gathered, written));
    return card ? run : std::max(run, peak_resident_bytes() / 32 * 33);  // reading the model may have taken more
  };
  const auto plan_with = [&](int threads) {
    std::optional<MemoryNeeds> of_fewer;  // who get more of the pairs at once
    WorkingThreads working = all_working;
    if (threads != place.threads) {
      working = working_with(threads);
      of_fewer.emplace(runs, plan.row, longest_of(runs, all_ranks * working.attribution), all_ranks * threads);
    }
    const MemoryNeeds& those = of_fewer ? *of_fewer : needs;
    const std::vector<WorkerBytes> choices =
        choices_of_rows(job, longest.length, [&](std::int64_t rows) { return those.of_workers(rows, working); });
    const auto fits = [&](const WorkerBytes& choice) { return peak_with(choice.bytes, threads) <= plan.budget; };
    const auto found = std::find_if(choices.begin(), choices.end(), fits);
    const WorkerBytes& choice = found != choices.end() ? *found : choices.back();
    plan.threads = threads;
    plan.batch_rows = choice.rows;
    plan.expected_peak = peak_with(choice.bytes, threads);
    return found != choices.end();
  };
  // Threads that nobody asked for are fewer where memory is short.
  int threads = place.threads;
  while (!plan_with(threads) && job.config.threads == 0 && threads > 1) --threads;
  if (job.config.memory != 0 && plan.expected_peak > plan.budget) {
    const double gathers_most = std::max(gathered, written - of_rank);
    const bool from_pairs = gathers && gathers_most > static_cast<double>(plan.expected_peak) / 2;
    throw UserError(
        "memory",
        fmt::format("{} are not enough: {} rows in a network call with {} worker thread{} take {}, {} of it for "
                    "weights{}; raise memory{}{}{}",
                    text_of_bytes(plan.budget), plan.batch_rows, plan.threads, plan.threads == 1 ? "" : "s",
                    text_of_bytes(plan.expected_peak), text_of_bytes(plan.weights),
                    gathers ? fmt::format(" and {} for what rank 0 gathers",
                                          text_of_bytes(static_cast<std::uint64_t>(gathers_most)))
                            : "",
                    plan.threads == 1 ? "" : ", or lower threads", job.config.batch_rows != 0 ? ", or batch_rows" : "",
                    from_pairs ? ", or keep the scores of fewer nodes (attribution.keep)" : ""));
  }
  return plan;
}

}  // namespace tributary
