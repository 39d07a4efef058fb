// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/tensors.h"

#include <cmath>

#include "attribution/model/functions.h"
#include "common/errors.h"

namespace tributary::generic {
namespace {

at::Tensor act(const at::Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::silu:
      return at::silu(z);
    case Activation::gelu_erf:
      return at::gelu(z, "none");
    case Activation::gelu_tanh:
      return at::gelu(z, "tanh");
    case Activation::gelu_quick:
      return z * at::sigmoid(z * 1.702);
    case Activation::relu:
      return at::relu(z);
  }
  throw ContractViolation("an activation outside the enumeration");
}

/// act'(z) * g
at::Tensor act_backward(const at::Tensor& g, const at::Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::silu:
      return at::silu_backward(g, z);
    case Activation::gelu_erf:
      return at::gelu_backward(g, z, "none");
    case Activation::gelu_tanh:
      return at::gelu_backward(g, z, "tanh");
    case Activation::gelu_quick:
      return at::silu_backward(g, z * 1.702);  // the factor before z and that of the slope cancel
    case Activation::relu:
      return at::threshold_backward(g, z, 0);
  }
  throw ContractViolation("an activation outside the enumeration");
}

/// act(z) / z without a division.
at::Tensor coefficient(const at::Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::silu:
      return at::sigmoid(z);
    case Activation::gelu_erf:
      return (at::erf(z * M_SQRT1_2) + 1) * 0.5;
    case Activation::gelu_tanh:
      return (at::tanh((z + z * z * z * 0.044715) * (M_SQRT2 * M_2_SQRTPI * 0.5)) + 1) * 0.5;
    case Activation::gelu_quick:
      return at::sigmoid(z * 1.702);
    case Activation::relu:
      return at::gt(z, 0).to(z.scalar_type());
  }
  throw ContractViolation("an activation outside the enumeration");
}

/// The stream's dtype for what is in the network's.
at::ScalarType wide(const at::Tensor& t) { return t.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

/// [rows, heads * d] → [sequence, heads, pos, d]
at::Tensor by_head(const at::Tensor& rows, std::int64_t sequences, std::int64_t heads, std::int64_t d) {
  return rows.to(wide(rows)).reshape({sequences, -1, heads, d}).transpose(1, 2);
}

/// [sequence, heads, pos, d] → [rows, heads * d]
at::Tensor by_row(const at::Tensor& t) { return t.transpose(1, 2).reshape({t.size(0) * t.size(2), -1}); }

/// Queries, keys and values of all positions, each key head repeated for the query heads it serves.
struct Heads {
  at::Tensor query, key, value;  // [sequence, head, pos, d]
  at::Tensor scores, pattern;    // [sequence, head, query, key]; scores before the soft-cap
};

at::Tensor with_prefix(const Attention& a, const at::Tensor& own, const at::Tensor& prefix) {
  at::Tensor all = own.reshape({a.sequences, a.suffix, a.kv_heads, a.d_head});
  if (a.prefix_length > 0) {
    const at::Tensor before = prefix.reshape({-1, a.prefix_length, a.kv_heads, a.d_head});
    all = at::cat({at::index_select(before, 0, a.pair), all}, 1);
  }
  const std::int64_t group = a.heads / a.kv_heads;  // [sequence, pos, kv_head, group, d] → [sequence, head, pos, d]
  return all.to(wide(own))
      .unsqueeze(3)
      .expand({a.sequences, a.prefix_length + a.suffix, a.kv_heads, group, a.d_head})
      .reshape({a.sequences, a.prefix_length + a.suffix, a.heads, a.d_head})
      .transpose(1, 2);
}

Heads heads_of(const Attention& a) {
  Heads h{by_head(a.query, a.sequences, a.heads, a.d_head),
          with_prefix(a, a.key, a.prefix_key),
          with_prefix(a, a.value, a.prefix_value),
          {},
          {}};
  const std::int64_t length = a.prefix_length + a.suffix;
  const at::Tensor at_query =
      at::arange(length - a.queries, length, h.query.options().dtype(at::kLong)).unsqueeze(1);  // [query, 1]
  const at::Tensor at_key = at::arange(length, at_query.options());
  at::Tensor hidden = at::gt(at_key, at_query);  // [query, key]
  if (a.window > 0) hidden = hidden.logical_or(at::le(at_key, at_query - a.window));
  h.scores = at::matmul(h.query, h.key.transpose(2, 3)) * a.scale;
  const at::Tensor capped = a.softcap > 0 ? softcap(h.scores, a.softcap) : h.scores;
  h.pattern = at::softmax(capped.masked_fill(hidden, -std::numeric_limits<double>::infinity()), -1);
  return h;
}

/// The own part of the gradient of all keys or values [sequence, head, pos, d], summed over the heads that share one.
at::Tensor own_gradient(const Attention& a, const at::Tensor& gradient) {
  const at::Tensor own = gradient.narrow(2, a.prefix_length, a.suffix);
  return by_row(own.reshape({a.sequences, a.kv_heads, a.heads / a.kv_heads, a.suffix, a.d_head}).sum(2));
}

at::Tensor gain_of(const Norm& norm, at::ScalarType type) {
  const at::Tensor weight = norm.weight.to(type);
  return norm.gain_offset == 0 ? weight : weight + norm.gain_offset;
}

}  // namespace

