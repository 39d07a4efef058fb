// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The independent truth for the engine's hand-written passes: the same network from LibTorch's differentiable
// operations, all positions, one prompt like the other, always in float64; derivatives by autograd, replacement rules
// by detaching what they hold constant. Slow on purpose, and knows no tape, prefix or wavefront.
#pragma once

#include <torch/csrc/autograd/autograd.h>
#include "attribution/model/tensors.h"

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <vector>

#include "attribution/model/functions.h"
#include "attribution/model/rotary.h"
#include "attribution/model/transformer.h"
#include "attribution/nodes/node_table.h"

namespace tributary::testing {

namespace truth {

inline at::Tensor held(const at::Tensor& t, Derivative derivative) {
  return derivative == Derivative::replaced ? t.detach() : t;
}

/// x [.., d_model]
inline at::Tensor norm(const at::Tensor& x, const Norm& n, Derivative derivative) {
  if (n.kind == NormKind::none) return x;
  const at::Tensor moved = n.kind == NormKind::layer ? x - x.mean(-1, true) : x;
  const at::Tensor sigma = (moved.square().mean(-1, true) + n.epsilon).sqrt();
  const at::Tensor y = moved / held(sigma, derivative) * (n.gain_offset + n.weight.to(at::kDouble));
  return n.bias.defined() ? y + n.bias.to(at::kDouble) : y;
}

/// act(z) / z
inline at::Tensor coefficient(const at::Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::silu:
      return at::sigmoid(z);
    case Activation::gelu_erf:
      return (at::erf(z / std::sqrt(2.0)) + 1) / 2;
    case Activation::gelu_tanh:
      return (at::tanh(std::sqrt(2 / M_PI) * (z + 0.044715 * z.pow(3))) + 1) / 2;
    case Activation::gelu_quick:
      return at::sigmoid(1.702 * z);
    case Activation::relu:
      return (z > 0).to(z.scalar_type());
  }
  return {};
}

inline at::Tensor act(const at::Tensor& z, Activation activation, Derivative derivative) {
  return z * held(coefficient(z, activation), derivative);
}

inline at::Tensor product(const at::Tensor& s, const at::Tensor& u, Derivative half) {
  return half == Derivative::replaced ? (s * u.detach() + s.detach() * u) / 2 : s * u;
}

/// x [.., pos, d] at positions first, first + 1, …
inline at::Tensor rotated(const at::Tensor& x, const Rotary& rotary, std::int64_t first = 0) {
  const std::int64_t length = first + x.size(-2);
  const std::int64_t half = (rotary.dims == 0 ? x.size(-1) : rotary.dims) / 2;
  const at::Tensor angle =
      at::outer(at::arange(first, length, at::kDouble), rotary_frequencies(rotary, x.size(-1), length));  // [pos, half]
  const at::Tensor a = x.narrow(-1, 0, half) * rotary.attention_factor;
  const at::Tensor b = x.narrow(-1, half, half) * rotary.attention_factor;
  const at::Tensor rest = x.narrow(-1, 2 * half, x.size(-1) - 2 * half);
  return at::cat({a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin(), rest}, -1);
}

/// cap · tanh(z / cap); 0: z.
inline at::Tensor capped(const at::Tensor& z, double cap, Derivative derivative) {
  if (cap == 0) return z;
  const at::Tensor value = cap * at::tanh(z / cap);
  return derivative == Derivative::plain ? value : z * held(value / z, derivative);
}

/// What is done with scores before the softmax.
struct Scores {
  double scale = 1, cap = 0;
  Derivative softcap = Derivative::plain;
};

/// query [sequence, head, query, d] of the last positions; key, value [sequence, kv_head, pos, d]; window 0: none.
inline at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                            std::int64_t window, const Scores& form, Derivative pattern) {
  const std::int64_t group = query.size(1) / key.size(1);
  const std::int64_t length = key.size(2);
  at::Tensor seen = at::ones({length, length}, at::kBool).tril();
  if (window > 0) seen = seen.logical_and(at::ones_like(seen).triu(1 - window));
  const at::Tensor products = at::matmul(query, key.repeat_interleave(group, 1).transpose(2, 3)) * form.scale;
  const at::Tensor scores = capped(products, form.cap, form.softcap);
  const at::Tensor hidden = seen.narrow(0, length - query.size(2), query.size(2)).logical_not();
  const at::Tensor weights = at::softmax(scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()), -1);
  return at::matmul(held(weights, pattern), value.repeat_interleave(group, 1));
}

}  // namespace truth

