// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/detail/slots.h"

#include "common/errors.h"

namespace tributary::detail {

Shape shape_of(Slot slot, const Architecture& a) {
  const std::int64_t queries = a.query_width();
  const std::int64_t keys = a.key_width();
  const bool full_norms = a.blocks.front().attention.query_key_norm == QueryKeyNorm::full_width;
  switch (slot) {
    case Slot::embedding:
    case Slot::unembedding:
      return {a.vocabulary, a.d_model};
    case Slot::position_embedding:
      return {a.max_positions, a.d_model};
    case Slot::query_weight:
      return {queries, a.d_model};
    case Slot::query_bias:
      return {queries};
    case Slot::key_weight:
    case Slot::value_weight:
      return {keys, a.d_model};
    case Slot::key_bias:
    case Slot::value_bias:
      return {keys};
    case Slot::query_norm_weight:
      return {full_norms ? queries : a.d_head};
    case Slot::key_norm_weight:
      return {full_norms ? keys : a.d_head};
    case Slot::output_weight:
      return {a.d_model, queries};
    case Slot::gate_weight:
    case Slot::up_weight:
      return {a.neurons, a.d_model};
    case Slot::gate_bias:
    case Slot::up_bias:
      return {a.neurons};
    case Slot::down_weight:
      return {a.d_model, a.neurons};
    case Slot::final_norm_weight:
    case Slot::final_norm_bias:
    case Slot::attention_norm_weight:
    case Slot::attention_norm_bias:
    case Slot::attention_post_norm_weight:
    case Slot::mlp_norm_weight:
    case Slot::mlp_norm_bias:
    case Slot::mlp_post_norm_weight:
    case Slot::output_bias:
    case Slot::down_bias:
      return {a.d_model};
  }
  throw ContractViolation("a slot outside the enumeration");
}

const std::vector<Member<LayerWeights>>& layer_members() {
  static const std::vector<Member<LayerWeights>> members = {
      {&LayerWeights::attention_norm_weight, {Slot::attention_norm_weight}, "attention norm"},
      {&LayerWeights::attention_norm_bias, {Slot::attention_norm_bias}, "attention norm bias"},
      {&LayerWeights::attention_post_norm_weight, {Slot::attention_post_norm_weight}, "norm after attention"},
      {&LayerWeights::query_norm_weight, {Slot::query_norm_weight}, "query norm"},
      {&LayerWeights::key_norm_weight, {Slot::key_norm_weight}, "key norm"},
      {&LayerWeights::qkv_weight, {Slot::query_weight, Slot::key_weight, Slot::value_weight}, "query, key, value"},
      {&LayerWeights::qkv_bias, {Slot::query_bias, Slot::key_bias, Slot::value_bias}, "query, key, value bias"},
      {&LayerWeights::output_weight, {Slot::output_weight}, "attention output"},
      {&LayerWeights::output_bias, {Slot::output_bias}, "attention output bias"},
      {&LayerWeights::mlp_norm_weight, {Slot::mlp_norm_weight}, "MLP norm"},
      {&LayerWeights::mlp_norm_bias, {Slot::mlp_norm_bias}, "MLP norm bias"},
      {&LayerWeights::mlp_post_norm_weight, {Slot::mlp_post_norm_weight}, "norm after the MLP"},
      {&LayerWeights::expand_weight, {Slot::gate_weight, Slot::up_weight}, "gate and up"},
      {&LayerWeights::expand_bias, {Slot::gate_bias, Slot::up_bias}, "gate and up bias"},
      {&LayerWeights::down_weight, {Slot::down_weight}, "down"},
      {&LayerWeights::down_bias, {Slot::down_bias}, "down bias"},
  };
  return members;
}

const std::vector<Member<Weights>>& model_members() {
  static const std::vector<Member<Weights>> members = {
      {&Weights::embedding, {Slot::embedding}, "embedding"},
      {&Weights::position_embedding, {Slot::position_embedding}, "position embedding"},
      {&Weights::final_norm_weight, {Slot::final_norm_weight}, "final norm"},
      {&Weights::final_norm_bias, {Slot::final_norm_bias}, "final norm bias"},
      {&Weights::unembedding, {Slot::unembedding}, "unembedding"},
  };
  return members;
}

}  // namespace tributary::detail
