// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/transformer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "attribution/methods/paths.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing {
namespace {

at::Tensor logits_of(const Transformer& model, const at::Tensor& ids) {
  return model.all_logits(model.run(model.embed(ids), {}), {ids.size(0), ids.size(1)});
}

class Families : public ::testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Transformer, Families, ::testing::Values(Kind::llama, Kind::gpt2));

TEST_P(Families, ALaterTokenNeverChangesEarlierLogits) {
  const Transformer model = tiny_model(GetParam());
  const at::Tensor ids = at::randint(40, {1, 7}, at::kLong);
  at::Tensor changed = ids.clone();
  changed[0][4] = (ids[0][4] + 1) % 40;
  const at::Tensor before = logits_of(model, ids)[0];
  const at::Tensor after = logits_of(model, changed)[0];
  EXPECT_TRUE(at::equal(before.narrow(0, 0, 4), after.narrow(0, 0, 4)));
  for (int t = 4; t < 7; ++t) EXPECT_FALSE(at::allclose(before[t], after[t])) << "position " << t;
}

TEST_P(Families, TheOrderOfTokensMatters) {
  const Transformer model = tiny_model(GetParam());
  const at::Tensor ids = at::tensor({5, 6, 7, 8}, at::kLong).unsqueeze(0);
  const at::Tensor swapped = at::tensor({6, 5, 7, 8}, at::kLong).unsqueeze(0);
  EXPECT_FALSE(at::allclose(logits_of(model, ids)[0][3], logits_of(model, swapped)[0][3]));
}

class Types : public ::testing::TestWithParam<at::ScalarType> {};
INSTANTIATE_TEST_SUITE_P(Transformer, Types, ::testing::Values(at::kFloat, at::kDouble, at::kBFloat16));

TEST_P(Types, NoBitDependsOnTheBatch) {
  const Transformer model = tiny_model(Kind::llama, GetParam());
  const at::Tensor ids = at::randint(40, {13, 5}, at::kLong);
  const at::Tensor together = model.run(model.embed(ids), {});
  for (int i = 0; i < 13; ++i) {
    const at::Tensor alone = model.run(model.embed(ids.narrow(0, i, 1)), {});
    EXPECT_TRUE(at::equal(together.narrow(0, 5 * i, 5), alone.narrow(0, 0, 5))) << "sequence " << i;
  }
}

TEST_P(Families, ResumingFromEveryLayerGivesTheSameMetric) {
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(3, 5);
  const RecordedRun run = record_run(model, model.embed(prompts.clean), prompts.tokens, {});
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    EXPECT_TRUE(
        at::equal(metric_with_layer(model, run, layer, run.activations[layer], prompts.tokens, {}), run.metric));
  }
}

TEST_P(Families, TheMetricIsTheLogitDifferenceOfTheLastPosition) {
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(3, 5);
  const at::Tensor last = logits_of(model, prompts.clean).select(1, 4);
  const at::Tensor stream = model.run(model.embed(prompts.clean), {});
  EXPECT_TRUE(at::allclose(model.metric(stream, {3, 5}, prompts.tokens, {}), last.select(1, 3) - last.select(1, 7),
                           1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(model.last_logits(stream, {3, 5}), last, 1e-12, 1e-12));
}

TEST(Transformer, ASlidingWindowHidesWhatLiesBefore) {
  Architecture a = tiny_architecture(Kind::llama);
  a.layers = 1;  // with more layers the past seeps through
  a.sliding_window = 3;
  Weights w = tiny_weights(a);
  const Transformer model(a, w);
  const at::Tensor ids = at::randint(40, {1, 6}, at::kLong);
  at::Tensor changed = ids.clone();
  changed[0][2] = (ids[0][2] + 1) % 40;
  const at::Tensor before = logits_of(model, ids)[0];
  const at::Tensor after = logits_of(model, changed)[0];
  EXPECT_TRUE(at::equal(before[5], after[5]));  // sees 3, 4, 5
  EXPECT_FALSE(at::allclose(before[4], after[4]));
}

TEST(Rotary, ScoresDependOnTheDistanceOnly) {
  const RotaryTables tables = rotary_tables({}, 8, 12, at::kDouble);
  const at::Tensor q = at::randn({8}, at::kDouble);
  const at::Tensor k = at::randn({8}, at::kDouble);
  const auto rotated = [&tables](const at::Tensor& x) {  // [pos, d]: the same vector at every position
    return rotate(x.view({1, 1, 1, 8}).expand({1, 12, 1, 8}), tables).view({12, 8});
  };
  const at::Tensor scores = rotated(q).mm(rotated(k).t());  // [query pos, key pos]
  for (int distance = 0; distance < 4; ++distance) {
    EXPECT_NEAR(scores[5][5 - distance].item<double>(), scores[9][9 - distance].item<double>(), 1e-12);
  }
  EXPECT_GT(std::abs((scores[5][5] - scores[5][3]).item<double>()), 1e-3);
}

TEST(Rotary, RotatesTheTwoHalvesByPositionTimesFrequency) {
  const RotaryTables tables = rotary_tables({}, 4, 3, at::kDouble);
  const at::Tensor x = at::tensor({1.0, 2.0, 3.0, 4.0}, at::kDouble).view({1, 1, 1, 4}).expand({1, 3, 1, 4});
  const at::Tensor turned = rotate(x, tables).view({3, 4});
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
  const at::Tensor scaled = rotary_frequencies(rotary, 128);
  rotary.scaling = RotaryScaling::none;
  const at::Tensor plain = rotary_frequencies(rotary, 128);
  EXPECT_DOUBLE_EQ(scaled[0].item<double>(), plain[0].item<double>());
  EXPECT_DOUBLE_EQ(scaled[63].item<double>(), plain[63].item<double>() / 8);
  const double middle = (scaled[32] / plain[32]).item<double>();  // wavelength 4443, between 8192 / 4 and 8192 / 1
  const double wavelength = 2 * M_PI / plain[32].item<double>();
  const double smooth = (8192 / wavelength - 1) / 3;
  EXPECT_NEAR(middle, (1 - smooth) / 8 + smooth, 1e-12);
}

}  // namespace
}  // namespace tributary::testing