/// What a run of the reference gives. Streams: before each block, and after the last; between the halves of each block.
struct Truth {
  at::Tensor logits;                                          //!< [sequence, pos, vocabulary]
  at::Tensor metric;                                          //!< [sequence]
  std::map<Site, std::vector<at::Tensor>> values, gradients;  //!< [layer] of [sequence, pos, width]; embeddings: [1]
  std::vector<at::Tensor> neurons, neuron_gradients;          //!< those of Site::neurons
  std::vector<at::Tensor> streams, stream_gradients;          //!< [layer + 1] of [sequence, pos, d_model]
  std::vector<at::Tensor> mids, mid_gradients;                //!< [layer], likewise
};

/// The last positions of one of its lists.
inline at::Tensor last_positions(const std::vector<at::Tensor>& list, std::int64_t at, std::int64_t count) {
  const at::Tensor& all = list.at(static_cast<std::size_t>(at));
  return all.narrow(1, all.size(1) - count, count);
}

class AutogradModel {
 public:
  using Replace = std::function<at::Tensor(std::int64_t layer, const at::Tensor& a)>;
  using Do = std::function<at::Tensor(Site site, std::int64_t layer, const at::Tensor& own)>;

  explicit AutogradModel(const Transformer& model) : a_(model.architecture()), w_(model.weights()) {}

  /// From token embeddings [sequence, pos, d_model]; `replace` returns what each layer's neurons become. The metric is
  /// the sum over positions, counted from the end, of the tokens' logits there.
  [[nodiscard]] Truth run(const at::Tensor& embeddings, const MetricTokens& tokens, Rules rules = {},
                          const Replace& replace = {}, const std::vector<std::int64_t>& from_end = {0}) const {
    if (!replace) return run_with(embeddings, tokens, rules, {}, from_end);
    const auto change = [&replace](Site site, std::int64_t layer, const at::Tensor& own) {
      return site == Site::neurons ? replace(layer, own) : own;
    };
    return run_with(embeddings, tokens, rules, change, from_end);
  }

  /// The same; `change` returns what becomes of what is read at each site of each layer.
  [[nodiscard]] Truth run_with(const at::Tensor& embeddings, const MetricTokens& tokens, Rules rules, const Do& change,
                               const std::vector<std::int64_t>& from_end = {0}) const {
    const at::AutoGradMode gradients(true);
    Truth t;
    const auto read = [&](Site site, std::int64_t layer, at::Tensor own) {
      if (change) own = change(site, layer, own);
      if (!own.requires_grad()) own = own.detach().clone().requires_grad_();  // all of it set
      t.values[site].push_back(own);
      return own;
    };
    at::Tensor h = read(Site::embeddings, 0, embeddings.detach().to(at::kDouble).clone().requires_grad_());
    t.streams.push_back(h);
    if (a_.learned_positions) h = h + wide(w_.position_embedding).narrow(0, 0, h.size(1));
    for (std::int64_t layer = 0; layer < a_.layers(); ++layer) {
      const LayerWeights& w = w_.layers[static_cast<std::size_t>(layer)];
      const BlockSpec& block = a_.block(layer);
      const at::Tensor before = h;
      const at::Tensor z = read(Site::z, layer, heads(h, block, w, rules));
      h = h + added(at::linear(z, wide(w.output_weight), wide(w.output_bias)), block,
                    norm_of(block.attention_post_norm, w.attention_post_norm_weight), rules);
      t.mids.push_back(h);
      const bool parallel = block.residual == Residual::parallel;
      const at::Tensor a = read(Site::neurons, layer, neurons(parallel ? before : h, block, w, rules));
      const at::Tensor written = read(Site::mlp_written, layer, at::linear(a, wide(w.down_weight), wide(w.down_bias)));
      h = h + read(Site::mlp_out, layer,
                   added(written, block, norm_of(block.mlp_post_norm, w.mlp_post_norm_weight), rules));
      t.streams.push_back(h);
    }
    const Norm last = norm_of(a_.final_norm, w_.final_norm_weight, w_.final_norm_bias);
    t.logits = at::matmul(truth::norm(h, last, of(rules, Rule::norm)), wide(w_.unembedding).t());
    t.logits = truth::capped(t.logits * a_.logit_multiplier, a_.logit_softcap.value_or(0), of(rules, Rule::softcap));
    t.metric = at::zeros({h.size(0)}, at::kDouble);
    for (const std::int64_t distance : from_end) {
      const at::Tensor chosen = t.logits.select(1, h.size(1) - 1 - distance).gather(1, tokens.tokens);
      t.metric = t.metric + (chosen * wide(tokens.coefficients)).sum(-1);
    }
    t.stream_gradients = gradients_of(t.metric, t.streams);
    t.mid_gradients = gradients_of(t.metric, t.mids);
    for (auto& [site, list] : t.values) t.gradients[site] = gradients_of(t.metric, list);
    const auto detach = [](std::vector<at::Tensor>& list) {
      for (at::Tensor& one : list) one = one.detach();
    };
    detach(t.streams);
    detach(t.mids);
    for (auto& [site, list] : t.values) detach(list);
    t.neurons = t.values[Site::neurons];
    t.neuron_gradients = t.gradients[Site::neurons];
    t.logits = t.logits.detach();
    t.metric = t.metric.detach();
    return t;
  }

