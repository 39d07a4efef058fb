// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/stand_in.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

namespace tributary {
namespace {

using Make = std::function<at::Tensor(at::IntArrayRef shape)>;

LayerWeights layer_of(const Architecture& a, const BlockSpec& block, const Make& make) {
  const auto bias = [&](NormKind kind) { return kind == NormKind::layer ? make({a.d_model}) : at::Tensor(); };
  LayerWeights layer;
  const auto weight = [&](NormKind kind) { return kind != NormKind::none ? make({a.d_model}) : at::Tensor(); };
  layer.attention_norm_weight = weight(block.attention_norm.kind);
  layer.attention_norm_bias = bias(block.attention_norm.kind);
  layer.attention_post_norm_weight = weight(block.attention_post_norm.kind);
  if (block.attention.query_key_norm != QueryKeyNorm::none) {
    const bool full = block.attention.query_key_norm == QueryKeyNorm::full_width;
    layer.query_norm_weight = make({full ? a.query_width() : a.d_head});
    layer.key_norm_weight = make({full ? a.key_width() : a.d_head});
  }
  layer.qkv_weight = make({a.query_width() + 2 * a.key_width(), a.d_model});
  layer.output_weight = make({a.d_model, a.query_width()});
  layer.mlp_norm_weight = weight(block.mlp_norm.kind);
  layer.mlp_norm_bias = bias(block.mlp_norm.kind);
  layer.mlp_post_norm_weight = weight(block.mlp_post_norm.kind);
  layer.expand_weight = make({(block.mlp.kind == MlpKind::gated ? 2 : 1) * a.neurons, a.d_model});
  layer.down_weight = make({a.d_model, a.neurons});
  return layer;
}

/// Blocks with the same parts share their weights.
Weights weights_of(const Architecture& a, const at::TensorOptions& options, const Make& make) {
  Weights weights;
  weights.options = options;
  weights.embedding = make({a.vocabulary, a.d_model});
  weights.unembedding = a.tied_embeddings ? weights.embedding : make({a.vocabulary, a.d_model});
  if (a.learned_positions) weights.position_embedding = make({a.max_positions, a.d_model});
  weights.final_norm_weight = make({a.d_model});
  if (a.final_norm.kind == NormKind::layer) weights.final_norm_bias = make({a.d_model});
  using Parts = std::tuple<NormKind, NormKind, NormKind, NormKind, QueryKeyNorm, MlpKind>;
  std::map<Parts, LayerWeights> layers;
  for (const BlockSpec& block : a.blocks) {
    const Parts parts{block.attention_norm.kind, block.attention_post_norm.kind, block.mlp_norm.kind,
                      block.mlp_post_norm.kind,  block.attention.query_key_norm, block.mlp.kind};
    if (!layers.contains(parts)) layers.emplace(parts, layer_of(a, block, make));
    weights.layers.push_back(layers.at(parts));
  }
  return weights;
}

double block_parameters(const Architecture& a) {
  return static_cast<double>(a.d_model) * static_cast<double>(2 * a.query_width() + 2 * a.key_width() + 3 * a.neurons);
}

std::int64_t part_of(std::int64_t number, std::int64_t divisor) {
  return std::max<std::int64_t>(1, (number + divisor - 1) / divisor);
}

/// All widths divided by about the same number; heads keep their size.
Architecture narrowed(Architecture a, std::int64_t divisor) {
  a.d_model = part_of(a.d_model, divisor);
  a.neurons = part_of(a.neurons, divisor);
  a.heads /= divisor;
  a.kv_heads = part_of(a.kv_heads, divisor);
  while (a.heads % a.kv_heads != 0) ++a.kv_heads;
  a.vocabulary = std::min<std::int64_t>(a.vocabulary, 8);  // no measured pass reads the tables
  return a;
}

}  // namespace

std::shared_ptr<const Transformer> network_without_numbers(const Architecture& architecture, at::ScalarType type,
                                                           at::ScalarType matrices) {
  const at::TensorOptions options = at::TensorOptions(type).device(at::kMeta);
  const auto make = [&](at::IntArrayRef shape) {
    return at::empty(shape, shape.size() == 2 ? options.dtype(matrices) : options);
  };
  return std::make_shared<const Transformer>(architecture, weights_of(architecture, options, make));
}

bool is_without_numbers(const Transformer& network) { return network.options().device().is_meta(); }

StandIn stand_in_for(const Transformer& network) {
  // Parameters of a block that take a few milliseconds; processors without bfloat16 are an order slower in it.
  const double enough = network.options().dtype() == at::kBFloat16 ? 1e6 : 8e6;
  constexpr double small_number = 0.01;  // of which no pass makes anything too large
  const Architecture& a = network.architecture();
  std::int64_t divisor = 1;
  const auto fits = [&a, enough](std::int64_t by) {
    return block_parameters(a) / static_cast<double>(by * by) <= enough;
  };
  for (std::int64_t by = 1; by <= a.heads; ++by) {
    if (a.heads % by != 0) continue;
    divisor = by;
    if (fits(by)) break;
  }
  const at::TensorOptions options = network.options().device(at::kCPU);
  const Architecture narrow = narrowed(a, divisor);
  const auto make = [&](at::IntArrayRef shape) { return at::ones(shape, options).mul_(small_number); };
  return {std::make_shared<const Transformer>(narrow, weights_of(narrow, options, make)),
          static_cast<double>(a.d_model) / static_cast<double>(narrow.d_model)};
}

}  // namespace tributary
