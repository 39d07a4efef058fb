// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "common/text.h"
#include "runner/report/detail/circuit_nodes.h"
#include "runner/report/detail/mean_magnitude.h"
#include "runner/report/detail/report_runs.h"

namespace tributary::detail {
namespace {

constexpr double faithful = 0.8;  // thresholds that `faithful_at` and `complete_at` are about
constexpr double complete = 0.2;

using Type = Column::Type;

/// Fewest measured nodes for which a value of the curve is good enough.
template <typename Good>
Cell fewest(const ReportRun& run, const std::string& path, const Good& good) {
  const Dataset* curve = run.find(path);
  if (curve == nullptr) return {};
  const std::vector<std::int64_t>& count = values<std::int64_t>(*run.results, "/circuit/count");
  std::optional<std::int64_t> least;
  for (std::size_t i = 0; i < count.size(); ++i) {
    if (good(values<double>(*curve).at(i)) && (!least || count[i] < *least)) least = count[i];
  }
  return least ? Cell(*least) : Cell();
}

/// Share of all |score| that the largest ones hold.
double share_of_top(std::vector<float> scores, std::size_t top) {
  std::erase_if(scores, [](float score) { return std::isnan(score); });
  for (float& score : scores) score = std::abs(score);
  const auto largest = scores.begin() + static_cast<std::ptrdiff_t>(std::min(top, scores.size()));
  std::nth_element(scores.begin(), largest, scores.end(), std::greater<>());
  const double held = std::accumulate(scores.begin(), largest, 0.0);
  return held / std::accumulate(largest, scores.end(), held);
}

/// Seconds by stage, of an attribute of /provenance; nothing where the file does not say it in our way.
std::map<std::string, double> seconds_by_stage(const ReportRun& run, const std::string& name) {
  std::map<std::string, double> seconds;
  const auto* text = find_attribute<std::string>(*run.results, "/provenance", name);
  if (text == nullptr) return seconds;
  const nlohmann::json stages = nlohmann::json::parse(*text, nullptr, false);
  if (!stages.is_object()) return seconds;
  for (const auto& [stage, spent] : stages.items()) {
    seconds[stage] = spent.is_number() ? spent.get<double>() : std::nan("");
  }
  return seconds;
}

/// What a run has taken.
struct Cost {
  double own = std::nan("");     // seconds of its own stages
  double shared = std::nan("");  // and of those that it shares with others
  std::int64_t together = 1;     // with how many, itself included

