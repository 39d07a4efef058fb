// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/functions.h"

#include "attribution/model/tensors.h"

#include "attribution/model/detail/cpu_kernels.h"
#include "common/errors.h"
#include "common/team.h"

namespace tributary {
namespace {

using detail::Bf16;
using detail::CpuKernels;
using detail::Rows;

/// Stands for a pair of C++ types in calls.
template <typename Stream, typename Network>
struct Types {
  using S = Stream;
  using T = Network;
  const CpuKernels<S, T>& kernels;
};

/// Calls body with the types of a network of this dtype.
template <typename Body>
void with_types(at::ScalarType network, const Body& body) {
  const detail::CpuKernelTable& table = detail::cpu_kernels();
  switch (network) {
    case at::kFloat:
      return body(Types<float, float>{table.float32});
    case at::kBFloat16:
      return body(Types<float, Bf16>{table.bfloat16});
    case at::kDouble:
      return body(Types<double, double>{table.float64});
    default:
      throw ContractViolation("a network's dtype is checked when it is loaded");
  }
}

/// A matrix as rows in memory; none where it is undefined.
template <typename T>
Rows<T> rows_of(const at::Tensor& matrix) {
  if (!matrix.defined()) return {};
  TRIBUTARY_EXPECT(matrix.dim() == 2 && matrix.stride(1) == 1, "rows are contiguous");
  TRIBUTARY_EXPECT(matrix.element_size() == sizeof(T), "dtypes are those of the network and its stream");
  return {static_cast<T*>(matrix.data_ptr()), matrix.stride(0)};
}

template <typename T>
Rows<const T> read_rows(const at::Tensor& matrix) {
  const Rows<T> rows = rows_of<T>(matrix);
  return {rows.data, rows.stride};
}

template <typename T>
const T* vector_of(const at::Tensor& vector) {
  return vector.defined() ? static_cast<const T*>(vector.data_ptr()) : nullptr;
}

/// [entry, pos, neuron] as its last positions in memory: where one entry has fewer positions than another, they end
/// together.
template <typename T>
detail::Table<T> table_of(const at::Tensor& t) {
  TRIBUTARY_EXPECT(t.dim() == 3 && t.stride(2) == 1, "neurons are contiguous");
  TRIBUTARY_EXPECT(t.element_size() == sizeof(T), "dtypes are those of the network and of ranks");
  return {static_cast<T*>(t.data_ptr()), t.size(1), t.stride(0), t.stride(1)};
}

template <typename S, typename T>
detail::AttentionArguments<S, T> attention_arguments(const Attention& a) {
  detail::AttentionArguments<S, T> arguments;
  arguments.sequences = a.sequences;
  arguments.queries = a.queries;
  arguments.suffix = a.suffix;
  arguments.prefix_length = a.prefix_length;
  arguments.tokens = a.tokens;
  arguments.heads = a.heads;
  arguments.kv_heads = a.kv_heads;
  arguments.head = a.d_head;
  arguments.window = a.window;
  arguments.scale = static_cast<S>(a.scale);
  arguments.softcap = static_cast<S>(a.softcap);
  arguments.query = read_rows<T>(a.query);
  arguments.key = read_rows<T>(a.key);
  arguments.value = read_rows<T>(a.value);
  arguments.prefix_key = read_rows<T>(a.prefix_key);
  arguments.prefix_value = read_rows<T>(a.prefix_value);
  arguments.pair = vector_of<std::int64_t>(a.pair);
  return arguments;
}

/// Rows of a loop that are worth a thread.
constexpr std::int64_t rows_of_a_thread = 16;

template <typename S, typename T>
detail::NormArguments<S, T> piece_of(const detail::NormArguments<S, T>& a, std::int64_t first, std::int64_t end) {
  detail::NormArguments<S, T> piece = a;
  piece.rows = end - first;
  piece.stream = a.stream.from(first);
  piece.addend_base = a.addend_base.from(first);
  piece.addend = a.addend.from(first);
  piece.normalised = a.normalised.from(first);
  if (a.mean_rstd != nullptr) piece.mean_rstd += 2 * first;
  return piece;
}

template <typename S, typename T>
detail::NormBackwardArguments<S, T> piece_of(const detail::NormBackwardArguments<S, T>& a, std::int64_t first,
                                             std::int64_t end) {
  detail::NormBackwardArguments<S, T> piece = a;
  piece.rows = end - first;
  piece.stream = a.stream.from(first);
  piece.mean_rstd += 2 * first;
  piece.gradient = a.gradient.from(first);
  piece.stream_gradient = a.stream_gradient.from(first);
  piece.copy = a.copy.from(first);
  return piece;
}

template <typename T>
detail::GateArguments<T> piece_of(const detail::GateArguments<T>& a, std::int64_t first, std::int64_t end) {
  detail::GateArguments<T> piece = a;
  piece.rows = end - first;
  piece.pre_activations = a.pre_activations.from(first);
  piece.neurons_out = a.neurons_out.from(first);
  piece.gradient = a.gradient.from(first);
  piece.pre_activations_gradient = a.pre_activations_gradient.from(first);
  return piece;
}

/// Of whole sequences: rows are at positions that repeat.
template <typename S, typename T>
detail::RotateArguments<S, T> piece_of(const detail::RotateArguments<S, T>& a, std::int64_t first, std::int64_t end) {
  detail::RotateArguments<S, T> piece = a;
  piece.rows = end - first;
  piece.x = a.x.from(first);
  return piece;
}

/// Some of its sequences.
template <typename S, typename T>
detail::AttentionArguments<S, T> piece_of(const detail::AttentionArguments<S, T>& a, std::int64_t first,
                                          std::int64_t end) {
  detail::AttentionArguments<S, T> piece = a;
  piece.sequences = end - first;
  piece.query = a.query.from(first * a.queries);
  piece.key = a.key.from(first * a.suffix);
  piece.value = a.value.from(first * a.suffix);
  if (a.pair != nullptr) piece.pair += first;
  piece.z = a.z.from(first * a.queries);
  piece.gradient = a.gradient.from(first * a.queries);
  piece.query_gradient = a.query_gradient.from(first * a.queries);
  piece.key_gradient = a.key_gradient.from(first * a.suffix);
  piece.value_gradient = a.value_gradient.from(first * a.suffix);
  return piece;
}

/// Runs a kernel on pieces that the thread's team shares.
template <typename Arguments>
void share(void (*kernel)(const Arguments&), const Arguments& a, std::int64_t count, std::int64_t grain) {
  share_loop(count, grain, [&](std::int64_t first, std::int64_t end) { kernel(piece_of(a, first, end)); });
}

template <typename T>
detail::GateArguments<T> gate_arguments(const at::Tensor& pre_activations, const Gate& form, const at::Tensor& a) {
  detail::GateArguments<T> arguments;
  arguments.rows = pre_activations.size(0);
  arguments.neurons = form.neurons;
  arguments.gated = form.kind == MlpKind::gated;
  arguments.activation = form.activation;
  arguments.pre_activations = read_rows<T>(pre_activations);
  arguments.neurons_out = rows_of<T>(a);
  return arguments;
}

}  // namespace

void normalise(const at::Tensor& stream, const Norm& norm, at::Tensor normalised, at::Tensor mean_rstd) {
  if (norm.kind == NormKind::none) {
    normalised.copy_(stream);
    return;
  }
  if (!stream.is_cpu()) return generic::normalise(stream, norm, normalised, mean_rstd);
  add_normalise({}, {}, stream, norm, normalised, mean_rstd);
}

void add_normalise(const at::Tensor& base, const at::Tensor& addend, at::Tensor stream, const Norm& norm,
                   at::Tensor normalised, at::Tensor mean_rstd) {
  if (norm.kind == NormKind::none && normalised.defined()) {
    add_normalise(base, addend, stream, norm, {}, {});
    normalised.copy_(stream);
    return;
  }
  if (!stream.is_cpu()) {
    at::add_out(stream, base, addend);
    if (normalised.defined()) generic::normalise(stream, norm, normalised, mean_rstd);
    return;
  }
  with_types(addend.defined() ? addend.scalar_type() : norm.weight.scalar_type(), [&](auto types) {
    using S = typename decltype(types)::S;
    using T = typename decltype(types)::T;
    detail::NormArguments<S, T> a;
    a.rows = stream.size(0);
    a.width = stream.size(1);
    a.weight = vector_of<T>(norm.weight);
    a.bias = vector_of<T>(norm.bias);
    a.centred = norm.kind == NormKind::layer;
    a.epsilon = static_cast<S>(norm.epsilon);
    a.gain_offset = static_cast<S>(norm.gain_offset);
    a.stream = rows_of<S>(stream);
    a.addend_base = read_rows<S>(base);
    a.addend = read_rows<T>(addend);
    a.normalised = rows_of<T>(normalised);
    a.mean_rstd = rows_of<S>(mean_rstd).data;
    share(types.kernels.normalise, a, a.rows, rows_of_a_thread);
  });
}

void normalise_backward(const at::Tensor& gradient, const at::Tensor& stream, const at::Tensor& mean_rstd,
                        const Norm& norm, Derivative derivative, at::Tensor stream_gradient, at::Tensor copy) {
  if (norm.kind == NormKind::none) {
    stream_gradient.add_(gradient);
    if (copy.defined()) copy.copy_(stream_gradient);
    return;
  }
  if (!stream.is_cpu()) {
    return generic::normalise_backward(gradient, stream, mean_rstd, norm, derivative, stream_gradient, copy);
  }
  with_types(norm.weight.scalar_type(), [&](auto types) {
    using S = typename decltype(types)::S;
    using T = typename decltype(types)::T;
    detail::NormBackwardArguments<S, T> a;
    a.rows = stream.size(0);
    a.width = stream.size(1);
    a.weight = vector_of<T>(norm.weight);
    a.centred = norm.kind == NormKind::layer;
    a.gain_offset = static_cast<S>(norm.gain_offset);
    a.frozen_denominator = derivative == Derivative::replaced;
    a.stream = read_rows<S>(stream);
    a.mean_rstd = rows_of<S>(mean_rstd).data;
    a.gradient = read_rows<T>(gradient);
    a.stream_gradient = rows_of<S>(stream_gradient);
    a.copy = rows_of<T>(copy);
    share(types.kernels.normalise_backward, a, a.rows, rows_of_a_thread);
  });
}

void gate(const at::Tensor& pre_activations, const Gate& form, at::Tensor a) {
  if (!pre_activations.is_cpu()) return generic::gate(pre_activations, form, a);
  with_types(pre_activations.scalar_type(), [&](auto types) {
    using T = typename decltype(types)::T;
    share(types.kernels.gate, gate_arguments<T>(pre_activations, form, a), pre_activations.size(0), rows_of_a_thread);
  });
}

void gate_backward(const at::Tensor& gradient, const at::Tensor& pre_activations, const Gate& form,
                   Derivative activation, Derivative half, at::Tensor pre_activations_gradient, at::Tensor a) {
  if (!pre_activations.is_cpu()) {
    return generic::gate_backward(gradient, pre_activations, form, activation, half, pre_activations_gradient, a);
  }
  with_types(pre_activations.scalar_type(), [&](auto types) {
    using T = typename decltype(types)::T;
    detail::GateArguments<T> arguments = gate_arguments<T>(pre_activations, form, a);
    arguments.gradient = read_rows<T>(gradient);
    arguments.pre_activations_gradient = rows_of<T>(pre_activations_gradient);
    arguments.frozen_coefficient = activation == Derivative::replaced;
    arguments.share = half == Derivative::replaced ? 0.5 : 1;
    share(types.kernels.gate_backward, arguments, arguments.rows, rows_of_a_thread);
  });
}

void rotate(at::Tensor x, const Rotation& rotation, RotationSense turn) {
  if (!x.is_cpu()) return generic::rotate(x, rotation, turn);
  with_types(x.scalar_type(), [&](auto types) {
    using S = typename decltype(types)::S;
    using T = typename decltype(types)::T;
    detail::RotateArguments<S, T> a;
    a.rows = x.size(0);
    a.head = rotation.d_head;
    a.dims = rotation.cosine.size(1);
    a.heads = x.size(1) / a.head;
    a.positions = rotation.positions;
    a.first_position = rotation.first;
    a.x = rows_of<T>(x);
    a.cosine = vector_of<S>(rotation.cosine);
    a.sine = vector_of<S>(rotation.sine);
    a.direction = turn == RotationSense::forward ? S(1) : S(-1);
    share(types.kernels.rotate, a, a.rows, a.positions);
  });
}

bool attends_in_blocks(std::int64_t tokens) {
  return tokens > detail::most_tokens_by_query && detail::cpu_kernels().float32.product != nullptr;
}

void attend(const Attention& attention, at::Tensor z) {
  if (!z.is_cpu()) return generic::attend(attention, z);
  with_types(attention.query.scalar_type(), [&](auto types) {
    using S = typename decltype(types)::S;
    using T = typename decltype(types)::T;
    auto a = attention_arguments<S, T>(attention);
    a.z = rows_of<T>(z);
    share(types.kernels.attention, a, a.sequences, 1);
  });
}

void attend_backward(const Attention& attention, const at::Tensor& gradient, AttentionDerivatives derivatives,
                     at::Tensor query_gradient, at::Tensor key_gradient, at::Tensor value_gradient) {
  if (!gradient.is_cpu()) {
    return generic::attend_backward(attention, gradient, derivatives, query_gradient, key_gradient, value_gradient);
  }
  with_types(attention.query.scalar_type(), [&](auto types) {
    using S = typename decltype(types)::S;
    using T = typename decltype(types)::T;
    auto a = attention_arguments<S, T>(attention);
    a.gradient = read_rows<T>(gradient);
    a.query_gradient = rows_of<T>(query_gradient);
    a.key_gradient = rows_of<T>(key_gradient);
    a.value_gradient = rows_of<T>(value_gradient);
    a.frozen_pattern = derivatives.pattern == Derivative::replaced;
    a.frozen_softcap = derivatives.softcap == Derivative::replaced;
    share(types.kernels.attention_backward, a, a.sequences, 1);
  });
}

void ablate(at::Tensor a, const Ablate& what) {
  if (!a.is_cpu()) return generic::ablate(a, what);
  with_types(a.scalar_type(), [&](auto types) {
    using T = typename decltype(types)::T;
    detail::AblateArguments<T> arguments;
    arguments.sequences = a.size(0);
    arguments.positions = a.size(1);
    arguments.neurons = a.size(2);
    arguments.a = table_of<T>(a);
    arguments.ranks = table_of<const std::int32_t>(what.ranks);
    arguments.values = table_of<const T>(what.values);
    arguments.ranking = vector_of<std::int64_t>(what.ranking);
    arguments.pair = vector_of<std::int64_t>(what.pair);
    arguments.kept = vector_of<std::int32_t>(what.kept);
    arguments.complement = vector_of<bool>(what.complement);
    types.kernels.ablate(arguments);
  });
}

}  // namespace tributary
