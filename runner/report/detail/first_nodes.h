// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a run says of its first nodes' neurons: the group /top of its results.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>

#include "runner/report/detail/results_access.h"
#include "runner/report/detail/token_text.h"

namespace tributary::detail {

class FirstNodes {
 public:
  explicit FirstNodes(const ResultsFile& results) : results_(results), value_(results.find("/top/value")) {}

  [[nodiscard]] bool there() const { return value_ != nullptr; }
  [[nodiscard]] std::size_t ranks() const { return there() ? size(0) : 0; }
  [[nodiscard]] std::size_t pairs() const { return size(1); }

  /// The first tokens of a rank in `path`, "/top/promoted" or "/top/suppressed", in a line.
  [[nodiscard]] std::optional<std::string> tokens(const char* path, std::size_t rank, std::size_t most) const {
    if (rank >= ranks()) return std::nullopt;
    const Dataset& tokens = dataset_of(results_, path);
    const auto places = static_cast<std::size_t>(tokens.shape.at(1));
    return quoted(values<std::string>(tokens), rank * places, std::min(places, most));
  }

  /// The neuron's value on a training pair's clean (0) or counterfactual (1) prompt; NaN where there is no such prompt.
  [[nodiscard]] float value(std::size_t rank, std::size_t pair, std::size_t prompt) const {
    return values<float>(*value_).at((rank * pairs() + pair) * 2 + prompt);
  }

  /// Mean over the training pairs.
  [[nodiscard]] std::optional<double> mean(std::size_t rank, std::size_t prompt) const {
    return mean_of(rank, [&](std::size_t pair) { return static_cast<double>(value(rank, pair, prompt)); });
  }

  /// Mean |clean − counterfactual| over the training pairs. In pairs that go both ways the means of the two are alike,
  /// however much the neuron tells them apart.
  [[nodiscard]] std::optional<double> mean_change(std::size_t rank) const {
    return mean_of(rank, [&](std::size_t pair) {
      return std::abs(static_cast<double>(value(rank, pair, 0)) - static_cast<double>(value(rank, pair, 1)));
    });
  }

 private:
  [[nodiscard]] std::size_t size(std::size_t axis) const { return static_cast<std::size_t>(value_->shape.at(axis)); }

  template <typename OfPair>
  [[nodiscard]] std::optional<double> mean_of(std::size_t rank, const OfPair& of_pair) const {
    if (rank >= ranks()) return std::nullopt;
    double sum = 0;
    for (std::size_t pair = 0; pair < pairs(); ++pair) sum += of_pair(pair);
    return sum / static_cast<double>(pairs());
  }

  const ResultsFile& results_;
  const Dataset* value_;
};

}  // namespace tributary::detail
