// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/circuit_stage.h"

#include <fmt/format.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <memory>

#include "attribution/circuit/curve.h"
#include "common/errors.h"
#include "runner/cluster/stopping.h"
#include "runner/job/averaged_prompts.h"
#include "runner/job/prompts.h"
#include "runner/stages/agreement_stage.h"
#include "runner/stages/feature_means.h"
#include "runner/stages/not_finite.h"
#include "runner/stages/numbers.h"

namespace tributary {
namespace {

using Side = CircuitPoint::Side;

enum class Area { cpr, cmd };

struct Selection {
  std::string name;
  std::int64_t count;
};

/// The circuits asked for, as node counts, smallest first.
std::vector<Selection> selections_of(const CircuitConfig& circuit, const std::vector<float>& scores) {
  const auto nodes = static_cast<std::int64_t>(scores.size());
  std::vector<Selection> selections;
  // How many features there are is known only now: counts of more nodes than there are mean all of them.
  const auto add = [&](const std::string& name, std::int64_t count) {
    selections.push_back({name, std::min(count, nodes)});
  };
  for (const std::int64_t count : circuit.counts) add(fmt::format("count {}", count), count);
  for (const double f : circuit.fractions) add(fmt::format("fraction {}", f), count_of_fraction(f, nodes));
  for (const double t : circuit.thresholds)
    add(fmt::format("threshold {}", t), count_of_threshold(scores, t, circuit.ranking));
  for (const double m : circuit.mass) add(fmt::format("mass {}", m), count_of_mass(scores, m, circuit.ranking));
  std::stable_sort(selections.begin(), selections.end(),
                   [](const Selection& a, const Selection& b) { return a.count < b.count; });
  return selections;
}

at::Tensor places_tensor(const std::vector<float>& scores, Ranking ranking, const at::Device& device) {
  const std::vector<std::int32_t> place = places(ranked(scores, ranking));
  at::Tensor tensor = at::empty({std::ssize(place)}, at::kInt);
  std::copy(place.begin(), place.end(), tensor.data_ptr<std::int32_t>());
  return tensor.to(device);
}

/// Scores of the kinds that circuits are made of, in the order of their own list.
std::vector<float> competing(const AttributionOutcome& attribution, const NodeLayout& chosen) {
  if (chosen.kinds() == attribution.layout.kinds()) return attribution.scores;
  std::vector<float> scores;
  for (const NodeTable& table : chosen.tables()) {
    const std::size_t kind = attribution.layout.find(table.kind);
    const auto first = attribution.scores.begin() + attribution.layout.first(kind);
    scores.insert(scores.end(), first, first + attribution.layout.nodes(kind));
  }
  return scores;
}

/// The points of a curve: both sides of every selection, then CPR's circuits and CMD's where these are asked for.
std::vector<CircuitPoint> points_of(const std::vector<Selection>& selections, std::int64_t nodes,
                                    const CircuitConfig& circuit) {
  constexpr std::int64_t absolute = 0;  // places of |score|
  constexpr std::int64_t by_sign = 1;   // places of the signed score
  const std::int64_t chosen = circuit.ranking == Ranking::absolute ? absolute : by_sign;
  std::vector<CircuitPoint> points;
  for (const Side side : {Side::circuit, Side::complement}) {
    for (const Selection& selection : selections) points.push_back({chosen, selection.count, side});
  }
  if (!circuit.areas) return points;
  for (const std::int64_t which : {by_sign, absolute}) {
    for (const double fraction : area_fractions)
      points.push_back({which, count_of_fraction(fraction, nodes), Side::circuit});
  }
  return points;
}

AreaCurve area_of(const std::vector<std::vector<double>>& metrics, std::size_t first,
                  const std::vector<CircuitPoint>& points, const ReferenceMetrics& reference, Area area) {
  AreaCurve curve;
  for (std::size_t i = 0; i < std::size(area_fractions); ++i) {
    const double faithfulness = normalised(mean_of(metrics[first + i]), reference);
    curve.count.push_back(points[first + i].count);
    curve.value.push_back(area == Area::cmd ? std::abs(1 - faithfulness) : faithfulness);
  }
  curve.area = trapezoid_area(area_fractions, curve.value);
  return curve;
}

/// Throws RunFailed where m of a held-out pair is not finite. evaluated: places of points.
void require_finite(const Job& job, const std::vector<CircuitPoint>& points, const std::vector<std::size_t>& evaluated,
                    const std::vector<std::vector<double>>& metrics, const std::vector<double>& full,
                    const std::vector<double>& empty) {
  require_none(faults_of(job, full, "with nothing ablated"));
  require_none(faults_of(job, empty, "with every node ablated"));
  for (const std::size_t i : evaluated) {
    const char* const side = points[i].side == Side::circuit ? "kept" : "ablated";
    require_none(faults_of(job, metrics[i], fmt::format("with {} nodes {}", points[i].count, side)));
  }
}

/// Interval of a ratio of means over pairs.
Interval interval_of(const std::vector<std::int64_t>& clusters, const std::vector<double>& metric,
                     const std::vector<double>& full, const std::vector<double>& empty) {
  const auto ratio = [&](std::span<const double> weight) {
    return normalised(weighted_mean(weight, metric), {weighted_mean(weight, full), weighted_mean(weight, empty)});
  };
  return bootstrap(clusters, ratio, {});
}

CircuitOutcome outcome_of(const std::vector<Selection>& selections, const std::vector<CircuitPoint>& points,
                          const std::vector<std::vector<double>>& metrics, const std::vector<std::int64_t>& clusters,
                          std::vector<double> full, std::vector<double> empty) {
  const ReferenceMetrics reference{mean_of(full), mean_of(empty)};
  CircuitOutcome outcome;
  outcome.measurable = measurable(reference);
  for (std::size_t i = 0; i < selections.size(); ++i) {
    outcome.count.push_back(selections[i].count);
    outcome.selection.push_back(selections[i].name);
    outcome.metric_circuit.push_back(metrics[i]);
    outcome.metric_complement.push_back(metrics[selections.size() + i]);
    outcome.faithfulness.push_back(normalised(mean_of(outcome.metric_circuit.back()), reference));
    outcome.completeness.push_back(normalised(mean_of(outcome.metric_complement.back()), reference));
    outcome.faithfulness_interval.push_back(interval_of(clusters, outcome.metric_circuit.back(), full, empty));
    outcome.completeness_interval.push_back(interval_of(clusters, outcome.metric_complement.back(), full, empty));
  }
  const std::size_t first = 2 * selections.size();
  if (points.size() > first) {
    outcome.cpr = area_of(metrics, first, points, reference, Area::cpr);
    outcome.cmd = area_of(metrics, first + std::size(area_fractions), points, reference, Area::cmd);
  }
  outcome.metric_full = std::move(full);
  outcome.metric_empty = std::move(empty);
  return outcome;
}

}  // namespace

CircuitOutcome run_circuits(const Execution& shared, const Job& job, const AttributionOutcome& attribution) {
  const Execution execution = shared.evaluating(job.identities.circuit);
  const CircuitConfig& circuit = job.config.circuit;
  const NodeLayout layout = attribution.layout.only(circuit.nodes);
  const std::vector<float> scores = competing(attribution, layout);
  const std::vector<Selection> selections = selections_of(circuit, scores);
  std::map<std::int64_t, MeanState> means;
  if (circuit.ablation == Ablation::mean) {
    means = run_means(execution, job, "ablation means", ablation_pairs(job));
    require_none(faults_of(means, "ablation means"));
  }
  const bool has_features = layout.find(NodeKind::features) < layout.kinds();
  std::map<std::int64_t, std::shared_ptr<const FeatureValues>> feature_means;
  if (circuit.ablation == Ablation::mean && has_features) {
    feature_means = run_feature_means(execution, job, "ablation means of features", ablation_pairs(job));
  }
  CurveInputs inputs;
  inputs.ablation = circuit.ablation;
  inputs.layout = layout;
  inputs.dictionaries = job.dictionaries;
  inputs.places = {places_tensor(scores, Ranking::absolute, job.device),
                   places_tensor(scores, Ranking::signed_score, job.device)};
  const std::vector<CircuitPoint> points = points_of(selections, layout.nodes(), circuit);
  const std::int64_t scored = count_of_scored(scores);
  std::vector<std::size_t> evaluated;  // points that keep nodes with a score only: the others stay NaN
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].count > scored) continue;
    evaluated.push_back(i);
    inputs.points.push_back(points[i]);
  }

  const StagePlan plan = plan_curve(job);
  const StageResult result = run_plan(execution, "circuits", plan, [&](const Chunk& chunk) {
    Prompts prompts = prompts_of(job, job.pairs.test, chunk.members);
    prompts.tokens = metric_tokens(*job.exact, prompts, execution.batching());  // as in attribution
    CurveInputs unit = inputs;
    if (circuit.ablation == Ablation::mean) {
      unit.mean = means.at(prompts.clean.size(1));
      if (has_features) unit.feature_mean = feature_means.at(prompts.clean.size(1));
    }
    const CurveUnit curve = evaluate_circuits(*job.working, prompts, unit, execution.batching());
    RowWriter rows(curve.flops);  // [pair, 2 + points]
    rows.add(at::cat({curve.full.unsqueeze(1), curve.empty.unsqueeze(1), curve.points.t()}, 1));
    return UnitResult{{}, rows.take()};
  });
  std::vector<double> full(job.pairs.test.size());
  std::vector<double> empty(job.pairs.test.size());
  std::vector<std::vector<double>> metrics(
      points.size(), std::vector<double>(job.pairs.test.size(), std::numeric_limits<double>::quiet_NaN()));
  for (std::size_t unit = 0; unit < result.rows.size(); ++unit) {
    const std::vector<std::int64_t>& members = plan.chunks[unit].members;
    execution.timings.count(result.rows[unit].front());
    RowReader reader(result.rows[unit], static_cast<std::int64_t>(members.size()), 1);
    const std::vector<std::vector<double>> rows = reader.next();
    for (std::size_t i = 0; i < members.size(); ++i) {
      const auto pair = static_cast<std::size_t>(members[i]);
      full[pair] = rows[i][0];
      empty[pair] = rows[i][1];
      for (std::size_t k = 0; k < evaluated.size(); ++k) metrics[evaluated[k]][pair] = rows[i][2 + k];
    }
  }
  agreed(execution.comm, [&] {
    if (execution.comm.rank() == 0) require_finite(job, points, evaluated, metrics, full, empty);
  });
  if (execution.comm.rank() != 0) return {};
  CircuitOutcome outcome =
      outcome_of(selections, points, metrics, prompt_clusters(job.pairs.test), std::move(full), std::move(empty));
  outcome.nodes = layout.nodes();
  outcome.scored = scored;
  return outcome;
}

}  // namespace tributary
