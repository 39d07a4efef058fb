// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The product loops of every instruction set against their definition, bit by bit: chains of fused multiply-adds, each
// from zero, added up in order.
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <cmath>
#include <random>
#include <string>

#include "attribution/model/detail/cpu_kernels.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/model/detail/kernel_sets.h"

namespace tributary::testing {
namespace {

using namespace detail;

struct Shape {
  std::int64_t rows, inner, columns, chain;
};

/// The definition, number by number: rows [rows, inner], matrix [inner, columns], both in the type of the sums.
template <typename S>
at::Tensor by_definition(const at::Tensor& factors, const at::Tensor& matrix, const at::Tensor& bias,
                         std::int64_t chain) {
  const auto x = factors.accessor<S, 2>();
  const auto w = matrix.accessor<S, 2>();
  at::Tensor out = at::empty({factors.size(0), matrix.size(1)}, factors.options());
  auto y = out.accessor<S, 2>();
  for (std::int64_t i = 0; i < factors.size(0); ++i) {
    for (std::int64_t j = 0; j < matrix.size(1); ++j) {
      bool first = !bias.defined();
      S sum = first ? S(0) : bias.data_ptr<S>()[j];
      for (std::int64_t begin = 0; begin < factors.size(1); begin += chain) {
        S own = 0;
        for (std::int64_t k = begin; k < std::min(begin + chain, factors.size(1)); ++k)
          own = std::fma(x[i][k], w[k][j], own);
        sum = first ? own : sum + own;
        first = false;
      }
      y[i][j] = sum;
    }
  }
  return out;
}

template <typename S, typename T, typename M>
void expect_definition(void (*kernel)(const ProductArguments<T, M>&), at::ScalarType sums, at::ScalarType type,
                       at::ScalarType stored, const Shape& shape) {
  const auto numbers = [](at::IntArrayRef size, at::ScalarType to) { return at::randn(size, at::kDouble).to(to); };
  const Strided operand(numbers({shape.rows, shape.inner}, type), type);
  const at::Tensor bias = numbers({shape.columns}, type);
  for (const bool inner_contiguous : {false, true}) {
    const at::Tensor turned = numbers({shape.columns, shape.inner}, stored);
    const Strided matrix(inner_contiguous ? turned : turned.t(), stored);
    for (const at::Tensor& added : {at::Tensor(), bias}) {
      const Strided out(at::zeros({shape.rows, shape.columns}, type), type);
      ProductArguments<T, M> a;
      a.rows = shape.rows;
      a.inner = shape.inner;
      a.columns = shape.columns;
      a.rows_in = {static_cast<const T*>(operand.rows.data_ptr()), operand.rows.stride(0)};
      a.matrix = {static_cast<const M*>(matrix.rows.data_ptr()), matrix.rows.stride(0)};
      a.inner_contiguous = inner_contiguous;
      a.bias = added.defined() ? static_cast<const T*>(added.data_ptr()) : nullptr;
      a.chain = shape.chain;
      a.out = {static_cast<T*>(out.rows.data_ptr()), out.rows.stride(0)};
      kernel(a);
      const at::Tensor expected = by_definition<S>(operand.rows.to(sums).contiguous(), turned.t().to(sums).contiguous(),
                                                   added.defined() ? added.to(sums) : added, shape.chain);
      SCOPED_TRACE(std::to_string(shape.rows) + " x " + std::to_string(shape.inner) + " x " +
                   std::to_string(shape.columns) + ", chains of " + std::to_string(shape.chain) +
                   (inner_contiguous ? ", inner contiguous" : "") + (added.defined() ? ", bias" : ""));
      expect_same_bits(out.rows, expected.to(type));
      EXPECT_TRUE(out.untouched());
    }
  }
}

void expect_definitions(const CpuKernelTable& kernels) {
  at::manual_seed(4);
  std::mt19937 random(5);
  const auto any = [&random](std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(1, most)(random);
  };
  std::vector<Shape> shapes{
      {1, 1, 1, 192}, {14, 384, 64, 384}, {15, 385, 33, 192}, {43, 200, 31, 100}, {6, 500, 70, 500}};
  for (int i = 0; i < 25; ++i) {
    const Shape shape{any(60), any(420), any(90), 0};
    for (const std::int64_t chain : {std::int64_t{192}, (shape.inner + 1) / 2, any(50)}) {
      shapes.push_back({shape.rows, shape.inner, shape.columns, chain});
    }
  }
  for (const Shape& shape : shapes) {
    expect_definition<float>(kernels.float32.product, at::kFloat, at::kFloat, at::kFloat, shape);
    expect_definition<float>(kernels.float32_by_bfloat16, at::kFloat, at::kFloat, at::kBFloat16, shape);
    expect_definition<double>(kernels.float64.product, at::kDouble, at::kDouble, at::kDouble, shape);
    expect_definition<float>(kernels.bfloat16.product, at::kFloat, at::kBFloat16, at::kBFloat16, shape);
  }
  // bfloat16 is summed in groups of columns.
  expect_definition<float>(kernels.bfloat16.product, at::kFloat, at::kBFloat16, at::kBFloat16, {3, 40, 2100, 16});
}

#ifdef __x86_64__
TEST(CpuProducts, Avx2IsAsDefined) {
  if (!runs_avx2()) GTEST_SKIP() << "no AVX2 here";
  expect_definitions(avx2_kernels);
}

TEST(CpuProducts, Avx512IsAsDefined) {
  if (!runs_avx512()) GTEST_SKIP() << "no AVX-512 here";
  expect_definitions(avx512_kernels);
}
#endif

TEST(CpuProducts, TheBaselineHasNone) { EXPECT_EQ(baseline_kernels.float32.product, nullptr); }

template <typename T>
void expect_finds_the_special(bool (*all_finite)(const T*, std::int64_t), at::ScalarType type) {
  for (const std::int64_t count : {1, 7, 64, 1000}) {
    at::Tensor numbers = at::randn({count}, at::kDouble).to(type);
    const auto finite = [&] { return all_finite(static_cast<const T*>(numbers.data_ptr()), count); };
    EXPECT_TRUE(finite());
    for (const double special : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
      for (const std::int64_t place : {std::int64_t{0}, count / 2, count - 1}) {
        const at::Tensor was = numbers.clone();
        numbers[place] = special;
        EXPECT_FALSE(finite()) << special << " at " << place << " of " << count;
        numbers.copy_(was);
      }
    }
  }
}

TEST(CpuProducts, OneNumberThatIsNotFiniteIsSeen) {
  expect_finds_the_special(cpu_kernels().float32.all_finite, at::kFloat);
  expect_finds_the_special(cpu_kernels().float64.all_finite, at::kDouble);
  expect_finds_the_special(cpu_kernels().bfloat16.all_finite, at::kBFloat16);
}

}  // namespace
}  // namespace tributary::testing
