// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/weights.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "common/errors.h"
#include "common/text.h"

namespace tributary {
namespace {

using Shape = std::vector<std::int64_t>;

/// The shape a slot must have, as the forward pass uses it.
Shape shape_of(Slot slot, const Architecture& a) {
  const std::int64_t queries = a.heads * a.d_head;
  const std::int64_t keys = a.kv_heads * a.d_head;
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
    default:
      return {a.d_model};
  }
}

at::Tensor LayerWeights::*layer_member(Slot slot) {
  static const std::map<Slot, at::Tensor LayerWeights::*> members = {
      {Slot::attention_norm_weight, &LayerWeights::attention_norm_weight},
      {Slot::attention_norm_bias, &LayerWeights::attention_norm_bias},
      {Slot::query_weight, &LayerWeights::query_weight},
      {Slot::query_bias, &LayerWeights::query_bias},
      {Slot::key_weight, &LayerWeights::key_weight},
      {Slot::key_bias, &LayerWeights::key_bias},
      {Slot::value_weight, &LayerWeights::value_weight},
      {Slot::value_bias, &LayerWeights::value_bias},
      {Slot::output_weight, &LayerWeights::output_weight},
      {Slot::output_bias, &LayerWeights::output_bias},
      {Slot::mlp_norm_weight, &LayerWeights::mlp_norm_weight},
      {Slot::mlp_norm_bias, &LayerWeights::mlp_norm_bias},
      {Slot::gate_weight, &LayerWeights::gate_weight},
      {Slot::gate_bias, &LayerWeights::gate_bias},
      {Slot::up_weight, &LayerWeights::up_weight},
      {Slot::up_bias, &LayerWeights::up_bias},
      {Slot::down_weight, &LayerWeights::down_weight},
      {Slot::down_bias, &LayerWeights::down_bias},
  };
  return members.at(slot);
}

at::Tensor Weights::*model_member(Slot slot) {
  static const std::map<Slot, at::Tensor Weights::*> members = {
      {Slot::embedding, &Weights::embedding},
      {Slot::position_embedding, &Weights::position_embedding},
      {Slot::final_norm_weight, &Weights::final_norm_weight},
      {Slot::final_norm_bias, &Weights::final_norm_bias},
      {Slot::unembedding, &Weights::unembedding},
  };
  return members.at(slot);
}

/// Takes tensors out of the source, remembering which names were used.
class Binder {
 public:
  Binder(const Architecture& architecture, const Family& family, const TensorSource& source,
         const at::TensorOptions& options)
      : architecture_(architecture), source_(source), options_(options) {
    const std::set<std::string> names(source.names.begin(), source.names.end());
    for (const std::string& prefix : family.prefixes) {
      if (names.count(prefix + family.tensors.front().name) != 0) prefix_ = prefix;
    }
  }

  [[nodiscard]] at::Tensor take(const TensorRow& row, std::int64_t layer) {
    std::string name = row.name;
    if (const auto hole = name.find("{}"); hole != std::string::npos) name.replace(hole, 2, std::to_string(layer));
    if (row.slot != Slot::unembedding) name.insert(0, prefix_);  // the unembedding stands outside the prefixed trunk
    at::Tensor stored = source_.find(name);
    if (!stored.defined()) {
      throw UserError(source_.where, "tensor '" + name + "' is missing (a " + architecture_.family +
                                         " model needs it); is the download complete?");
    }
    used_.insert(name);
    return fit(stored, row, name);
  }

  /// Every stored tensor must have been used, or be known to carry no weight.
  void require_all_used(const Family& family, bool tied) const {
    for (const std::string& name : source_.names) {
      bool known = used_.count(name) != 0 || (tied && name == "lm_head.weight");
      for (const std::string& ending : family.ignored) known = known || name.ends_with(ending);
      if (!known) {
        throw UserError(source_.where, "tensor '" + name + "' is stored, but a " + architecture_.family +
                                           " model as config.json describes it does not use it (the results would "
                                           "silently be those of another model)");
      }
    }
  }

