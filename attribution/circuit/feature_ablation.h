// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Features and errors outside of circuits: they are set to their values on the counterfactual prompt, to their mean, or
// to zero, by differences (attribution/nodes/feature_edit.h). Features that no training pair has are no nodes of the
// list: a circuit has them when it has every node of the list.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "attribution/circuit/ablation.h"
#include "attribution/nodes/feature_edit.h"

namespace tributary {

/// What is set where nodes are ablated.
class AblatedFeatures {
 public:
  /// inputs: whose layout has features. prompts: whose pairs are ablated.
  AblatedFeatures(const Transformer& model, const Prompts& prompts, const CurveInputs& inputs, Flops* flops);

  /// Whether a layout has features among its nodes.
  static bool has_features(const NodeLayout& layout);

  /// The block before which a circuit with so many nodes, or its complement, begins to differ from the whole model; the
  /// number of blocks where it does not.
  [[nodiscard]] std::int64_t first_block(const CircuitPoint& point) const;

  [[nodiscard]] const std::vector<Dictionary>& dictionaries() const { return *inputs_.dictionaries; }

 private:
  friend class CircuitChanges;

  /// Nodes of the list in one dictionary at one position.
  struct Listed {
    std::int64_t first = 0, end = 0;  // among the entries
  };
  [[nodiscard]] std::int64_t position_of(std::int64_t position) const {
    return inputs_.layout.kept() == Positions::keep ? position : 0;
  }
  [[nodiscard]] Listed listed(std::int64_t dictionary, std::int64_t position) const;

  const CurveInputs& inputs_;
  std::int64_t blocks_, first_block_;
  std::size_t features_, errors_;                 // kinds of the layout
  bool shared_;                                   // one value for all pairs
  FeatureValues values_;                          // of no dictionary: zero
  std::map<std::int64_t, at::Tensor> errors_of_;  // by dictionary [row, width]
  std::vector<std::int64_t> first_;               // [dictionary, position]: where its entries begin, and the end
};

/// A pair under a circuit.
struct CircuitRow {
  std::int64_t pair = 0;
  CircuitPoint point;
};

/// What becomes of features and errors in the sequences of a call.
class CircuitChanges : public FeatureChanges {
 public:
  CircuitChanges(const AblatedFeatures& ablated, std::vector<CircuitRow> rows)
      : ablated_(ablated), rows_(std::move(rows)) {}

  void features(const SequencePosition& where, std::int64_t dictionary, FeatureView running,
                FeatureList& changes) const override;
  [[nodiscard]] ErrorChange error(const SequencePosition& where, std::int64_t dictionary) const override;

 private:
  const AblatedFeatures& ablated_;
  std::vector<CircuitRow> rows_;  // by sequence
};

}  // namespace tributary
