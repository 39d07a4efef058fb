// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/estimate.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "attribution/circuit/curve.h"
#include "runner/cluster/simulation.h"
#include "runner/job/identity.h"

namespace tributary {
namespace {

/// Forward passes through one block that the circuits of a run take.
double circuit_cost(const Job& job) {
  if (!job.has_circuit()) return 0;
  const CircuitConfig& circuit = job.config.circuit;
  const std::size_t selections =
      circuit.counts.size() + circuit.fractions.size() + circuit.thresholds.size() + circuit.mass.size();
  const std::size_t passes = 2 + 2 * selections + 2 * std::size(area_fractions);
  return static_cast<double>(passes * job.pairs.test.size()) * static_cast<double>(job.architecture().layers());
}

/// The same of its steering.
double steering_cost(const Job& job) {
  if (!job.has_steering()) return 0;
  const auto passes = static_cast<double>(1 + job.config.steering.factors.size());
  return passes * static_cast<double>(job.pairs.test.size()) * static_cast<double>(job.architecture().layers());
}

/// The same of what a group's agreement takes: its sample, and exact patching once for every baseline and direction.
double agreement_cost(const RunGroup& runs) {
  std::set<std::string> truths;
  for (const Job* run : runs) {
    if (run->has_agreement()) truths.insert(truth_of(*run));
  }
  if (truths.empty()) return 0;
  const Job& job = *runs.front();
  const auto pairs = static_cast<double>(job.pairs.train.size());
  const auto layers = static_cast<double>(job.architecture().layers());
  constexpr double sample_passes = 6;  // clean, counterfactual, and a backward pass each for AtP and RelP
  const double patching = static_cast<double>(job.config.agreement.sample) * layers / 2;
  return pairs * (sample_passes * layers + patching * static_cast<double>(truths.size()));
}

double doubles_of(const RunGroup& runs, const LayerRange& layers) {
  double numbers = 0;
  for (const Job* job : runs) {
    const std::int64_t nodes = job->config.method.has_neurons()
                                   ? layers.count() * job->node_positions() * job->architecture().neurons
                                   : job->node_positions();
    numbers += static_cast<double>(nodes * sums_of(job->config));
  }
  return numbers;
}

}  // namespace

void Estimate::add(const Estimate& other) {
  const double both = seconds + other.seconds;
  if (both > 0) efficiency = (efficiency * seconds + other.efficiency * other.seconds) / both;
  seconds = both;
  bytes_per_second = std::max(bytes_per_second, other.bytes_per_second);
  peak_bytes = std::max(peak_bytes, other.peak_bytes);
  longest_run = std::max(longest_run, other.longest_run);
}

Estimate estimate(const RunGroup& runs, int ranks, int threads) {
  const Job& job = *runs.front();
  const StagePlan plan = plan_attribution(runs);
  const double second = job.measures->seconds_of_block(*job.working, job.pairs.train.front().length());
  std::vector<SimulatedUnit> units;
  for (std::size_t i = 0; i < plan.units.size(); ++i) {
    units.push_back({plan.units[i], plan.units[i].cost * second, 8 * doubles_of(runs, plan.chunks[i].layers)});
  }
  ClusterModel model;
  model.ranks = ranks;
  model.threads = threads;
  const SimulationResult attribution = simulate(units, model);
  Estimate result;
  result.seconds = attribution.seconds;
  result.efficiency = attribution.efficiency;
  result.bytes_per_second = attribution.bytes_in / attribution.seconds;
  result.peak_bytes = attribution.peak_bytes;
  const double workers = static_cast<double>(ranks) * threads;
  const double agreement = agreement_cost(runs) * second / workers;
  result.seconds += agreement;
  for (const Job* run : runs) {
    const double own = (circuit_cost(*run) + steering_cost(*run)) * second / workers;
    result.longest_run = std::max(result.longest_run, attribution.seconds + agreement + own);
    result.seconds += own;
  }
  return result;
}

}  // namespace tributary