at::Tensor softcap(const at::Tensor& z, double cap) { return at::tanh(z / cap) * cap; }

at::Tensor softcap_factor(const at::Tensor& z, double cap, Derivative derivative) {
  const at::Tensor t = at::tanh(z / cap);
  if (derivative == Derivative::plain) return 1 - t * t;
  return at::where(at::eq(z, 0), at::ones_like(z), t * cap / z);
}

void normalise(const at::Tensor& stream, const Norm& norm, at::Tensor normalised, at::Tensor mean_rstd) {
  const bool centred = norm.kind == NormKind::layer;
  const at::Tensor mean = centred ? stream.mean(-1, true) : at::zeros({stream.size(0), 1}, stream.options());
  const at::Tensor moved = centred ? stream - mean : stream;
  const at::Tensor inverse = (moved.square().mean(-1, true) + norm.epsilon).rsqrt_();  // [rows, 1]
  at::Tensor y = moved * inverse * gain_of(norm, stream.scalar_type());
  if (norm.bias.defined()) y.add_(norm.bias.to(stream.scalar_type()));
  normalised.copy_(y);
  mean_rstd.copy_(at::cat({mean, inverse}, 1));
}

void normalise_backward(const at::Tensor& gradient, const at::Tensor& stream, const at::Tensor& mean_rstd,
                        const Norm& norm, Derivative derivative, at::Tensor stream_gradient, at::Tensor copy) {
  const at::Tensor mean = mean_rstd.narrow(1, 0, 1);  // [rows, 1]
  const at::Tensor inverse = mean_rstd.narrow(1, 1, 1);
  const at::Tensor unit = (stream - mean) * inverse;  // [rows, d_model]
  at::Tensor g = gradient.to(stream.scalar_type()) * gain_of(norm, stream.scalar_type());
  at::Tensor through = g;
  if (derivative == Derivative::plain) through = through - unit * (g * unit).mean(-1, true);
  if (norm.kind == NormKind::layer) through = through - g.mean(-1, true);
  stream_gradient.add_(through * inverse);
  if (copy.defined()) copy.copy_(stream_gradient);
}

void gate(const at::Tensor& pre_activations, const Gate& form, at::Tensor a) {
  const at::Tensor z = pre_activations.narrow(1, 0, form.neurons).to(wide(pre_activations));
  at::Tensor activated = act(z, form.activation);
  if (form.kind == MlpKind::gated) activated = activated * pre_activations.narrow(1, form.neurons, form.neurons);
  a.copy_(activated);
}

