// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/not_finite.h"

#include <fmt/format.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "common/text.h"
#include "runner/stages/stage_source.h"

namespace tributary {
namespace {

constexpr std::size_t named_pairs = 5;

/// What is said of pairs, one line each.
class FaultyPairs {
 public:
  /// which: "training" or "held-out".
  void add(const std::string& which, const std::vector<TokenPair>& pairs, std::size_t place, const std::string& what) {
    if (++count_ > named_pairs) return;
    const PromptPair& text = pairs.at(place).text;
    lines_ +=
        fmt::format("\n  {} pair {} ({}:{}, \"{}\"): {}", which, place, text.file, text.line, text.clean_prefix, what);
  }

  /// Why there is no result, and what to do about it; empty where no pair was added.
  [[nodiscard]] std::string text() const {
    if (count_ == 0) return "";
    const std::string others = count_ > named_pairs ? fmt::format("\n  and {} more", count_ - named_pairs) : "";
    return "numbers that are not finite, which leave no mean over the pairs and no ranking (pairs and layers are "
           "counted "
           "from 0):" +
           lines_ + others +
           "\n  The network overflows or divides by zero there: leave these pairs out, look at the checkpoint, or take "
           "model.dtype: float64";
  }

 private:
  std::size_t count_ = 0;
  std::string lines_;
};

/// "scores of layers 0 to 2", of other kinds than neurons "scores of heads in layer 3"; scores of tokens have no
/// layers.
std::string scores_of(const std::vector<std::int64_t>& layers, const NodeTable& nodes) {
  if (nodes.site == Site::embeddings) return "scores of tokens";
  const std::string kind = nodes.kind == NodeKind::neurons ? "" : name_of(nodes.kind) + " in ";
  return "scores of " + kind + (layers.size() == 1 ? "layer " : "layers ") + in_ranges(layers);
}

}  // namespace

std::string faults_of(const Job& job, const AttributionOutcome& outcome) {
  FaultyPairs faulty;
  for (std::size_t pair = 0; pair < outcome.metric().rows.size(); ++pair) {
    std::vector<std::string> what;
    const std::vector<double>& metric = outcome.metric().rows[pair];  // the second is NaN where there is no such prompt
    const std::size_t runs = job.config.unpaired ? 1 : metric.size();
    for (std::size_t run = 0; run < runs; ++run) {
      if (std::isfinite(metric[run])) continue;
      what.push_back(fmt::format("m of its {} prompt is {}", run == 0 ? "clean" : "counterfactual", metric[run]));
    }
    for (std::size_t kind = 0; kind < outcome.kinds.size(); ++kind) {
      const PairTable& table = outcome.kinds[kind].faults;
      if (pair >= table.rows.size()) continue;
      const std::vector<double>& faults = table.rows[pair];
      std::vector<std::int64_t> layers;
      for (std::size_t l = 0; l < faults.size(); ++l) {
        if (faults[l] != 0) layers.push_back(static_cast<std::int64_t>(l));
      }
      if (!layers.empty()) what.push_back(scores_of(layers, outcome.layout.tables()[kind]) + " are not");
    }
    if (!what.empty()) faulty.add("training", job.pairs.train, pair, join(what, "; "));
  }
  return faulty.text();
}

std::string faults_of(const std::map<std::int64_t, MeanState>& means, const std::string& what) {
  for (const auto& [length, mean] : means) {
    std::optional<std::int64_t> first;  // layer
    for (const auto& [site, values] : mean) {
      for (std::int64_t layer = 0; layer < values.size(0); ++layer) {
        if (!values[layer].isfinite().all().item<bool>()) first = std::min(first.value_or(layer), layer);
      }
    }
    if (!first) continue;
    return fmt::format(
        "the {} over prompts of {} tokens are not finite from layer {} on (counted from 0): the network overflows or "
        "divides by zero on one of these prompts; leave it out, look at the checkpoint, or take model.dtype: float64",
        what, length, *first);
  }
  return "";
}

std::string faults_of(const Job& job, const std::vector<Node>& nodes, const PairTable& effects) {
  FaultyPairs faulty;
  for (std::size_t pair = 0; pair < effects.rows.size(); ++pair) {
    std::set<std::int64_t> layers;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (!std::isfinite(effects.rows[pair][i])) layers.insert(nodes[i].layer);
    }
    if (layers.empty()) continue;
    const std::vector<std::int64_t> sorted(layers.begin(), layers.end());
    faulty.add("training", job.pairs.train, pair,
               "exact effects of " + name_of(nodes.front().kind) + " in layers " + in_ranges(sorted) + " are not");
  }
  return faulty.text();
}

std::string faults_of(const Job& job, const std::vector<double>& metric, const std::string& what) {
  FaultyPairs faulty;
  for (std::size_t pair = 0; pair < metric.size(); ++pair) {
    if (std::isfinite(metric[pair])) continue;
    faulty.add("held-out", job.pairs.test, pair, fmt::format("m {} is {}", what, metric[pair]));
  }
  return faulty.text();
}

void require_none(const std::string& faults) {
  if (!faults.empty()) throw RunFailed(faults);
}

}  // namespace tributary
