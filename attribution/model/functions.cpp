// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/functions.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "attribution/model/detail/cpu_kernels.h"
#include "common/errors.h"

namespace tributary {
namespace {

using detail::Bf16;
using detail::CpuKernels;
using detail::Rows;

/// The longest prompt that attention loops over; beyond it matrix products are faster.
constexpr std::int64_t longest_loop = 256;

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

detail::Curve curve_of(Activation activation) {
  switch (activation) {
    case Activation::silu:
      return detail::Curve::silu;
    case Activation::gelu_erf:
      return detail::Curve::gelu_erf;
    case Activation::gelu_tanh:
      return detail::Curve::gelu_tanh;
    case Activation::relu:
      return detail::Curve::relu;
  }
  throw ContractViolation("an activation outside the enumeration");
}

template <typename S, typename T>
detail::AttentionArguments<S, T> attention_arguments(const Attention& a) {
  detail::AttentionArguments<S, T> arguments;
  arguments.sequences = a.sequences;
  arguments.queries = a.queries;
  arguments.live = a.live;
  arguments.before = a.before;
  arguments.heads = a.heads;
  arguments.kv_heads = a.kv_heads;
  arguments.head = a.d_head;
  arguments.window = a.window;
  arguments.scale = static_cast<S>(1 / std::sqrt(static_cast<double>(a.d_head)));
  arguments.query = read_rows<T>(a.query);
  arguments.key = read_rows<T>(a.key);
  arguments.value = read_rows<T>(a.value);
  arguments.prefix_key = read_rows<T>(a.prefix_key);
  arguments.prefix_value = read_rows<T>(a.prefix_value);
  arguments.pair = vector_of<std::int64_t>(a.pair);
  return arguments;
}

template <typename T>
detail::GateArguments<T> gate_arguments(const at::Tensor& expanded, const Gate& form, const at::Tensor& a) {
  detail::GateArguments<T> arguments;
  arguments.rows = expanded.size(0);
  arguments.neurons = form.neurons;
  arguments.gated = form.kind == MlpKind::gated;
  arguments.curve = curve_of(form.activation);
  arguments.expanded = read_rows<T>(expanded);
  arguments.neurons_out = rows_of<T>(a);
  return arguments;
}

bool loops_serve(const Attention& a) { return a.query.is_cpu() && a.before + a.live <= longest_loop; }

}  // namespace

void normalise(const at::Tensor& stream, const Norm& norm, at::Tensor normalised, at::Tensor statistics) {
  if (!stream.is_cpu()) return generic::normalise(stream, norm, normalised, statistics);
  add_normalise({}, {}, stream, norm, normalised, statistics);
}

void add_normalise(const at::Tensor& base, const at::Tensor& addend, at::Tensor stream, const Norm& norm,
                   at::Tensor normalised, at::Tensor statistics) {
  if (!stream.is_cpu()) {
    at::add_out(stream, base, addend);
    if (normalised.defined()) generic::normalise(stream, norm, normalised, statistics);
    return;
  }
  with_types(norm.weight.scalar_type(), [&](auto types) {
    using S = typename decltype(types)::S;
    using T = typename decltype(types)::T;
    detail::NormArguments<S, T> a;
    a.rows = stream.size(0);
    a.width = stream.size(1);
    a.weight = vector_of<T>(norm.weight);
    a.bias = vector_of<T>(norm.bias);
    a.centred = norm.kind == NormKind::layer;
    a.epsilon = static_cast<S>(norm.epsilon);
    a.stream = rows_of<S>(stream);
    a.addend_base = read_rows<S>(base);
    a.addend = read_rows<T>(addend);
    a.normalised = rows_of<T>(normalised);
    a.statistics = rows_of<S>(statistics).data;
    types.kernels.normalise(a);
  });
}

void normalise_backward(const at::Tensor& gradient, const at::Tensor& stream, const at::Tensor& statistics,
                        const Norm& norm, Derivative derivative, at::Tensor stream_gradient, at::Tensor copy) {
  if (!stream.is_cpu()) {
    return generic::normalise_backward(gradient, stream, statistics, norm, derivative, stream_gradient, copy);
  }
  with_types(norm.weight.scalar_type(), [&](auto types) {
    using S = typename decltype(types)::S;
    using T = typename decltype(types)::T;
    detail::NormBackwardArguments<S, T> a;
    a.rows = stream.size(0);
    a.width = stream.size(1);
    a.weight = vector_of<T>(norm.weight);
    a.centred = norm.kind == NormKind::layer;
    a.constant_denominator = derivative == Derivative::replaced;
    a.stream = read_rows<S>(stream);
    a.statistics = rows_of<S>(statistics).data;
    a.gradient = read_rows<T>(gradient);
    a.stream_gradient = rows_of<S>(stream_gradient);
    a.copy = rows_of<T>(copy);
    types.kernels.normalise_backward(a);
  });
}

void gate(const at::Tensor& expanded, const Gate& form, at::Tensor a) {
  if (!expanded.is_cpu()) return generic::gate(expanded, form, a);
  with_types(expanded.scalar_type(), [&](auto types) {
    using T = typename decltype(types)::T;
    types.kernels.gate(gate_arguments<T>(expanded, form, a));
  });
}

void gate_backward(const at::Tensor& gradient, const at::Tensor& expanded, const Gate& form, Derivative activation,
                   Derivative half, at::Tensor expanded_gradient, at::Tensor a) {
  if (!expanded.is_cpu()) {
    return generic::gate_backward(gradient, expanded, form, activation, half, expanded_gradient, a);
  }
  with_types(expanded.scalar_type(), [&](auto types) {
    using T = typename decltype(types)::T;
    detail::GateArguments<T> arguments = gate_arguments<T>(expanded, form, a);
    arguments.gradient = read_rows<T>(gradient);
    arguments.expanded_gradient = rows_of<T>(expanded_gradient);
    arguments.constant_coefficient = activation == Derivative::replaced;
    arguments.share = half == Derivative::replaced ? 0.5 : 1;
    types.kernels.gate_backward(arguments);
  });
}

void rotate(at::Tensor x, const Rotation& rotation, Turn turn) {
  if (!x.is_cpu()) return generic::rotate(x, rotation, turn);
  with_types(x.scalar_type(), [&](auto types) {
    using S = typename decltype(types)::S;
    using T = typename decltype(types)::T;
    detail::RotateArguments<S, T> a;
    a.rows = x.size(0);
    a.head = rotation.cosine.size(1);
    a.heads = x.size(1) / a.head;
    a.positions = rotation.positions;
    a.first_position = rotation.first;
    a.x = rows_of<T>(x);
    a.cosine = vector_of<S>(rotation.cosine);
    a.sine = vector_of<S>(rotation.sine);
    a.direction = turn == Turn::forward ? S(1) : S(-1);
    types.kernels.rotate(a);
  });
}

void attend(const Attention& attention, at::Tensor mixed) {
  if (!loops_serve(attention)) return generic::attend(attention, mixed);
  with_types(attention.query.scalar_type(), [&](auto types) {
    using S = typename decltype(types)::S;
    using T = typename decltype(types)::T;
    auto a = attention_arguments<S, T>(attention);
    a.mixed = rows_of<T>(mixed);
    types.kernels.attention(a);
  });
}

void attend_backward(const Attention& attention, const at::Tensor& gradient, Derivative pattern,
                     at::Tensor query_gradient, at::Tensor key_gradient, at::Tensor value_gradient) {
  if (!loops_serve(attention)) {
    return generic::attend_backward(attention, gradient, pattern, query_gradient, key_gradient, value_gradient);
  }
  with_types(attention.query.scalar_type(), [&](auto types) {
    using S = typename decltype(types)::S;
    using T = typename decltype(types)::T;
    auto a = attention_arguments<S, T>(attention);
    a.gradient = read_rows<T>(gradient);
    a.query_gradient = rows_of<T>(query_gradient);
    a.key_gradient = rows_of<T>(key_gradient);
    a.value_gradient = rows_of<T>(value_gradient);
    a.constant_pattern = pattern == Derivative::replaced;
    types.kernels.attention_backward(a);
  });
}

void ablate(at::Tensor a, const Ablate& what) {
  if (!a.is_cpu()) return generic::ablate(a, what);
  with_types(a.scalar_type(), [&](auto types) {
    using T = typename decltype(types)::T;
    const std::int64_t positions = a.size(1);
    const at::Tensor rows = a.view({-1, a.size(2)});
    std::vector<const std::int32_t*> place;
    std::vector<const T*> value;
    std::vector<std::int32_t> limit;
    const std::unique_ptr<bool[]> complement(new bool[static_cast<std::size_t>(rows.size(0))]);
    const auto row_of = [positions](const at::Tensor& t, std::int64_t first, std::int64_t position) {
      const std::int64_t at = t.size(1) == 1 ? 0 : t.size(1) - positions + position;
      return t.stride(0) * first + t.stride(1) * at;
    };
    for (std::int64_t s = 0; s < a.size(0); ++s) {
      for (std::int64_t position = 0; position < positions; ++position) {
        place.push_back(what.places.const_data_ptr<std::int32_t>() +
                        row_of(what.places, what.ranking.const_data_ptr<std::int64_t>()[s], position));
        value.push_back(static_cast<const T*>(what.values.data_ptr()) +
                        row_of(what.values, what.pair.const_data_ptr<std::int64_t>()[s], position));
        complement[limit.size()] = what.complement.const_data_ptr<bool>()[s];
        limit.push_back(what.limit.const_data_ptr<std::int32_t>()[s]);
      }
    }
    detail::AblateArguments<T> arguments;
    arguments.rows = rows.size(0);
    arguments.neurons = rows.size(1);
    arguments.a = rows_of<T>(rows);
    arguments.place = place.data();
    arguments.value = value.data();
    arguments.limit = limit.data();
    arguments.complement = complement.get();
    types.kernels.ablate(arguments);
  });
}

}  // namespace tributary
