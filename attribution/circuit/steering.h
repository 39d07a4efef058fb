// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Steering: the values of chosen nodes are multiplied by a factor while the clean prompt runs, and what the model then
// says is recorded.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "attribution/model/prompts.h"
#include "attribution/nodes/dictionary.h"
#include "attribution/nodes/node_table.h"

namespace tributary {

struct SteeringInputs {
  std::vector<NodeTable> tables;  //!< of the kinds of the nodes, but for features and errors
  std::vector<Node> nodes;        //!< position -1: at every position
  std::vector<double> factors;    //!< v becomes factor × v in all of them at once; 1: nothing changes
  at::Tensor answers;             //!< [pair, 2] int64: tokens of y and y'; -1: none
  std::int64_t top = 5;           //!< how many of the most likely tokens are given
  std::shared_ptr<const std::vector<Dictionary>> dictionaries{};  //!< of features and errors
};

/// One chunk of evaluation pairs, float64 unless said.
struct SteeringUnit {
  at::Tensor metric;           //!< [factor, pair] logits
  at::Tensor probability;      //!< [factor, pair, 2] of y and y' as the next token; NaN: none
  at::Tensor divergence;       //!< [factor, pair] nats: KL(unsteered ‖ steered) of the next token
  at::Tensor tokens;           //!< [factor, pair, top] int64: most likely next tokens, likeliest first
  at::Tensor top_probability;  //!< [factor, pair, top]
  double flops = 0;            //!< that were needed
};

/// m, probabilities and top tokens of each clean prompt under each factor.
SteeringUnit steer(const Transformer& model, const Prompts& prompts, const SteeringInputs& inputs,
                   const Batching& batching);

}  // namespace tributary
