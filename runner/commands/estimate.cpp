// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/estimate.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>

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
  const std::size_t areas = circuit.areas ? 2 * std::size(area_fractions) : 0;
  const std::size_t passes = 2 + 2 * selections + areas;
  return static_cast<double>(passes * job.pairs.test.size()) * static_cast<double>(job.architecture().layers());
}

/// The same of its first neurons' values on the training pairs.
double top_cost(const Job& job) {
  if (!job.config.method.has_neurons()) return 0;
  const std::int64_t prompts = (job.config.unpaired ? 1 : 2) * std::ssize(job.pairs.train);
  return static_cast<double>(prompts * job.architecture().layers());
}

/// The same of its steering.
double steering_cost(const Job& job) {
  if (!job.has_steering()) return 0;
  const auto passes = static_cast<double>(1 + job.config.steering.factors.size());
  return passes * static_cast<double>(job.pairs.test.size()) * static_cast<double>(job.architecture().layers());
}

/// Of a group those that are compared with exact patching.
RunGroup compared_runs(const RunGroup& runs) {
  RunGroup compared;
  std::copy_if(runs.begin(), runs.end(), std::back_inserter(compared),
               [](const Job* run) { return run->has_agreement(); });
  return compared;
}

/// The same of exact patching for a group's agreement: the drawn neurons once for every baseline and direction, the
/// first ones of each run (at most: runs may share some).
double patching_cost(const RunGroup& compared) {
  if (compared.empty()) return 0;
  std::int64_t neurons = 0;
  std::map<std::pair<std::string, std::uint64_t>, std::int64_t> drawn;  // by truth and seed: the larger draw counts
  for (const Job* run : compared) {
    const AgreementConfig& asked = run->config.agreement;
    const NodeLayout layout = run->layout();
    for (std::size_t kind = 0; kind < layout.kinds(); ++kind) {
      const std::int64_t sample = std::min(asked.sample, layout.nodes(kind));
      const std::int64_t tops = sample / 2;
      neurons += tops;
      std::int64_t& most = drawn[{truth_of(*run) + name_of(layout.tables()[kind].kind), asked.seed}];
      most = std::max(most, sample - tops);
    }
  }
  for (const auto& [truth, most] : drawn) neurons += most;
  const Job& job = *compared.front();
  return static_cast<double>(neurons) * static_cast<double>(job.pairs.train.size()) *
         static_cast<double>(job.architecture().layers()) / 2;
}

double doubles_of(const RunGroup& runs, const LayerRange& layers) {
  double numbers = 0;
  for (const Job* job : runs) {
    numbers += static_cast<double>(job->layout().nodes_in(layers) * sums_of(job->config));
  }
  return numbers;
}

/// Attribution on a cluster; second: of a forward pass through one block.
SimulationResult simulated_attribution(const RunGroup& runs, double second, int ranks, int threads) {
  const StagePlan plan = plan_attribution(runs);
  std::vector<SimulatedUnit> units;
  for (std::size_t i = 0; i < plan.units.size(); ++i) {
    units.push_back({plan.units[i], plan.units[i].cost * second, 8 * doubles_of(runs, plan.chunks[i].layers)});
  }
  ClusterModel model;
  model.ranks = ranks;
  model.threads = threads;
  return simulate(units, model);
}

/// Of a forward pass through one block.
double second_of_block(const Job& job) {
  const std::int64_t length = job.pairs.train.front().length();
  if (job.device.is_cpu()) return job.measures->seconds_of_block(*job.working, length);
  return block_operations(job.architecture(), length) / card_operations;
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
  const double second = second_of_block(job);
  const SimulationResult attribution = simulated_attribution(runs, second, ranks, threads);
  Estimate result;
  result.seconds = attribution.seconds;
  result.efficiency = attribution.efficiency;
  result.bytes_per_second = attribution.bytes_in / attribution.seconds;
  result.peak_bytes = attribution.peak_bytes;
  const double workers = static_cast<double>(ranks) * threads;
  const RunGroup compared = compared_runs(runs);
  double agreement = patching_cost(compared) * second / workers;
  // Scores of the samples are computed again, pair by pair.
  if (!compared.empty()) agreement += simulated_attribution(compared, second, ranks, threads).seconds;
  result.seconds += agreement;
  for (const Job* run : runs) {
    const double own = (top_cost(*run) + circuit_cost(*run) + steering_cost(*run)) * second / workers;
    result.longest_run = std::max(result.longest_run, attribution.seconds + agreement + own);
    result.seconds += own;
  }
  return result;
}

}  // namespace tributary
