// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/report/detail/performance.h"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "common/text.h"
#include "runner/report/detail/results_access.h"

namespace tributary::detail {
namespace {

/// Below this share of right answers, scores explain answers that the model often does not give.
constexpr double enough_right = 0.8;

/// At most this share on both prompts of training pairs is worse than guessing: the answers may be swapped.
constexpr double worse_than_guessing = 0.2;

struct Split {
  const char* name;
  const char* words;
};
constexpr Split splits[] = {{"train", "training"}, {"test", "held-out"}};

double value_of(const ResultsFile& results, const std::string& name, Role role) {
  const auto* both = find_attribute<std::vector<double>>(results, "/pairs", name);
  const std::size_t column = role == Role::clean ? 0 : 1;
  return both == nullptr || both->size() <= column ? std::numeric_limits<double>::quiet_NaN() : (*both)[column];
}

std::int64_t pairs_in(const ResultsFile& results, const std::string& split) {
  return attribute<std::int64_t>(results, "/pairs", split);
}

}  // namespace

double accuracy(const ResultsFile& results, const std::string& split, Role role) {
  return value_of(results, "accuracy_" + split, role);
}

double mean_metric(const ResultsFile& results, const std::string& split, Role role) {
  return value_of(results, "metric_" + split, role);
}

std::string performance_lines(const ResultsFile& results) {
  std::vector<std::string> right, means;
  for (const auto& [split, words] : splits) {
    const double clean = accuracy(results, split, Role::clean);
    if (std::isnan(clean)) continue;
    right.push_back(fmt::format("{:.1f} % of {} {} pairs", 100 * clean, pairs_in(results, split), words));
    means.push_back(fmt::format("{} {:.3f}", words, mean_metric(results, split, Role::clean)));
    const double other = accuracy(results, split, Role::counterfactual);
    if (!std::isnan(other)) right.back() += fmt::format(" (counterfactual prompts {:.1f} %)", 100 * other);
    const double other_metric = mean_metric(results, split, Role::counterfactual);
    if (!std::isnan(other_metric)) means.back() += fmt::format(" (counterfactual {:.3f})", other_metric);
  }
  if (right.empty()) return "";
  // A bfloat16 run measures the model itself in float32, and circuits with the network that it attributes.
  const auto* dtype = find_attribute<std::string>(results, "/provenance", "dtype");
  const bool rounded = dtype != nullptr && *dtype == "bfloat16";
  const bool of_two = attribute<std::string>(results, "/attribution", "metric") == "logit-difference";
  std::string text = std::string("model        ") +
                     (of_two ? "prefers the right one of the two answers on " : "right on ") + join(right);
  const double said = value_of(results, "said_test", Role::clean);
  if (of_two && !std::isnan(said)) {
    text +=
        fmt::format("\n             of all tokens it says the right one on {:.1f} % of the held-out pairs", 100 * said);
    const double other = value_of(results, "said_test", Role::counterfactual);
    if (!std::isnan(other)) text += fmt::format(" (counterfactual prompts {:.1f} %)", 100 * other);
  }
  text += "\nmean m       " + join(means) + " logits" + (rounded ? " in float32" : "");
  const auto* full = find_attribute<double>(results, "/circuit", "mean_full");
  const auto* empty = find_attribute<double>(results, "/circuit", "mean_empty");
  if (full != nullptr && empty != nullptr) {
    text += fmt::format("; {}F(M) {:.3f}, F(∅) {:.3f} with {} ablation", rounded ? "in bfloat16 " : "", *full, *empty,
                        attribute<std::string>(results, "/circuit", "ablation"));
  }
  return text + "\n";
}

std::string performance_warning(const ResultsFile& results) {
  std::vector<std::string> low;
  for (const auto& [split, words] : splits) {
    for (const Role role : {Role::clean, Role::counterfactual}) {
      const double share = accuracy(results, split, role);
      if (!(share < enough_right)) continue;
      low.push_back(fmt::format("{:.1f} % of the {} {} prompts", 100 * share, words,
                                role == Role::clean ? "clean" : "counterfactual"));
    }
  }
  if (low.empty()) return "";
  const std::string problem = "the model is right on only " + join(low);
  if (accuracy(results, "train", Role::clean) <= worse_than_guessing &&
      accuracy(results, "train", Role::counterfactual) <= worse_than_guessing) {
    return problem +
           ": are the answers swapped? clean_answer is the one that clean_prefix asks for, patch_answer that of "
           "patch_prefix. If they are not, take other pairs or another model: scores explain answers that this one "
           "hardly ever gives";
  }
  return problem +
         " (below 80 %): scores explain a preference that it often does not have; take other pairs, or only those that "
         "it "
         "solves with pairs.correct_only: true";
}

}  // namespace tributary::detail
