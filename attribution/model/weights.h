// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The weights of one model, bound to the slots of its family's description. Frozen: nothing here
// ever asks for a gradient.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <nlohmann/json_fwd.hpp>

#include "attribution/model/architecture.h"
#include "attribution/model/families.h"

namespace tributary {

/// Where stored tensors come from: by name, in their stored shape and dtype; undefined when absent.
struct TensorSource {
  std::function<at::Tensor(const std::string& name)> find;
  std::vector<std::string> names;  //!< all that are stored
  std::string where;               //!< for messages: the checkpoint folder
};

/// Undefined tensors stand for weights the family does not have.
struct LayerWeights {
  at::Tensor attention_norm_weight, attention_norm_bias;
  at::Tensor query_weight, query_bias, key_weight, key_bias, value_weight, value_bias, output_weight, output_bias;
  at::Tensor mlp_norm_weight, mlp_norm_bias;
  at::Tensor gate_weight, gate_bias, up_weight, up_bias, down_weight, down_bias;
};

struct Weights {
  at::Tensor embedding;           //!< [vocabulary, d_model]
  at::Tensor position_embedding;  //!< [max_positions, d_model] or undefined
  at::Tensor final_norm_weight, final_norm_bias;
  at::Tensor unembedding;  //!< [vocabulary, d_model]
  std::vector<LayerWeights> layers;
};

/// Binds and converts all weights to `options` (dtype, device); those already so stay views of the source.
/// Throws UserError: a tensor missing or of the wrong shape, a stored tensor that the description does not use (the
/// model would silently be another one).
Weights bind_weights(const Architecture& architecture, const nlohmann::json& config, const TensorSource& source,
                     const at::TensorOptions& options);

/// Throws UserError naming the first weight that holds a NaN or an infinity.
void require_finite(const Weights& weights, const std::string& where);

}  // namespace tributary
