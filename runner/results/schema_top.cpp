// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/results/detail/schema_rows.h"

namespace tributary::detail {

std::vector<DatasetRow> top_rows() {
  return {
      pair_scale("/top", when::neurons),
      {.path = "/top/kind",
       .axes = {"rank"},
       .type = ValueType::text,
       .long_name = "kind of the node: neurons, heads, mlps, embeddings, features, errors",
       .when = when::other_kinds,
       .need = Need::optional},
      {.path = "/top/dictionary",
       .axes = {"rank"},
       .type = ValueType::int64,
       .units = "1",
       .long_name = "number of the dictionary of a feature or an error, −1 of other nodes",
       .when = "`nodes` have features",
       .need = Need::optional},
      {.path = "/top/layer",
       .axes = {"rank"},
       .type = ValueType::int64,
       .units = "1",
       .long_name = "layer of the node",
       .when = when::neurons},
      {.path = "/top/position",
       .axes = {"rank"},
       .type = ValueType::int64,
       .units = "1",
       .long_name = "its position, −1: at all of them",
       .when = when::neurons},
      {.path = "/top/neuron",
       .axes = {"rank"},
       .type = ValueType::int64,
       .units = "1",
       .long_name = "its index in the layer",
       .when = when::neurons},
      {.path = "/top/score",
       .axes = {"rank"},
       .units = "logits",
       .long_name = "attribution of the node, as in /attribution/scores, or /nodes/heads/scores and so on",
       .when = when::neurons},
      {.path = "/top/promoted",
       .axes = {"rank", "place"},
       .type = ValueType::text,
       .long_name = "tokens whose logits the node's output raises most, by itself",
       .when = when::neurons},
      {.path = "/top/promoted_id",
       .axes = {"rank", "place"},
       .type = ValueType::int64,
       .long_name = "their token ids",
       .when = when::neurons},
      {.path = "/top/promoted_logit",
       .axes = {"rank", "place"},
       .units = "logits",
       .long_name =
           "by how much, before the final norm's scale: for a unit of a neuron's or a feature's value, for the mean "
           "difference between "
           "the clean and the counterfactual prompts of another node's",
       .when = when::neurons},
      {.path = "/top/suppressed",
       .axes = {"rank", "place"},
       .type = ValueType::text,
       .long_name = "tokens whose logits it lowers most",
       .when = when::neurons},
      {.path = "/top/suppressed_id",
       .axes = {"rank", "place"},
       .type = ValueType::int64,
       .long_name = "their token ids",
       .when = when::neurons},
      {.path = "/top/suppressed_logit",
       .axes = {"rank", "place"},
       .units = "logits",
       .long_name = "by how much: below 0",
       .when = when::neurons},
      {.path = "/top/value",
       .axes = {"rank", "pair", "run"},
       .units = "1",
       .long_name =
           "value of the node on the clean (0) and the counterfactual (1) prompt: of a neuron the input of the down "
           "projection, of a feature f, of others its Euclidean norm; positions: sum: of its sum over the prompt",
       .when = when::neurons},
  };
}

}  // namespace tributary::detail
