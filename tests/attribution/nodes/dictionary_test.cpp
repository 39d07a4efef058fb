// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/dictionary.h"

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "attribution/model/detail/staging.h"
#include "attribution/model/tensors.h"
#include "tests/attribution/closeness.h"

namespace tributary::testing {
namespace {

constexpr std::int64_t width = 12;
/// Two tiles of features, the second one of few.
constexpr std::int64_t features = features_in_tile + 70;

/// Random; a low bias makes features sparse.
Dictionary random_dictionary(FeatureGate gate, double bias, at::ScalarType type = at::kDouble) {
  at::manual_seed(3);
  Dictionary d;
  d.activation = gate;
  d.k = 9;
  d.encoder = at::randn({width, features}, type);
  d.encoder_bias = at::randn({features}, type) + bias;
  d.input_bias = at::randn({width}, type);
  d.thresholds = at::randn({features}, type);
  d.targets.push_back({Site::resid_post, 0, at::randn({features, width}, type), at::randn({width}, type), {}});
  return d;
}

/// f [row, feature] by the definition.
at::Tensor encoded(const Dictionary& d, const at::Tensor& x) {
  const at::Tensor z = (x - d.input_bias).mm(d.encoder) + d.encoder_bias;
  switch (d.activation) {
    case FeatureGate::relu:
      return z.relu();
    case FeatureGate::jump_relu:
      return z.relu() * (z > d.thresholds);
    case FeatureGate::top_k:
    case FeatureGate::top_k_signed: {
      const auto [values, places] = z.topk(d.k, 1);
      const at::Tensor kept = at::zeros_like(z).scatter(1, places, values);
      return d.activation == FeatureGate::top_k ? kept.relu() : kept;
    }
  }
  return {};
}

/// The differences as a table, and which there are.
std::pair<at::Tensor, at::Tensor> tables_of(const FeatureDifferences& found) {
  const at::Tensor numbers = at::zeros({found.rows(), features}, at::kDouble), there = at::zeros_like(numbers);
  for (std::int64_t row = 0; row < found.rows(); ++row) {
    std::int32_t before = -1;
    for (auto e = static_cast<std::size_t>(found.first[static_cast<std::size_t>(row)]);
         e < static_cast<std::size_t>(found.first[static_cast<std::size_t>(row) + 1]); ++e) {
      EXPECT_LT(before, found.feature[e]);
      before = found.feature[e];
      numbers[row][before] = found.difference[e];
      there[row][before] = 1;
    }
  }
  return {numbers, there};
}

constexpr FeatureGate gates[] = {FeatureGate::relu, FeatureGate::jump_relu, FeatureGate::top_k,
                                 FeatureGate::top_k_signed};

class Dictionaries : public ::testing::TestWithParam<std::tuple<FeatureGate, double>> {
 protected:
  Dictionary d = random_dictionary(std::get<0>(GetParam()), std::get<1>(GetParam()));
};
INSTANTIATE_TEST_SUITE_P(Gates, Dictionaries,
                         ::testing::Combine(::testing::ValuesIn(gates), ::testing::Values(0.0, -12.0)));

/// More than a tile has.
constexpr std::int64_t rows = rows_in_tile / 2 + 5;

TEST_P(Dictionaries, DifferencesAreThoseOfTheDefinition) {
  const at::Tensor x = at::randn({rows, width}, at::kDouble), other = at::randn({rows, width}, at::kDouble);
  const at::Tensor f = encoded(d, x), g = encoded(d, other);
  const auto [difference, there] = tables_of(feature_differences(d, x, other));
  EXPECT_TRUE(difference.allclose(f - g, 1e-10, 1e-10));
  EXPECT_TRUE(at::equal(there != 0, (f != 0).logical_or(g != 0)));
  const auto [alone, active] = tables_of(feature_differences(d, x, {}));
  EXPECT_TRUE(alone.allclose(f, 1e-10, 1e-10));
  EXPECT_TRUE(at::equal(active != 0, f != 0));
  EXPECT_TRUE(encode(d, x).allclose(f, 1e-10, 1e-10));
}

TEST_P(Dictionaries, ARowHasItsBitsInAnyCompany) {
  const at::Tensor x = at::randn({rows, width}, at::kDouble), other = at::randn({rows, width}, at::kDouble);
  const FeatureDifferences all = feature_differences(d, x, other);
  const at::Tensor gradient = at::randn({rows, width}, at::kDouble);
  const std::vector<double> products = feature_gradients(d.targets.front(), all, gradient);
  const at::Tensor decoded = decode(d.targets.front(), all);
  for (const std::int64_t row : {std::int64_t{0}, rows_in_tile / 2 - 1, rows_in_tile / 2, rows - 1}) {
    const FeatureDifferences one = feature_differences(d, x.narrow(0, row, 1), other.narrow(0, row, 1));
    const std::int64_t first = all.first[static_cast<std::size_t>(row)];
    ASSERT_EQ(one.entries(0), all.entries(row));
    const std::vector<double> own = feature_gradients(d.targets.front(), one, gradient.narrow(0, row, 1));
    for (std::size_t e = 0; e < one.feature.size(); ++e) {
      const std::size_t among = e + static_cast<std::size_t>(first);
      EXPECT_EQ(one.feature[e], all.feature[among]);
      EXPECT_EQ(one.difference[e], all.difference[among]);
      EXPECT_EQ(own[e], products[among]);
    }
    expect_same_bits(decode(d.targets.front(), one), decoded.narrow(0, row, 1));
  }
}

TEST_P(Dictionaries, ProductsAreThoseOfTheDefinition) {
  const at::Tensor x = at::randn({rows, width}, at::kDouble), gradient = at::randn({rows, width}, at::kDouble);
  const FeatureTarget& target = d.targets.front();
  const FeatureDifferences found = feature_differences(d, x, {});
  const at::Tensor f = encoded(d, x), slopes = gradient.mm(target.decoder.t());
  const std::vector<double> products = feature_gradients(target, found, gradient);
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto first = found.feature.begin() + found.first[static_cast<std::size_t>(row)];
    const std::vector<std::int64_t> places(first, first + found.entries(row));
    const at::Tensor wanted = slopes[row].index_select(0, detail::staged(places, at::TensorOptions(at::kCPU)));
    const at::Tensor own = at::empty_like(wanted);
    std::copy_n(products.begin() + found.first[static_cast<std::size_t>(row)], found.entries(row),
                own.mutable_data_ptr<double>());
    EXPECT_TRUE(own.allclose(wanted, 1e-10, 1e-10));
  }
  EXPECT_TRUE(decode(target, found).allclose(f.mm(target.decoder), 1e-10, 1e-10));
}

TEST_P(Dictionaries, SomeFeaturesHaveTheBitsThatTheyHaveAmongAll) {
  const at::Tensor x = at::randn({7, width}, at::kDouble);
  const std::vector<std::int64_t> some = {features - 1, 0, 5, features_in_tile, features_in_tile - 1};
  expect_same_bits(encode_some(d, x, some),
                   encode(d, x).index_select(1, detail::staged(some, at::TensorOptions(at::kCPU))));
}

TEST(Dictionary, OfEqualPreActivationsTheFirstFeaturesStay) {
  Dictionary d = random_dictionary(FeatureGate::top_k, 0);
  d.encoder = at::zeros({width, features}, at::kDouble);
  d.encoder_bias = at::ones({features}, at::kDouble);
  d.encoder_bias[features - 1] = 2;
  const FeatureDifferences found = feature_differences(d, at::zeros({1, width}, at::kDouble), {});
  EXPECT_EQ(found.feature, (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6, 7, features - 1}));
}

TEST(Dictionary, WhatIsNoNumberIsNoFeature) {
  for (const FeatureGate gate : {FeatureGate::relu, FeatureGate::jump_relu}) {
    Dictionary d = random_dictionary(gate, 0, at::kFloat);
    d.encoder_bias[3] = std::numeric_limits<float>::quiet_NaN();
    const at::Tensor f = encode(d, at::randn({2, width}, at::kFloat));
    EXPECT_EQ(f.select(1, 3).abs().sum().item<float>(), 0);
  }
}

}  // namespace
}  // namespace tributary::testing
