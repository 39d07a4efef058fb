// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/report/detail/missing_intervals.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "attribution/circuit/curve.h"
#include "runner/report/detail/results_access.h"

namespace tributary::detail {
namespace {

/// Whether some value is a number and the lower end of its interval is not.
bool lacks_interval(const ResultsFile& results, const std::string& value_path, const std::string& low_path) {
  const Dataset* value = results.find(value_path);
  const Dataset* low = results.find(low_path);
  if (value == nullptr || low == nullptr) return false;
  const auto& ends = values<double>(*low);
  const auto& all = values<double>(*value);
  for (std::size_t i = 0; i < std::min(all.size(), ends.size()); ++i) {
    if (!std::isnan(all[i]) && std::isnan(ends[i])) return true;
  }
  return false;
}

bool any_nan(const ResultsFile& results, const std::string& path) {
  const Dataset* found = results.find(path);
  if (found == nullptr) return false;
  const auto& all = values<double>(*found);
  return std::any_of(all.begin(), all.end(), [](double value) { return std::isnan(value); });
}

/// Prompt pairs of a group, and how many of them intervals can draw: those with the same two prompts go together.
struct Drawn {
  std::size_t pairs = 0, different = 0;
};

Drawn drawn_from(const ResultsFile& results, const std::string& group) {
  const Dataset* rows = results.find(group + "/pair");
  const Dataset* clean = results.find("/pairs/clean_prefix");
  const Dataset* patch = results.find("/pairs/patch_prefix");
  if (rows == nullptr || clean == nullptr || patch == nullptr) return {};
  std::set<std::pair<std::string, std::string>> different;
  for (const std::int64_t row : values<std::int64_t>(*rows)) {
    const auto place = static_cast<std::size_t>(row);
    if (row < 0 || place >= values<std::string>(*clean).size()) continue;
    std::pair<std::string, std::string> prompts{values<std::string>(*clean)[place],
                                                values<std::string>(*patch).at(place)};
    if (prompts.second < prompts.first) std::swap(prompts.first, prompts.second);
    different.insert(std::move(prompts));
  }
  return {values<std::int64_t>(*rows).size(), different.size()};
}

/// Nothing can be drawn from a single pair.
std::string of_too_few(const Drawn& drawn, const char* which) {
  if (drawn.different > 1) return "";
  const std::string why = drawn.pairs == 1
                              ? fmt::format("there is a single {} pair", which)
                              : fmt::format("all {} {} pairs have the same two prompts", drawn.pairs, which);
  return why + ", and intervals tell how different pairs differ; give more";
}

}  // namespace

std::string circuits_without_interval(const ResultsFile& results) {
  const bool any = lacks_interval(results, "/circuit/faithfulness", "/circuit/faithfulness_low") ||
                   lacks_interval(results, "/circuit/completeness", "/circuit/completeness_low");
  if (!any) return "";
  const Drawn drawn = drawn_from(results, "/circuit");
  const std::string start = "no interval of faithfulness and completeness: ";
  if (const std::string few = of_too_few(drawn, "held-out"); !few.empty()) return start + few;
  const auto* full = find_attribute<double>(results, "/circuit", "mean_full");
  const auto* empty = find_attribute<double>(results, "/circuit", "mean_empty");
  const std::string over_all =
      full == nullptr || empty == nullptr ? "" : fmt::format(" (over all of them it is {:.3g})", *full - *empty);
  return start + fmt::format(
                     "of {} held-out pairs drawn again and again, more than one draw in twenty has F(M) − F(∅) "
                     "within {} logits of 0{}, and the ratios mean nothing there; give more held-out pairs",
                     drawn.pairs, smallest_effect, over_all);
}

std::vector<std::string> missing_intervals(const ResultsFile& results) {
  std::vector<std::string> reasons;
  if (std::string circuits = circuits_without_interval(results); !circuits.empty()) reasons.push_back(circuits);
  if (lacks_interval(results, "/agreement/value", "/agreement/value_low")) {
    const std::string few = of_too_few(drawn_from(results, "/agreement"), "training");
    reasons.push_back("no interval of some agreement with exact patching: " +
                      (few.empty() ? "too few of the sampled neurons differ in their effects or scores; raise "
                                     "agreement.sample"
                                   : few));
  }
  const std::string few = of_too_few(drawn_from(results, "/steering"), "held-out");
  if (!few.empty() && any_nan(results, "/steering/metric_low")) reasons.push_back("no interval of steering: " + few);
  return reasons;
}

}  // namespace tributary::detail
