// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/memory_needs.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <bit>
#include <map>

#include "attribution/methods/activation_path.h"
#include "attribution/methods/integrate.h"
#include "runner/cluster/workers.h"
#include "runner/job/feature_needs.h"
#include "runner/job/prompts.h"

namespace tributary {
namespace {

constexpr double wide = sizeof(double);
/// Rows of logits in one call at most, and the copies of them: as logits, as logarithms, and what is made of two of
/// them.
constexpr double most_logits = 64;
constexpr double logit_copies = 5;
/// Levels of an adaptive integration, each with its own sum.
constexpr double levels = 7;

double as_double(std::int64_t number) { return static_cast<double>(number); }

bool is_conductance(const Job& run) { return run.config.method.score == ScoreKind::conductance; }
bool is_adaptive(const Job& run) { return run.config.method.quadrature == Quadrature::adaptive; }

/// Numbers of one pair's scores, as rank 0 gets them.
double scores_of(const Job& run) { return as_double(run.nodes()); }

/// The same at one position.
double scores_at_position(const Job& run) {
  double nodes = 0;
  const NodeLayout layout = run.layout();
  for (const NodeTable& table : layout.tables()) {
    if (!table.is_list()) nodes += as_double(table.layers * table.nodes);
  }
  return nodes;
}

/// Numbers that a run's kinds of nodes are read from at one position, of all layers.
double read_at_position(const Job& run) {
  const NodeLayout layout = run.layout();
  return as_double(layout.read_at_position());
}

/// The same of other kinds than neurons: of those the values are kept too.
double kept_at_position(const Job& run) {
  double numbers = 0;
  const NodeLayout layout = run.layout();
  for (const NodeTable& table : layout.tables()) {
    if (table.dims > 1) numbers += as_double(table.layers * table.width());
  }
  return numbers;
}

/// The same of a group's sums over pairs, in bytes.
double bytes_of_sums(const RunGroup& runs, const Longest& longest) {
  double bytes = 0;
  for (const Job* run : runs) {
    bytes += wide * scores_of(*run) * as_double(sums_of(run->config)) + bytes_of_feature_sums(*run, longest.live);
  }
  return bytes;
}

/// What rank 0 and the others hold of a feature that has a score: the node, its score, its place in a ranking.
constexpr double listed_bytes = sizeof(Node) + sizeof(float) + 2 * sizeof(std::int64_t);
/// What results have of it besides scores: dictionary, layer, position, feature and entry.
constexpr double columns_bytes = 5 * sizeof(std::int64_t);

/// Points of a path that are evaluated together for one pair at most.
double points_at_most(const Method& method) {
  if (method.steps != 0) return method.steps;
  if (method.quadrature != Quadrature::adaptive) return pilot_candidates().back().points;
  const double level = samples_held(method.max_points) - 1;             // new points of the finest level
  return method.score == ScoreKind::conductance ? level : 1.5 * level;  // the one before may come with it
}

/// Pairs that an adaptive integration of conductance takes side by side.
std::int64_t pairs_side_by_side(const Method& method, std::int64_t pairs, std::int64_t live, std::int64_t batch_rows) {
  if (method.score != ScoreKind::conductance || method.quadrature != Quadrature::adaptive) return pairs;
  return std::clamp<std::int64_t>(batch_rows / (samples_held(method.max_points) * live), 1, pairs);
}

/// Sequences' rows in the fullest network call of one method, weighed by the part of the network that they go through.
double rows_at_most(const Method& method, const Longest& unit, std::int64_t pairs, std::int64_t batch_rows) {
  const std::int64_t live = unit.live;
  const double cap = as_double(std::max(batch_rows, live));
  const double of_pairs = as_double(pairs_side_by_side(method, pairs, live, batch_rows) * live);
  const double layers = as_double(unit.layers);
  const double steps = points_at_most(method);
  switch (method.path) {
    case PathKind::none:
      return 0;
    case PathKind::embeddings:
      return std::min(cap, of_pairs * steps);
    case PathKind::activations:
      // A call is filled by layers in order, from the first on.
      if (method.quadrature != Quadrature::adaptive) return std::min(cap, of_pairs * steps * layers);
      return as_double(std::max(live, rows_of_adaptive_call(batch_rows, unit.layers * pairs, live)));
  }
  return cap;
}

std::int64_t longest_length(const std::vector<TokenPair>& pairs) {
  std::int64_t length = 0;
  for (const TokenPair& pair : pairs) length = std::max(length, pair.length());
  return length;
}

}  // namespace

Longest longest_of(const RunGroup& runs, std::int64_t workers) {
  const Job& job = *runs.front();
  Longest longest;
  for (const Bucket& bucket : buckets_of(job.pairs.train)) {
    longest.length = std::max(longest.length, bucket.length);
    longest.live = std::max(longest.live, live_positions(job, bucket));
  }
  // Other baselines than the pair's own differ from the first position on.
  const bool shares = std::all_of(runs.begin(), runs.end(),
                                  [](const Job* run) { return run->config.method.baseline == Baseline::pair; });
  if (!shares) longest.live = longest.length;
  const StagePlan plan = plan_attribution(runs);
  longest.pairs = plan.most_pairs(workers);
  for (const Chunk& chunk : plan.chunks) longest.layers = std::max(longest.layers, chunk.layers.count());
  return longest;
}

MemoryNeeds::MemoryNeeds(const RunGroup& runs, const RowBytes& row, const Longest& longest, std::int64_t workers)
    : runs_(runs),
      job_(*runs.front()),
      row_(row),
      workers_(workers),
      longest_(longest),
      layers_(as_double(job_.architecture().layers())),
      width_(as_double(job_.architecture().d_model)),
      real_(job_.exact->score_type() == at::kDouble ? 8 : 4) {}

/// What a method on a path holds of a micro-batch's pairs besides its network calls.
double MemoryNeeds::path_state(const Job& run, std::int64_t pairs, std::int64_t batch_rows) const {
  const Method& method = run.config.method;
  const double layers = as_double(longest_.layers);
  const double of_pair = real_ * layers / layers_ * read_at_position(run) * as_double(longest_.live);
  const double all = of_pair * as_double(pairs);
  const double stream = real_ * layers * width_ * as_double(longest_.live * pairs);
  const double sums = is_adaptive(run) ? levels : 1;
  switch (method.path) {
    case PathKind::none:
      return all + stream;  // gradients of neurons and of the stream
    case PathKind::activations:
      return 3 * all + (1 + sums) * stream;  // gradients, and the differences, in two lists
    case PathKind::embeddings:
      break;
  }
  if (!is_conductance(run)) return method.has_neurons() ? (sums + 1) * all : 0;
  if (!is_adaptive(run)) return 3 * all + 3 * of_pair;  // sums, values and gradients of the point before
  const std::int64_t together = pairs_side_by_side(method, pairs, longest_.live, batch_rows);
  return all + of_pair * as_double(together) * (2.0 * samples_held(method.max_points) + 4);
}

double MemoryNeeds::attribution(std::int64_t batch_rows) const {
  const std::int64_t pairs = std::clamp<std::int64_t>(batch_rows / (2 * longest_.length), 1, longest_.pairs);
  const double live = as_double(longest_.live * pairs);
  const double networks = job_.working == job_.exact ? 1 : 3;  // a float32 tape is twice a bfloat16 one
  double fixed = networks * row_.backward * as_double(pairs * (2 * longest_.live + (longest_.length - longest_.live)));
  double calls = 0;
  double scores = 0;  // of one run at a time
  for (const Job* run : runs_) {
    const Method& method = run->config.method;
    const double rows = rows_at_most(method, longest_, pairs, batch_rows);
    double call = rows * row_.backward;
    fixed += path_state(*run, pairs, batch_rows);
    if (method.has_neurons()) {
      const double read = read_at_position(*run);
      const double kept = real_ * kept_at_position(*run);
      fixed += 3 * networks * kept * live;  // of two prompts, and the products with their differences
      if (method.path == PathKind::embeddings) call += (is_conductance(*run) ? 2 : 1) * real_ * read * rows;
      const double nodes = scores_at_position(*run);
      scores = std::max(scores, nodes * live * (real_ + wide));
      const double positions = method.positions == Positions::keep ? live : as_double(pairs);
      const double nodes_of_tree =
          as_double(static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(pairs))));
      fixed += wide * nodes * positions / as_double(pairs) * nodes_of_tree * as_double(sums_of(run->config));
      // Scores of single pairs: as they are, and on their way to rank 0.
      if (run->config.keep.what == Keep::What::all) fixed += 2 * wide * scores_of(*run) * as_double(longest_.pairs);
    }
    calls = std::max(calls, call);
    scores = std::max(scores, bytes_of_feature_task(*run, {pairs, longest_.live, longest_.pairs}));
  }
  // Sums on their way to the fold: as tensors, in a unit's result, in a block's, and as a message.
  return fixed + 4 * bytes_of_sums(runs_, longest_) + std::max(calls, scores);
}

