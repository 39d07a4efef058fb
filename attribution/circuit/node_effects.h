// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What single nodes do: which tokens' logits they raise and lower by themselves, and their values on prompts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "attribution/model/prompts.h"
#include "attribution/nodes/dictionary.h"
#include "attribution/nodes/node_table.h"

namespace tributary {

/// Some nodes, and the tables of their kinds.
struct ListedNodes {
  std::vector<NodeTable> tables;
  std::vector<Node> nodes;
  std::shared_ptr<const std::vector<Dictionary>> dictionaries{};  //!< of features and errors

  [[nodiscard]] const NodeTable& table_of(const Node& node) const;
  /// Numbers that a node's value has in a list of all of them, one node after the other: a neuron and a feature, whose
  /// directions do not depend on their values, have none.
  [[nodiscard]] std::int64_t dims_of(const Node& node) const;
  [[nodiscard]] std::int64_t dims() const;
};

/// Of each node the tokens whose logits it raises and lowers most, the strongest first, equal ones by token id.
struct DirectEffects {
  at::Tensor promoted, suppressed;              //!< [node, place] int64: token ids
  at::Tensor promoted_logit, suppressed_logit;  //!< [node, place] float64: logits for a unit of a neuron's value, or
                                                //!< for the mean difference of another node's
};

/// The logit lens (nostalgebraist 2020) on what a node adds to the stream, a neuron's column w of the down projection
/// (Geva et al. 2022), a feature's rows of the decoder, summed over the layers that it writes to, of other nodes w = W
/// v with v their mean difference, a head's through its slice of W_O (Elhage et al. 2021): e = W_U (g ⊙ w), with the
/// gain g of the final norm, for LayerNorm e = W_U (g ⊙ (w − mean(w))). Left out are the later layers, which may read
/// w, and the final norm's scale: it belongs to the prompt and multiplies all effects of a node alike, so it changes no
/// order. `place` counts to `top`, at most the vocabulary. A neuron's position does not matter. moved:
/// ListedNodes::dims() numbers, those of a node in a row.
DirectEffects direct_effects(const Transformer& model, const ListedNodes& listed, const std::vector<double>& moved,
                             std::int64_t top);

/// Values of nodes, summed over the prompt where a node is meant at all positions: a neuron's a, a feature's f, the
/// Euclidean norm of another node's value.
struct NodeValues {
  at::Tensor clean, counterfactual;  //!< [pair, node] float64; counterfactual undefined where unpaired
  at::Tensor moved;  //!< [ListedNodes::dims()] float64: Σ over the pairs of v(x) − v(x'), unpaired v(x)
  double flops = 0;  //!< that were needed
};

NodeValues node_values(const Transformer& model, const Prompts& prompts, const ListedNodes& listed,
                       const Batching& batching);

}  // namespace tributary
