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
#include "attribution/model/writer.h"

namespace tributary {

/// Where stored tensors come from: by name, in their stored shape and dtype; undefined when absent.
struct TensorSource {
  std::function<at::Tensor(const std::string& name)> find;
  std::vector<std::string> names;  //!< all that are stored
  std::string where;               //!< for messages: the checkpoint folder
  std::function<void()> forget{};  //!< what was read need not stay in memory: called now and then, where it is set
};

/// Undefined tensors stand for weights the family does not have. Matrices may stay in the dtype that they are stored in
/// (products.h); all else is in the network's.
struct LayerWeights {
  at::TensorOptions options;  //!< the network's dtype and device
  at::Tensor attention_norm_weight, attention_norm_bias, attention_post_norm_weight;
  at::Tensor query_norm_weight, key_norm_weight;
  at::Tensor qkv_weight, qkv_bias;  //!< rows of queries, keys and values, one above the other
  at::Tensor output_weight, output_bias;
  at::Tensor mlp_norm_weight, mlp_norm_bias, mlp_post_norm_weight;
  at::Tensor expand_weight, expand_bias;  //!< of a gated MLP: gate above up
  at::Tensor down_weight, down_bias;

  /// What adds z, and what adds the neurons, to the residual stream.
  [[nodiscard]] Writer attention_writer(const BlockSpec& block) const;
  [[nodiscard]] Writer mlp_writer(const BlockSpec& block) const;

  /// The first `width` rows of qkv, and the others: queries, and keys and values. Biases undefined where there are
  /// none.
  [[nodiscard]] at::Tensor query_weight(std::int64_t width) const { return qkv_weight.narrow(0, 0, width); }
  [[nodiscard]] at::Tensor query_bias(std::int64_t width) const {
    return qkv_bias.defined() ? qkv_bias.narrow(0, 0, width) : qkv_bias;
  }
  [[nodiscard]] at::Tensor key_value_weight(std::int64_t width) const {
    return qkv_weight.narrow(0, width, qkv_weight.size(0) - width);
  }
  [[nodiscard]] at::Tensor key_value_bias(std::int64_t width) const {
    return qkv_bias.defined() ? qkv_bias.narrow(0, width, qkv_bias.size(0) - width) : qkv_bias;
  }
};

struct Weights {
  at::TensorOptions options;      //!< the network's dtype and device; unset: those of the embedding
  at::Tensor embedding;           //!< [vocabulary, d_model]
  at::Tensor position_embedding;  //!< [max_positions, d_model] or undefined
  at::Tensor final_norm_weight, final_norm_bias;
  at::Tensor unembedding;  //!< [vocabulary, d_model]
  std::vector<LayerWeights> layers;
};

/// Where weights go that cannot be used as they are stored: another dtype or device, or pieces that belong together
/// but lie apart.
struct WeightStore {
  /// Memory for one of them, not yet written.
  std::function<at::Tensor(at::IntArrayRef shape, const at::TensorOptions& options)> make;
  enum class Role { fill, share } role = Role::fill;  //!< share: another process fills the same memory
};

/// A store of this process's own.
WeightStore private_store();

/// Binds all weights in `options` (dtype, device); those already so stay views of the source. Tied embeddings may be
/// stored by either name. Throws UserError: a tensor missing or of the wrong shape, a stored tensor that the
/// description does not use (the model would silently be another one).
Weights bind_weights(const Architecture& architecture, const nlohmann::json& config, const TensorSource& source,
                     const at::TensorOptions& options, const WeightStore& store);

/// Whether an unembedding is stored that is not the stored embedding, byte for byte. Where config.json ties the two
/// nonetheless (an adapter on the head was merged in), the stored one is the model's, as transformers 5 has it. Reads
/// both.
bool has_own_head(const nlohmann::json& config, const TensorSource& source);

/// Bytes of all blocks' weights together, without the embeddings; of those that count, where somebody says which.
std::uint64_t block_bytes(const Weights& weights, const std::function<bool(const at::Tensor&)>& counts = {});

/// Whether no number of a tensor is NaN or infinite.
bool all_finite(const at::Tensor& numbers);

/// The first number of a tensor that is NaN or infinite, and how many are: "[17, 5] is NaN (3 of 884736 are not
/// finite)"; empty where all are finite.
std::string not_finite_text(const at::Tensor& weight);
/// The same of the first weight with one, behind what the weight is: "layer 3 down [17, 5] is NaN (…)".
std::string not_finite_text(const Weights& weights);

}  // namespace tributary