  /// Adds up over the runs of a sweep.
  [[nodiscard]] double part() const { return own + shared / static_cast<double>(together); }
};

Cost cost_of(const ReportRun& run) {
  Cost cost;
  const auto* together = find_attribute<std::int64_t>(*run.results, "/provenance", "runs_computed_together");
  if (together != nullptr) cost.together = std::max<std::int64_t>(*together, 1);
  const std::map<std::string, double> here = seconds_by_stage(run, "seconds");
  if (here.empty()) return cost;
  const std::map<std::string, double> shared = seconds_by_stage(run, "seconds_shared");
  const std::map<std::string, double> earlier = seconds_by_stage(run, "seconds_earlier");
  cost.own = cost.shared = 0;
  for (const auto* starts : {&here, &earlier}) {
    for (const auto& [stage, spent] : *starts) (shared.contains(stage) ? cost.shared : cost.own) += spent;
  }
  return cost;
}

/// Backward passes of all training pairs; missing where the file does not tell.
Cell passes_of(const ReportRun& run) {
  const Dataset* passes = run.find("/attribution/passes");
  if (passes == nullptr) return {};
  const std::vector<std::int64_t>& all = values<std::int64_t>(*passes);
  return std::accumulate(all.begin(), all.end(), std::int64_t{0});
}

}  // namespace

Table runs_table(const Runs& runs) {
  Table table{
      .name = "runs",
      .meaning = "The runs, a row each.",
      .columns = {
          {"run", Type::integer, "1", "number of the run in this document"},
          {"name", Type::text, "", "its folder below the sweep's"},
          {"data", Type::integer, "1", "its data set: a row of the table data"},
          {"method", Type::text, "", "what its method is called here"},
          {"baseline", Type::text, "", "what the clean run is compared with"},
          {"rules", Type::text, "", "replacement rules, with how often each acted in one backward pass"},
          {"ablation", Type::text, "", "what nodes outside a circuit are set to"},
          {"nodes", Type::integer, "1", "layers × positions × neurons, and so on for each kind"},
          {"circuit_nodes", Type::integer, "1", "how many of them circuits choose among"},
          {"circuit_kinds", Type::text, "", "the kinds of these"},
          {"embeddings_rank", Type::integer, "1",
           "place of the embeddings in the circuits' ranking, from 1, where they are one node: circuits of fewer nodes "
           "get nothing of the prompt"},
          {"evaluations", Type::integer, "1",
           "backward passes of the training pairs: one that serves all layers counts once"},
          {"seconds", Type::number, "s",
           "wall time: its own stages, and an equal part of those that it shares; adds up over the runs"},
          {"own_seconds", Type::number, "s", "wall time of its own stages"},
          {"shared_seconds", Type::number, "s", "wall time of the stages that the runs computed together share"},
          {"together", Type::integer, "1", "how many runs those are"},
          {"faithful_at", Type::integer, "nodes", "fewest measured nodes with faithfulness ≥ 0.8 on held-out pairs"},
          {"complete_at", Type::integer, "nodes", "fewest measured nodes with completeness ≤ 0.2 on held-out pairs"},
          {"full", Type::number, "logits", "F(M): mean m of the held-out pairs, nothing ablated"},
          {"empty", Type::number, "logits", "F(∅): the same with every neuron ablated"},
          {"measurable", Type::integer, "1",
           "1: ablating every neuron changes m by 0.05 logits or more; 0: less, and there is no curve"},
          {"cpr", Type::number, "fraction",
           "area of faithfulness over the fraction of nodes, signed ranking; more than 1 where circuits overshoot"},
          {"cmd", Type::number, "fraction", "area of |1 − faithfulness|, ranking by |score|; ideal 0"},
          {"residual", Type::number, "logits",
           "mean |sum of scores − true difference| of methods whose scores sum to it"},
          {"gap", Type::number, "logits", "the same of methods whose scores are not meant to, over measured pairs"},
          {"gap_standard_error", Type::number, "logits", "of gap, over these pairs"},
          {"gap_pairs", Type::integer, "1", "how many these are"},
          {"top_share", Type::number, "fraction", "share of all |score| that the 100 first nodes hold"},
      }};
  for (const ReportRun& run : runs) {
    const Cost cost = cost_of(run);
    const std::optional<CircuitNodes> circuits = circuit_nodes(*run.results, *run.stored);
    const bool curve = run.find("/circuit/count") != nullptr;
    const MeanMagnitude gap = mean_magnitude(run.stored->find("linearisation_gap"));
    const auto of_circuits = [&](const std::string& name) {
      const auto* found = find_attribute<double>(*run.results, "/circuit", name);
      return found == nullptr ? Cell() : Cell(*found);
    };
    table.add({run.run,
               run.folder,
               run.data,
               run.method,
               run.attribution("baseline"),
               join(fired_rules(*run.results)),
               run.ablation(),
               run.nodes(),
               circuits ? Cell(circuits->nodes) : Cell(),
               circuits ? Cell(join(circuits->kinds)) : Cell(),
               circuits && circuits->embeddings ? Cell(*circuits->embeddings) : Cell(),
               passes_of(run),
               cost.part(),
               cost.own,
               cost.shared,
               cost.together,
               fewest(run, "/circuit/faithfulness", [](double f) { return f >= faithful; }),
               fewest(run, "/circuit/completeness", [](double c) { return c <= complete; }),
               of_circuits("mean_full"),
               of_circuits("mean_empty"),
               curve ? Cell(attribute<std::int64_t>(*run.results, "/circuit", "measurable")) : Cell(),
               of_circuits("cpr"),
               of_circuits("cmd"),
               mean_magnitude(run.stored->find("residual")).mean,
               gap.mean,
               gap.standard_error,
               gap.pairs > 0 ? Cell(gap.pairs) : Cell(),
               share_of_top(run.scores(), top_nodes)});
  }
  return table;
}

}  // namespace tributary::detail
