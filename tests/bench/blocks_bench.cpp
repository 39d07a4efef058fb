// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The hot blocks by themselves, on the demo model's shapes: rows of a network call as the argument. items_per_second of
// the matrix products is floating-point operations.
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include "attribution/model/tensors.h"

#include <cstdlib>

#include "attribution/model/functions.h"
#include "attribution/model/products.h"

namespace {

using namespace tributary;

constexpr std::int64_t d_model = 576, neurons = 1536, heads = 9, kv_heads = 3, d_head = 64, live = 4;

/// As the program computes: one thread, reproducible products.
const bool prepared = [] {
  setenv("MKL_CBWR", "AUTO,STRICT", 1);
  at::set_num_threads(1);
  return true;
}();

at::Tensor matrix(std::int64_t rows, std::int64_t columns, at::ScalarType type) {
  return at::randn({rows, columns}).to(type);
}

void products(benchmark::State& state, at::ScalarType type) {
  const std::int64_t rows = state.range(0);
  const at::Tensor x = matrix(rows, d_model, type);
  const at::Tensor w = matrix(2 * neurons, d_model, type).t();
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(product(x, rows, w));
  state.SetItemsProcessed(state.iterations() * 2 * rows * d_model * 2 * neurons);
}

void norms(benchmark::State& state, at::ScalarType type) {
  const std::int64_t rows = state.range(0);
  const Norm norm{at::ones({d_model}).to(type), {}, NormKind::rms, 1e-5};
  const at::Tensor base = matrix(rows, d_model, at::kFloat);
  const at::Tensor addend = matrix(rows, d_model, type);
  const at::Tensor stream = at::empty_like(base);
  const at::Tensor x = at::empty_like(addend);
  const at::Tensor mean_rstd = at::empty({rows, 2});
  for ([[maybe_unused]] auto _ : state) {
    add_normalise(base, addend, stream, norm, x, mean_rstd);
    normalise_backward(addend, stream, mean_rstd, norm, Derivative::plain, base, {});
  }
  state.SetItemsProcessed(state.iterations() * rows);
}

void gates(benchmark::State& state, at::ScalarType type) {
  const std::int64_t rows = state.range(0);
  const Gate form{MlpKind::gated, Activation::silu, neurons};
  const at::Tensor pre_activations = matrix(rows, 2 * neurons, type);
  const at::Tensor out = at::empty_like(pre_activations);
  const at::Tensor a = matrix(rows, neurons, type);
  for ([[maybe_unused]] auto _ : state) {
    gate(pre_activations, form, a);
    gate_backward(a, pre_activations, form, Derivative::plain, Derivative::plain, out, {});
  }
  state.SetItemsProcessed(state.iterations() * rows);
}

void attentions(benchmark::State& state, at::ScalarType type) {
  const std::int64_t sequences = state.range(0) / live;
  Attention attention;
  attention.sequences = sequences;
  attention.queries = attention.suffix = live;
  attention.scale = 0.125;
  attention.heads = heads;
  attention.kv_heads = kv_heads;
  attention.d_head = d_head;
  attention.query = matrix(sequences * live, heads * d_head, type);
  attention.key = matrix(sequences * live, kv_heads * d_head, type);
  attention.value = matrix(sequences * live, kv_heads * d_head, type);
  const at::Tensor z = at::empty_like(attention.query);
  const at::Tensor dq = at::empty_like(attention.query);
  const at::Tensor dk = at::empty_like(attention.key);
  const at::Tensor dv = at::empty_like(attention.value);
  for ([[maybe_unused]] auto _ : state) {
    attend(attention, z);
    attend_backward(attention, z, {}, dq, dk, dv);
  }
  state.SetItemsProcessed(state.iterations() * sequences * live);
}

BENCHMARK_CAPTURE(products, float32, at::kFloat)->RangeMultiplier(4)->Range(32, 2048);
BENCHMARK_CAPTURE(products, bfloat16, at::kBFloat16)->RangeMultiplier(4)->Range(32, 2048);
BENCHMARK_CAPTURE(norms, float32, at::kFloat)->Arg(512);
BENCHMARK_CAPTURE(norms, bfloat16, at::kBFloat16)->Arg(512);
BENCHMARK_CAPTURE(gates, float32, at::kFloat)->Arg(512);
BENCHMARK_CAPTURE(gates, bfloat16, at::kBFloat16)->Arg(512);
BENCHMARK_CAPTURE(attentions, float32, at::kFloat)->Arg(512);
BENCHMARK_CAPTURE(attentions, bfloat16, at::kBFloat16)->Arg(512);

}  // namespace
