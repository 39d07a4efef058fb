// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/rotary.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <cmath>

#include "attribution/model/functions.h"

namespace tributary::testing {
namespace {

TEST(Rotary, ScoresDependOnTheDistanceOnly) {
  const RotaryTables tables = rotary_tables({}, 8, 12, at::kDouble);
  const at::Tensor q = at::randn({8}, at::kDouble);
  const at::Tensor k = at::randn({8}, at::kDouble);
  const auto rotated = [&tables](const at::Tensor& x) {  // [pos, d]: the same vector at every position
    at::Tensor rows = x.expand({12, 8}).contiguous();
    rotate(rows, {tables.cosine, tables.sine, 8, 0, 12}, RotationSense::forward);
    return rows;
  };
  const at::Tensor scores = rotated(q).mm(rotated(k).t());  // [query pos, key pos]
  for (int distance = 0; distance < 4; ++distance) {
    EXPECT_NEAR(scores[5][5 - distance].item<double>(), scores[9][9 - distance].item<double>(), 1e-12);
  }
  EXPECT_GT(std::abs((scores[5][5] - scores[5][3]).item<double>()), 1e-3);
}

TEST(Rotary, RotatesTheTwoHalvesByPositionTimesFrequency) {
  const RotaryTables tables = rotary_tables({}, 4, 3, at::kDouble);
  const at::Tensor turned = at::tensor({1.0, 2.0, 3.0, 4.0}, at::kDouble).expand({3, 4}).contiguous();
  rotate(turned, {tables.cosine, tables.sine, 4, 0, 3}, RotationSense::forward);
  const double slow = 2 * std::pow(10000.0, -0.5);
  EXPECT_NEAR(turned[2][0].item<double>(), std::cos(2) - 3 * std::sin(2), 1e-14);
  EXPECT_NEAR(turned[2][2].item<double>(), 3 * std::cos(2) + std::sin(2), 1e-14);
  EXPECT_NEAR(turned[2][1].item<double>(), 2 * std::cos(slow) - 4 * std::sin(slow), 1e-14);
}

TEST(Rotary, Llama3StretchesLongWavelengthsOnly) {
  Rotary rotary;
  rotary.theta = 500000;
  rotary.scaling = RotaryScaling::llama3;
  rotary.factor = 8;
  rotary.original_positions = 8192;
  const at::Tensor scaled = rotary_frequencies(rotary, 128, 1);
  rotary.scaling = RotaryScaling::none;
  const at::Tensor plain = rotary_frequencies(rotary, 128, 1);
  EXPECT_DOUBLE_EQ(scaled[0].item<double>(), plain[0].item<double>());
  EXPECT_DOUBLE_EQ(scaled[63].item<double>(), plain[63].item<double>() / 8);
  const double middle = (scaled[32] / plain[32]).item<double>();  // wavelength 4443, between 8192 / 4 and 8192 / 1
  const double wavelength = 2 * M_PI / plain[32].item<double>();
  const double smooth = (8192 / wavelength - 1) / 3;
  EXPECT_NEAR(middle, (1 - smooth) / 8 + smooth, 1e-12);
}

TEST(Rotary, LinearStretchesEveryWavelength) {
  Rotary rotary;
  const at::Tensor plain = rotary_frequencies(rotary, 8, 1);
  rotary.scaling = RotaryScaling::linear;
  rotary.factor = 4;
  const at::Tensor scaled = rotary_frequencies(rotary, 8, 1);
  for (int i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ(scaled[i].item<double>(), plain[i].item<double>() / 4);
}

}  // namespace
}  // namespace tributary::testing