double MemoryNeeds::circuits(const Job& run, std::int64_t batch_rows) const {
  if (!run.has_circuit()) return 0;
  const double pairs = as_double(plan_curve(run).most_pairs(workers_));
  const double length = as_double(longest_length(run.pairs.test));
  const double read = read_at_position(run);
  double sums = 3 * wide * read * length;  // of mean activations, on their way to the fold
  double values = real_ * read * length;
  switch (run.config.circuit.ablation) {
    case Ablation::zero:
      break;
    case Ablation::mean:
      sums += bytes_of_feature_means(run, plan_lengths(run, run.pairs.test).most_pairs(workers_), length);
      break;
    case Ablation::resample:
      values = 2 * pairs * values + bytes_of_other_features(run, pairs * length);  // as layers, and stacked
      break;
  }
  // Of nodes, and of the numbers of those that have several.
  const double positions = as_double(run.node_positions());
  const double places = 2 * sizeof(std::int32_t) * (as_double(run.nodes()) + 2 * kept_at_position(run) * positions);
  const double streams = real_ * (layers_ + 2) * width_ * length * pairs;
  const double calls = row_.forward * std::max(as_double(batch_rows), pairs * length);  // clean streams take all pairs
  return std::max(sums + row_.forward * as_double(batch_rows),
                  values + places + streams + calls + bytes_of_feature_pass(run, batch_rows));
}