  /// m with one layer's neurons set to a [sequence, pos, neuron].
  [[nodiscard]] at::Tensor metric_with_layer(const at::Tensor& embeddings, const MetricTokens& tokens,
                                             std::int64_t layer, const at::Tensor& a) const {
    return run(embeddings, tokens, {}, [&](std::int64_t at, const at::Tensor& own) { return at == layer ? a : own; })
        .metric;
  }

 private:
  static at::Tensor wide(const at::Tensor& t) { return t.defined() ? t.to(at::kDouble) : t; }
  static Derivative of(Rules rules, Rule rule) { return rules.has(rule) ? Derivative::replaced : Derivative::plain; }

  /// dm/d of each of a list; zero where m does not depend on it.
  static std::vector<at::Tensor> gradients_of(const at::Tensor& metric, const std::vector<at::Tensor>& list) {
    const auto found = torch::autograd::grad({metric}, list, {at::ones_like(metric)}, /*retain_graph=*/true, false,
                                             /*allow_unused=*/true);
    std::vector<at::Tensor> gradients;
    for (std::size_t i = 0; i < list.size(); ++i) {
      gradients.push_back(found[i].defined() ? found[i] : at::zeros_like(list[i]).detach());
    }
    return gradients;
  }

  /// What a sub-block adds to the stream.
  static at::Tensor added(const at::Tensor& out, const BlockSpec& block, const Norm& post_norm, Rules rules) {
    return block.multiplier * truth::norm(out, post_norm, of(rules, Rule::norm));
  }

  /// z: attention's output before W_O, all heads side by side [sequence, pos, heads * d_head].
  [[nodiscard]] at::Tensor heads(const at::Tensor& h, const BlockSpec& block, const LayerWeights& w,
                                 Rules rules) const {
    const Norm n = norm_of(block.attention_norm, w.attention_norm_weight, w.attention_norm_bias);
    const at::Tensor x = truth::norm(h, n, of(rules, Rule::norm));
    const at::Tensor joined = at::linear(x, wide(w.qkv_weight), wide(w.qkv_bias));
    const auto part = [&](std::int64_t first, std::int64_t heads, const at::Tensor& norm_weight = {}) {
      at::Tensor rows = joined.narrow(2, first * a_.d_head, heads * a_.d_head);
      const Norm own = norm_of(block.attention.query_key, norm_weight);
      const bool full = block.attention.query_key_norm == QueryKeyNorm::full_width;
      if (norm_weight.defined() && full) rows = truth::norm(rows, own, of(rules, Rule::norm));
      rows = rows.unflatten(2, {heads, a_.d_head});
      if (norm_weight.defined() && !full) rows = truth::norm(rows, own, of(rules, Rule::norm));
      return rows.transpose(1, 2);  // [sequence, head, pos, d]
    };
    at::Tensor query = part(0, a_.heads, w.query_norm_weight);
    at::Tensor key = part(a_.heads, a_.kv_heads, w.key_norm_weight);
    if (block.attention.rotary) {
      query = truth::rotated(query, a_.rotaries[*block.attention.rotary]);
      key = truth::rotated(key, a_.rotaries[*block.attention.rotary]);
    }
    const at::Tensor z =
        truth::attention(query, key, part(a_.heads + a_.kv_heads, a_.kv_heads), block.attention.window.value_or(0),
                         {block.attention.scale, block.attention.softcap.value_or(0), of(rules, Rule::softcap)},
                         of(rules, Rule::attention));
    return z.transpose(1, 2).flatten(2);
  }

  [[nodiscard]] at::Tensor neurons(const at::Tensor& h, const BlockSpec& block, const LayerWeights& w,
                                   Rules rules) const {
    const Norm n = norm_of(block.mlp_norm, w.mlp_norm_weight, w.mlp_norm_bias);
    const at::Tensor x = truth::norm(h, n, of(rules, Rule::norm));
    const at::Tensor expanded = at::linear(x, wide(w.expand_weight), wide(w.expand_bias));
    at::Tensor s = truth::act(expanded.narrow(2, 0, a_.neurons), block.mlp.activation, of(rules, Rule::activation));
    if (block.mlp.kind == MlpKind::plain) return s;
    return truth::product(s, expanded.narrow(2, a_.neurons, a_.neurons), of(rules, Rule::half));
  }

  Architecture a_;
  Weights w_;
};

}  // namespace tributary::testing