void gate_backward(const at::Tensor& gradient, const at::Tensor& pre_activations, const Gate& form,
                   Derivative activation, Derivative half, at::Tensor pre_activations_gradient, at::Tensor a) {
  if (a.defined()) generic::gate(pre_activations, form, a);
  const at::Tensor z = pre_activations.narrow(1, 0, form.neurons).to(wide(pre_activations));
  const at::Tensor g = gradient.to(wide(gradient)) * (half == Derivative::replaced ? 0.5 : 1.0);
  const auto through_act = [&](const at::Tensor& incoming) {
    return activation == Derivative::plain ? act_backward(incoming, z, form.activation)
                                           : incoming * coefficient(z, form.activation);
  };
  if (form.kind == MlpKind::plain) {
    pre_activations_gradient.copy_(through_act(gradient.to(wide(gradient))));
    return;
  }
  const at::Tensor u = pre_activations.narrow(1, form.neurons, form.neurons).to(wide(pre_activations));
  const at::Tensor z_gradient = through_act(g * u);
  const at::Tensor u_gradient = g * act(z, form.activation);
  pre_activations_gradient.narrow(1, 0, form.neurons).copy_(z_gradient);
  pre_activations_gradient.narrow(1, form.neurons, form.neurons).copy_(u_gradient);
}

void rotate(at::Tensor x, const Rotation& rotation, RotationSense turn) {
  const std::int64_t dims = rotation.cosine.size(1);
  const auto angles = [&rotation](const at::Tensor& table) {  // [1, pos, 1, dims]
    return table.narrow(0, rotation.first, rotation.positions).unsqueeze(0).unsqueeze(2);
  };
  const at::Tensor by_head = x.unflatten(1, {-1, rotation.d_head}).unflatten(0, {-1, rotation.positions});
  const at::Tensor part = by_head.narrow(-1, 0, dims);  // a view of x
  const at::Tensor heads = part.to(rotation.cosine.scalar_type());
  const at::Tensor turned = at::cat({-heads.narrow(-1, dims / 2, dims / 2), heads.narrow(-1, 0, dims / 2)}, -1);
  const at::Tensor sine = turn == RotationSense::forward ? angles(rotation.sine) : -angles(rotation.sine);
  part.copy_(heads * angles(rotation.cosine) + turned * sine);
}

void attend(const Attention& attention, at::Tensor z) {
  const Heads h = heads_of(attention);
  z.copy_(by_row(at::matmul(h.pattern, h.value)));
}

void attend_backward(const Attention& attention, const at::Tensor& gradient, AttentionDerivatives derivatives,
                     at::Tensor query_gradient, at::Tensor key_gradient, at::Tensor value_gradient) {
  const Heads h = heads_of(attention);
  const at::Tensor g = by_head(gradient, attention.sequences, attention.heads, attention.d_head);
  value_gradient.copy_(own_gradient(attention, at::matmul(h.pattern.transpose(2, 3), g)));
  if (derivatives.pattern == Derivative::replaced) {
    query_gradient.zero_();
    key_gradient.zero_();
    return;
  }
  const at::Tensor incoming = at::matmul(g, h.value.transpose(2, 3));  // [sequence, head, query, key]
  at::Tensor scores = h.pattern * (incoming - (h.pattern * incoming).sum(-1, true)) * attention.scale;
  if (attention.softcap > 0) scores = scores * softcap_factor(h.scores, attention.softcap, derivatives.softcap);
  query_gradient.copy_(by_row(at::matmul(scores, h.key)));
  key_gradient.copy_(own_gradient(attention, at::matmul(scores.transpose(2, 3), h.query)));
}

void ablate(at::Tensor a, const Ablate& what) {
  const std::int64_t positions = a.size(1);
  const auto last = [positions](const at::Tensor& t) {  // of all positions, those that a has
    return t.size(1) == 1 ? t : t.narrow(1, t.size(1) - positions, positions);
  };
  const at::Tensor ranks = at::index_select(last(what.ranks), 0, what.ranking);  // [sequence, pos or 1, neuron]
  const at::Tensor values = at::index_select(last(what.values), 0, what.pair);
  const at::Tensor kept = at::lt(ranks, what.kept.view({-1, 1, 1})).logical_xor(what.complement.view({-1, 1, 1}));
  a.copy_(at::where(kept, a, values));
}

}  // namespace tributary::generic