/// Where the whole vocabulary is looked at: steering, the first nodes' neurons, what the model says.
double MemoryNeeds::logits(std::int64_t batch_rows) const {
  const double rows = std::min(most_logits, std::max(1.0, as_double(batch_rows / longest_.length)));
  double features = 0;
  for (const Job* run : runs_) {
    const std::int64_t all_rows = 2 * std::ssize(run->pairs.train) * longest_.length;  // of both prompts
    if (run->config.top > 0)
      features = std::max(features, bytes_of_feature_values(*run, std::min(batch_rows, all_rows)));
  }
  return logit_copies * real_ * as_double(job_.architecture().vocabulary) * rows +
         row_.forward * as_double(batch_rows) + features;
}

double MemoryNeeds::patching(const Job& run, std::int64_t batch_rows) const {
  const bool is_exact = run.config.method.score == ScoreKind::exact;
  if (!is_exact && !run.has_agreement()) return 0;
  const std::int64_t pairs = std::clamp<std::int64_t>(batch_rows / (2 * longest_.length), 1, longest_.pairs);
  const double scores = 3 * wide * scores_of(run) * as_double(pairs);  // as they are, copied, and in the tree
  const double base = row_.backward * as_double(pairs * (longest_.length + longest_.live));
  double moved = 2 * width_;  // numbers a row
  const NodeLayout layout = run.layout();
  for (const NodeTable& table : layout.tables()) {
    if (table.dims > 1) moved = std::max(moved, 2 * width_ + 3 * as_double(table.width()));
  }
  return base + scores + (row_.forward + real_ * moved) * as_double(batch_rows);
}

WorkingThreads working_threads(const RunGroup& runs, int threads, std::int64_t ranks, Sharing sharing) {
  if (sharing == Sharing::none) return {threads, threads, threads, threads};
  const auto of = [&](const StagePlan& plan) {
    return shared_threads(plan.units, plan.at_once, threads, ranks).workers;
  };
  const Job& job = *runs.front();  // the others have its pairs and its units
  return {of(plan_attribution(runs)), of(plan_lengths(job, job.pairs.train)), of(plan_curve(job)), threads};
}

