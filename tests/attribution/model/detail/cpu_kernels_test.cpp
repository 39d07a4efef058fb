// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The sets of loops compiled for different processors compute the same, to rounding. functions_*_test.cpp holds the
// one that this machine chooses against autograd.
#include "attribution/model/detail/cpu_kernels.h"

#include <ATen/Context.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <vector>

#include "tests/attribution/closeness.h"
#include "tests/attribution/model/detail/kernel_sets.h"

namespace tributary::testing {
namespace {

using namespace detail;

constexpr std::int64_t rows = 6;
constexpr std::int64_t width = 45;

template <typename T>
Rows<T> rows_of(const at::Tensor& t) {
  return {static_cast<T*>(t.data_ptr()), t.stride(0)};
}
template <typename T>
Rows<const T> read(const at::Tensor& t) {
  return {static_cast<const T*>(t.data_ptr()), t.stride(0)};
}

/// Everything that a set computes from the same seeded numbers.
template <typename S, typename T>
std::vector<at::Tensor> outputs(const CpuKernels<S, T>& kernels, at::ScalarType stream, at::ScalarType network) {
  at::manual_seed(8);
  const auto random = [](std::int64_t n, std::int64_t m, at::ScalarType type) {
    return at::randn({n, m}, at::kDouble).to(type);
  };
  std::vector<at::Tensor> out;
  const auto result = [&out](at::Tensor t) {
    out.push_back(t);
    return t;
  };
  const at::Tensor weight = random(1, width, network), bias = random(1, width, network);
  const at::Tensor h = result(at::zeros({rows, width}, stream)), base = random(rows, width, stream);
  const at::Tensor addend = random(rows, width, network), mean_rstd = result(at::zeros({rows, 2}, stream));
  NormArguments<S, T> norm;
  norm.rows = rows;
  norm.width = width;
  norm.weight = read<T>(weight).data;
  norm.bias = read<T>(bias).data;
  norm.centred = true;
  norm.epsilon = S(1e-5);
  norm.stream = rows_of<S>(h);
  norm.addend_base = read<S>(base);
  norm.addend = read<T>(addend);
  norm.normalised = rows_of<T>(result(at::zeros({rows, width}, network)));
  norm.mean_rstd = rows_of<S>(mean_rstd).data;
  kernels.normalise(norm);

  const at::Tensor gradient = random(rows, width, network);
  NormBackwardArguments<S, T> back;
  back.rows = rows;
  back.width = width;
  back.weight = norm.weight;
  back.centred = true;
  back.stream = read<S>(h);
  back.mean_rstd = norm.mean_rstd;
  back.gradient = read<T>(gradient);
  back.stream_gradient = rows_of<S>(result(at::zeros({rows, width}, stream)));
  back.copy = rows_of<T>(result(at::zeros({rows, width}, network)));
  kernels.normalise_backward(back);

  for (const Activation activation :
       {Activation::silu, Activation::gelu_erf, Activation::gelu_tanh, Activation::gelu_quick, Activation::relu}) {
    const at::Tensor pre_activations = random(rows, 2 * width, network);
    GateArguments<T> gate;
    gate.rows = rows;
    gate.neurons = width;
    gate.gated = true;
    gate.activation = activation;
    gate.pre_activations = read<T>(pre_activations);
    gate.neurons_out = rows_of<T>(result(at::zeros({rows, width}, network)));
    kernels.gate(gate);
    gate.gradient = read<T>(gradient);
    gate.pre_activations_gradient = rows_of<T>(result(at::zeros({rows, 2 * width}, network)));
    kernels.gate_backward(gate);
  }

  constexpr std::int64_t head = 10;
  const at::Tensor x = result(random(rows, 2 * head, network));
  const at::Tensor cosine = random(3, head, stream), sine = random(3, head, stream);
  RotateArguments<S, T> rotate;
  rotate.rows = rows;
  rotate.heads = 2;
  rotate.head = rotate.dims = head;
  rotate.positions = 3;
  rotate.x = rows_of<T>(x);
  rotate.cosine = read<S>(cosine).data;
  rotate.sine = read<S>(sine).data;
  kernels.rotate(rotate);

  const at::Tensor query = random(rows, 2 * head, network), mixed_gradient = random(rows, 2 * head, network);
  const at::Tensor key = random(rows, head, network), value = random(rows, head, network);
  AttentionArguments<S, T> attention;
  attention.sequences = 2;
  attention.queries = attention.suffix = 3;
  attention.heads = 2;
  attention.kv_heads = 1;
  attention.head = head;
  attention.scale = S(0.3);
  attention.query = read<T>(query);
  attention.key = read<T>(key);
  attention.value = read<T>(value);
  attention.z = rows_of<T>(result(at::zeros({rows, 2 * head}, network)));
  kernels.attention(attention);
  attention.gradient = read<T>(mixed_gradient);
  attention.query_gradient = rows_of<T>(result(at::zeros({rows, 2 * head}, network)));
  attention.key_gradient = rows_of<T>(result(at::zeros({rows, head}, network)));
  attention.value_gradient = rows_of<T>(result(at::zeros({rows, head}, network)));
  kernels.attention_backward(attention);

  const std::vector<std::int32_t> chosen = {1, 4, 4};
  const std::vector<double> factors = {0.5, -2, 3};
  const at::Tensor sum = result(at::ones({1, width}, at::kDouble));
  kernels.add_rows({3, width, chosen.data(), factors.data(), read<T>(addend), rows_of<double>(sum).data});
  const at::Tensor wide = addend.to(at::kDouble);
  expect_close(sum, 1 + 0.5 * wide.slice(0, 1, 2) + wide.slice(0, 4, 5));
  return out;
}

void expect_agreement(const CpuKernelTable& set) {
  const auto compare = [](const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      SCOPED_TRACE("output " + std::to_string(i));
      expect_close(a[i], b[i]);
      EXPECT_GT(largest(a[i]), 0);
    }
  };
  compare(outputs(set.float32, at::kFloat, at::kFloat), outputs(baseline_kernels.float32, at::kFloat, at::kFloat));
  compare(outputs(set.bfloat16, at::kFloat, at::kBFloat16),
          outputs(baseline_kernels.bfloat16, at::kFloat, at::kBFloat16));
  compare(outputs(set.float64, at::kDouble, at::kDouble), outputs(baseline_kernels.float64, at::kDouble, at::kDouble));
}

#ifdef __x86_64__
TEST(CpuKernels, Avx2AgreesWithTheBaseline) {
  if (!runs_avx2()) GTEST_SKIP() << "no AVX2 here";
  expect_agreement(avx2_kernels);
}

TEST(CpuKernels, Avx512AgreesWithTheBaseline) {
  if (!runs_avx512()) GTEST_SKIP() << "no AVX-512 here";
  expect_agreement(avx512_kernels);
}
#endif

TEST(CpuKernels, TheChosenSetAgreesWithTheBaseline) { expect_agreement(cpu_kernels()); }

}  // namespace
}  // namespace tributary::testing
