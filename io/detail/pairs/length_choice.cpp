// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/pairs/length_choice.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "common/text.h"

namespace tributary::detail::pairs {

std::string choice_of_length(const Lengths& lengths, const PairOptions& options) {
  if (lengths.others() == 0) return {};
  std::vector<std::string> counts;
  for (const auto& [length, pairs] : lengths.pairs) counts.push_back(fmt::format("{} of {}", pairs, length));
  const auto most = std::max_element(lengths.pairs.begin(), lengths.pairs.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  const std::string why =
      lengths.file.empty() ? "that of pairs.length"
      : options.file.empty()
          ? fmt::format("that of {}:{}, the first pair that fits", lengths.file, lengths.line)
          : fmt::format("that of {}:{}, the first pair that fits after the shuffle by pairs.seed, which so decides it",
                        lengths.file, lengths.line);
  const std::string other =
      most->first == lengths.taken ? "" : fmt::format("pairs.length: {} takes most of them, ", most->first);
  return fmt::format(
      "with positions: keep all pairs have one token length, here {} ({}); by themselves there are {} tokens: "
      "{}positions: sum takes all",
      lengths.taken, why, join(counts), other);
}

}  // namespace tributary::detail::pairs
