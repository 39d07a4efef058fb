// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/rotary.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <cmath>
#include <vector>

#include "attribution/model/functions.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/engine_run.h"
#include "tests/attribution/tiny_model.h"

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

void expect_frequencies(const Rotary& rotary, std::int64_t d_head, std::int64_t length, std::vector<double> expected) {
  const at::Tensor found = rotary_frequencies(rotary, d_head, length);
  ASSERT_EQ(found.size(0), static_cast<std::int64_t>(expected.size()));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(found[static_cast<std::int64_t>(i)].item<double>(), expected[i], 1e-14) << "pair " << i;
  }
}

TEST(Rotary, YarnStretchesWhatTurnsRarelyWithinTheOriginalPositions) {
  Rotary rotary{.scaling = RotaryScaling::yarn, .factor = 4, .original_positions = 64};
  // 32 turns: pair 4 ln(64 / 64 pi) / ln 10000 = -0.50, cut off at 0; 1 turn: pair 4 ln(64 / 2 pi) / ln 10000 = 1.008.
  expect_frequencies(rotary, 8, 1, {1, 0.1 * (0.5 / 4 + 0.5), 0.01 / 4, 0.001 / 4});
  rotary.truncate = false;
  const double share = std::log(10000) / (4 * std::log(64 / (2 * M_PI)));  // of pair 1 on the slope from 0 to 1.008
  expect_frequencies(rotary, 8, 1, {1, 0.1 * (share / 4 + 1 - share), 0.01 / 4, 0.001 / 4});
  rotary.beta_fast = rotary.beta_slow = 64 / (2 * M_PI) * std::pow(10, -1.5);  // both at pair 1.5: a step
  expect_frequencies(rotary, 8, 1, {1, 0.1, 0.01 / 4, 0.001 / 4});
}

TEST(Rotary, DynamicScalingGrowsWithThePromptBeyondTheOriginalPositions) {
  const Rotary rotary{.scaling = RotaryScaling::dynamic, .factor = 2, .original_positions = 16};
  for (const std::int64_t length : {1, 15, 16}) expect_frequencies(rotary, 4, length, {1, 0.01});
  expect_frequencies(rotary, 4, 32, {1, 0.01 / 3});  // theta times (2 * 32 / 16 - 1)^(4 / 2)
  expect_frequencies(rotary, 4, 48, {1, 0.01 / 5});
}

TEST(Rotary, LongropeHasFactorsForShortPromptsAndOthersForLongOnes) {
  const Rotary rotary{
      .scaling = RotaryScaling::longrope, .original_positions = 8, .short_factors = {1, 2}, .long_factors = {3, 5}};
  for (const std::int64_t length : {1, 7, 8}) expect_frequencies(rotary, 4, length, {1, 0.01 / 2});
  for (const std::int64_t length : {9, 100}) expect_frequencies(rotary, 4, length, {1.0 / 3, 0.01 / 5});
}

TEST(Rotary, TheAttentionFactorIsInTheTablesOfEveryPosition) {
  const RotaryTables tables = rotary_tables({.attention_factor = 1.5}, 6, 5, at::kDouble);
  EXPECT_EQ(tables.d_head, 6);
  EXPECT_TRUE(at::allclose(tables.cosine.square() + tables.sine.square(), at::full({5, 6}, 2.25, at::kDouble)));
}

TEST(Rotary, APartOfEachHeadTurnsByFrequenciesOfItsOwnAndTheRestStays) {
  const RotaryTables tables = rotary_tables({.dims = 4}, 6, 3, at::kDouble);
  EXPECT_EQ(tables.cosine.size(1), 4);
  const at::Tensor start = at::arange(1, 13, at::kDouble).expand({3, 12}).contiguous();  // two heads
  for (auto* const way : {&rotate, &generic::rotate}) {
    const at::Tensor turned = start.clone();
    way(turned, {tables.cosine, tables.sine, 6, 0, 3}, RotationSense::forward);
    const double slow = 2 * std::pow(10000.0, -0.5);
    for (const int head : {0, 6}) {
      const auto at_two = [&](int i) { return turned[2][head + i].item<double>(); };
      EXPECT_NEAR(at_two(0), (1 + head) * std::cos(2) - (3 + head) * std::sin(2), 1e-13);
      EXPECT_NEAR(at_two(3), (4 + head) * std::cos(slow) + (2 + head) * std::sin(slow), 1e-13);
      EXPECT_EQ(at_two(4), 5 + head);
      EXPECT_EQ(at_two(5), 6 + head);
    }
    way(turned, {tables.cosine, tables.sine, 6, 0, 3}, RotationSense::inverse);
    EXPECT_TRUE(at::allclose(turned, start, 0, 1e-13));
  }
}

/// Clean prompts, the first `shared` positions computed as a prefix.
Batch with_prefix(const Transformer& model, const Prompts& prompts, std::int64_t length, std::int64_t shared) {
  const at::Tensor embeddings = model.embed(prompts.clean);
  Batch batch;
  batch.length = length;
  batch.suffix = length - shared;
  batch.entries = {{0, embeddings.narrow(1, shared, batch.suffix)}};
  batch.pairs = at::arange(embeddings.size(0), at::kLong);
  batch.prefix_embeddings = embeddings.narrow(1, 0, shared);
  return batch;
}

TEST(Rotary, AnglesThatDependOnThePromptsLengthAreThoseOfTheWholePromptInItsPrefixToo) {
  const std::vector<Rotary> rotaries = {
      {.dims = 4, .scaling = RotaryScaling::dynamic, .factor = 3, .original_positions = 5},
      {.scaling = RotaryScaling::longrope,
       .attention_factor = 1.3,
       .original_positions = 5,
       .short_factors = {1, 1.5, 2},
       .long_factors = {4, 0.5, 3}},
  };
  for (const Rotary& rotary : rotaries) {
    Architecture a = tiny_architecture(Kind::llama);
    a.rotaries = {rotary};
    const Transformer model(a, tiny_weights(a));
    std::vector<at::Tensor> first_positions;
    for (const std::int64_t length : {5, 8}) {
      SCOPED_TRACE("length " + std::to_string(length));
      const Prompts prompts = tiny_prompts(2, length, at::kDouble, 3);
      const Truth truth = AutogradModel(model).run(model.embed(prompts.clean), prompts.tokens);
      const LogitDirections directions = model.logit_directions(prompts.tokens);
      const EngineRun whole = engine_run(model, whole_batch(model.embed(prompts.clean)), directions);
      const EngineRun trimmed = engine_run(model, with_prefix(model, prompts, length, 3), directions);
      expect_close(whole.metric, truth.metric);
      expect_close(trimmed.metric, truth.metric);
      expect_close(whole.stream_gradients[0], truth.stream_gradients[0]);
      expect_close(trimmed.stream_gradients[0], truth.stream_gradients[0].narrow(1, 3, length - 3));
      const at::Tensor table = rotary_tables(rotary, a.d_head, length, at::kDouble).sine;
      first_positions.push_back(table.narrow(0, 0, 5));
    }
    EXPECT_FALSE(at::allclose(first_positions[0], first_positions[1], 1e-3));
  }
}

}  // namespace
}  // namespace tributary::testing
