// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/estimate.h"

#include <algorithm>
#include <iterator>

#include "attribution/circuit/curve.h"
#include "runner/simulation.h"

namespace tributary {
namespace {

/// Forward passes through one block that the circuits of a run take.
double circuit_cost(const Job& job) {
  if (!job.has_circuit()) return 0;
  const CircuitConfig& circuit = job.config.circuit;
  const std::size_t selections =
      circuit.counts.size() + circuit.fractions.size() + circuit.thresholds.size() + circuit.mass.size();
  const std::size_t passes = 2 + 2 * selections + 2 * std::size(area_fractions);
  return static_cast<double>(passes * job.pairs.test.size()) * static_cast<double>(job.architecture().layers);
}

double doubles_of(const RunGroup& runs, const LayerRange& layers) {
  double numbers = 0;
  for (const Job* job : runs) {
    numbers += job->config.method.has_neurons()
                   ? static_cast<double>(layers.count() * job->node_positions() * job->architecture().neurons)
                   : static_cast<double>(job->node_positions());
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
  for (const Job* run : runs) {
    const double circuits = circuit_cost(*run) * second / workers;
    result.longest_run = std::max(result.longest_run, attribution.seconds + circuits);
    result.seconds += circuits;
  }
  return result;
}

}  // namespace tributary