 private:
  [[nodiscard]] at::Tensor fit(const at::Tensor& stored, const TensorRow& row, const std::string& name) const {
    at::Tensor weight = row.layout == Layout::conv1d && stored.dim() == 2 ? stored.t() : stored;
    if (row.parts > 1 && weight.dim() > 0 && weight.size(0) % row.parts == 0) {
      const std::int64_t rows = weight.size(0) / row.parts;
      weight = weight.narrow(0, row.part * rows, rows);
    }
    const Shape expected = shape_of(row.slot, architecture_);
    if (weight.sizes() != at::IntArrayRef(expected)) {
      throw UserError(source_.where, fmt::format("tensor '{}' has shape [{}] where config.json says [{}]", name,
                                                 fmt::join(weight.sizes(), ", "), fmt::join(expected, ", ")));
    }
    return weight.to(options_);
  }

  const Architecture& architecture_;
  const TensorSource& source_;
  at::TensorOptions options_;
  std::string prefix_;
  std::set<std::string> used_;
};

}  // namespace

Weights bind_weights(const Architecture& architecture, const nlohmann::json& config, const TensorSource& source,
                     const at::TensorOptions& options) {
  const Family& family = family_of(config, source.where);
  Binder binder(architecture, family, source, options);
  Weights weights;
  if (architecture.layers > static_cast<std::int64_t>(source.names.size())) {
    throw UserError(source.where,
                    fmt::format("config.json says {} layers, but only {} tensors are stored; is the download complete?",
                                architecture.layers, source.names.size()));
  }
  weights.layers.resize(static_cast<std::size_t>(architecture.layers));
  for (const TensorRow& row : family.tensors) {
    if (!wants_tensor(row, config)) continue;
    if (row.slot == Slot::unembedding && architecture.tied_embeddings) continue;
    if (row.slot < layer_slots_begin) {
      weights.*model_member(row.slot) = binder.take(row, 0);
      continue;
    }
    for (std::int64_t layer = 0; layer < architecture.layers; ++layer) {
      weights.layers[static_cast<std::size_t>(layer)].*layer_member(row.slot) = binder.take(row, layer);
    }
  }
  if (architecture.tied_embeddings) weights.unembedding = weights.embedding;
  binder.require_all_used(family, architecture.tied_embeddings);
  return weights;
}

void require_finite(const Weights& weights, const std::string& where) {
  const auto check = [&where](const at::Tensor& weight, const std::string& name) {
    // The sum of a tensor is finite unless an element is not: one pass, no mask the size of the model.
    if (weight.defined() && !at::isfinite(weight.sum(at::kDouble)).item<bool>()) {
      throw UserError(where, "the weights hold NaN or infinite values (" + name + "); the checkpoint is damaged");
    }
  };
  check(weights.embedding, "embedding");
  check(weights.position_embedding, "position embedding");
  check(weights.final_norm_weight, "final norm");
  check(weights.unembedding, "unembedding");
  for (std::size_t layer = 0; layer < weights.layers.size(); ++layer) {
    const LayerWeights& w = weights.layers[layer];
    const std::vector<std::pair<at::Tensor, std::string>> all = {
        {w.attention_norm_weight, "attention norm"},
        {w.attention_norm_bias, "attention norm bias"},
        {w.query_weight, "query"},
        {w.query_bias, "query bias"},
        {w.key_weight, "key"},
        {w.key_bias, "key bias"},
        {w.value_weight, "value"},
        {w.value_bias, "value bias"},
        {w.output_weight, "attention output"},
        {w.output_bias, "attention output bias"},
        {w.mlp_norm_weight, "MLP norm"},
        {w.mlp_norm_bias, "MLP norm bias"},
        {w.gate_weight, "gate"},
        {w.gate_bias, "gate bias"},
        {w.up_weight, "up"},
        {w.up_bias, "up bias"},
        {w.down_weight, "down"},
        {w.down_bias, "down bias"},
    };
    for (const auto& [weight, name] : all) check(weight, fmt::format("layer {} {}", layer, name));
  }
}

}  // namespace tributary
