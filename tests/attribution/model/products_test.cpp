// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Products of rows with a model's matrices: LibTorch's bits, whoever computes them and however many threads share one.
#include "attribution/model/products.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include "attribution/model/detail/cpu_kernels.h"
#include "common/team.h"
#include "tests/attribution/closeness.h"

namespace tributary::testing {
namespace {

at::Tensor numbers(at::IntArrayRef shape, at::ScalarType type) { return at::randn(shape, at::kDouble).to(type); }

/// What LibTorch makes of padded rows, of which some are used.
at::Tensor of_library(const at::Tensor& rows, std::int64_t count, const at::Tensor& matrix, const at::Tensor& bias) {
  const at::Tensor all = bias.defined() ? at::linear(rows, matrix.t(), bias) : at::mm(rows, matrix);
  return all.narrow(0, 0, count);
}

TEST(Products, HaveLibTorchsBits) {
  at::manual_seed(11);
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const std::int64_t inner : {24, 192, 200, 300, 384, 500, 576, 700, 1536, 2050}) {
      for (const std::int64_t columns : {8, 100, 192, 577}) {
        for (const std::int64_t rows : {32, 96, 416}) {
          const at::Tensor x = numbers({rows, inner}, type), w = numbers({columns, inner}, type);
          const at::Tensor turned = w.t().contiguous(), bias = numbers({columns}, type);
          const std::int64_t count = rows - 5;
          for (const at::Tensor& added : {at::Tensor(), bias}) {
            SCOPED_TRACE(::testing::Message() << rows << " x " << inner << " x " << columns << " of " << type);
            expect_same_bits(product(x, count, w.t(), added), of_library(x, count, w.t(), added));
            expect_same_bits(product(x, count, turned, added), of_library(x, count, turned, added));
          }
        }
      }
    }
  }
}

TEST(Products, AreOurOwnInFloat32WhereTheProcessorHasFusedMultiplyAdds) {
  if (detail::cpu_kernels().float32.product == nullptr) GTEST_SKIP() << "no fused multiply-adds here";
  for (const ProductForm& form :
       {ProductForm{576, 1536, true}, ProductForm{1536, 576, false}, ProductForm{64, 64, true}}) {
    EXPECT_TRUE(proven_chain(at::kFloat, form).has_value()) << form.inner << " x " << form.columns;
  }
}

TEST(Products, AnyNumberOfThreadsGivesTheSameBits) {
  at::manual_seed(12);
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16}) {
    const at::Tensor x = numbers({64, 300}, type), w = numbers({450, 300}, type), bias = numbers({450}, type);
    const at::Tensor alone = product(x, 50, w.t(), bias), back = product(alone, 50, w);
    for (const int threads : {2, 3, 5}) {
      const Team team(threads);
      expect_same_bits(product(x, 50, w.t(), bias), alone);
      expect_same_bits(product(alone, 50, w), back);
    }
  }
}

TEST(Products, AMatrixAsItIsStoredGivesTheBitsOfItsCopy) {
  at::manual_seed(13);
  const at::Tensor x = numbers({64, 576}, at::kFloat), stored = numbers({200, 576}, at::kBFloat16);
  const at::Tensor copy = stored.to(at::kFloat);
  expect_same_bits(product(x, 60, stored.t()), product(x, 60, copy.t()));
  const at::Tensor y = product(x, 60, copy.t());
  expect_same_bits(product(y, 60, stored), product(y, 60, copy));
}

TEST(Products, OnlyBfloat16MatricesOfFloat32NetworksStayAsTheyAreStored) {
  const bool loops = detail::cpu_kernels().float32.product != nullptr;
  const at::Tensor matrix = numbers({64, 192}, at::kBFloat16);
  EXPECT_EQ(stays_stored(matrix, at::kFloat), loops);
  EXPECT_EQ(stays_stored(matrix.t(), at::kFloat), loops);
  EXPECT_FALSE(stays_stored(matrix, at::kDouble));
  EXPECT_FALSE(stays_stored(matrix, at::kBFloat16));
  EXPECT_FALSE(stays_stored(matrix.to(at::kHalf), at::kFloat));
  EXPECT_FALSE(stays_stored(matrix.select(0, 0), at::kFloat)) << "vectors are no operands of products";
}

TEST(Products, AreZeroWhileNothingIsMultiplied) {
  const at::Tensor x = numbers({32, 64}, at::kFloat), w = numbers({48, 64}, at::kFloat);
  if (!proven_chain(at::kFloat, form_of(w.t()))) GTEST_SKIP() << "LibTorch computes here";
  {
    const WithoutMultiplying dry;
    expect_same_bits(product(x, 30, w.t()), at::zeros({30, 48}));
  }
  EXPECT_GT(largest(product(x, 30, w.t())), 0);
}

}  // namespace
}  // namespace tributary::testing