double MemoryNeeds::of_workers(std::int64_t batch_rows, const WorkingThreads& working) const {
  double most = std::max(attribution(batch_rows) * working.attribution, logits(batch_rows) * working.logits);
  for (const Job* run : runs_) {
    most =
        std::max({most, circuits(*run, batch_rows) * working.circuits, patching(*run, batch_rows) * working.patching});
  }
  return most;
}

double MemoryNeeds::rank() const {
  const auto means_of = [this](const Job& run, const std::vector<TokenPair>& pairs) {
    double positions = 0;
    for (const Bucket& bucket : buckets_of(pairs)) positions += as_double(bucket.length);
    return (real_ + wide) * (read_at_position(run) + width_) * positions;  // as they come, and as tensors
  };
  double bytes = 0;
  double circuit = 0;
  for (const Job* run : runs_) {
    bytes += sizeof(float) * scores_of(*run) + listed_bytes * feature_entries(*run, longest_.live);
    if (run->config.method.score == ScoreKind::imported) {  // as given
      bytes += 2 * sizeof(float) * scores_of(*run) + bytes_of_feature_sums(*run, longest_.live);
    }
    if (run->config.method.baseline == Baseline::mean) bytes += means_of(*run, run->pairs.train);
    if (!run->has_circuit()) continue;
    double means = 0;
    if (run->config.circuit.ablation == Ablation::mean) {
      means = means_of(*run, run->pairs.test);
      for (const Bucket& bucket : buckets_of(run->pairs.test))
        means += bytes_of_mean_features(*run, std::ssize(bucket.members), as_double(bucket.length));
    }
    circuit = std::max(circuit, means + (2 * sizeof(std::int32_t) + wide) * as_double(run->nodes()));
  }
  return bytes + circuit;
}

double MemoryNeeds::gathered() const {
  const StagePlan plan = plan_attribution(runs_);
  std::map<std::int64_t, std::pair<std::int64_t, double>> lanes;  // units, and the part of all layers
  for (std::size_t unit = 0; unit < plan.units.size(); ++unit) {
    auto& [units, part] = lanes[plan.units[unit].lane];
    ++units;
    part = as_double(plan.chunks[unit].layers.count()) / layers_;
  }
  double partials = 0;  // nodes of a lane's tree that wait for their siblings
  for (const auto& [lane, size] : lanes) {
    const auto& [units, part] = size;
    const auto waiting = static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(units))) + workers_;
    partials += as_double(std::min(units, waiting)) * part;
  }
  double rows = 0;
  for (const Job* run : runs_) {
    const double pairs = as_double(static_cast<std::int64_t>(run->pairs.train.size()));
    if (run->config.keep.what == Keep::What::all) rows += wide * scores_of(*run) * pairs;
  }
  return partials * bytes_of_sums(runs_, longest_) + rows;
}

double MemoryNeeds::written() const {
  double tables = 0;  // of all runs
  double file = 0;    // of the run that writes most
  double sums = 0;
  for (const Job* run : runs_) {
    const double spread = run->config.spread == TaskOptions::Spread::measure ? 2 : 0;
    const bool keeps = run->config.keep.what == Keep::What::all;
    const double pairs = keeps ? as_double(static_cast<std::int64_t>(run->pairs.train.size())) : 0;
    const double features = feature_entries(*run, longest_.live);
    tables += scores_of(*run) * (sizeof(float) * spread + wide * pairs) + features * sizeof(float) * spread;
    file = std::max(file, sizeof(float) * scores_of(*run) * (1 + spread + pairs) +
                              features * (columns_bytes + sizeof(float) * (1 + spread)));
    // The sums of all lanes, and what they are added up to, before there are tables.
    sums = std::max(sums, 3 * bytes_of_feature_sums(*run, longest_.live));
  }
  return tables +
         std::max(sums,
                  2 * file);  // as HDF5 lays it out, and as the file's bytes; its datasets take the place of tables
}

}  // namespace tributary
