// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The hand-written passes against the autograd reference, in float64, and what a causal network must and must not see.
// That no bit depends on the batch: transformer_bits_test.cpp.
#include "attribution/model/transformer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "attribution/model/tensors.h"
#include "common/errors.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/engine_run.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing {
namespace {

/// Logits of all positions.
at::Tensor logits_of(const Transformer& model, const at::Tensor& ids) {
  ForwardOptions options;
  options.last_block = LastBlock::all_positions;
  return model.logits(model.forward(whole_batch(model.embed(ids)), options).resid);
}

EngineRun run_of(const Transformer& model, const Prompts& prompts) {
  return engine_run(model, whole_batch(model.embed(prompts.clean)), model.logit_directions(prompts.tokens));
}

class Families : public ::testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Transformer, Families,
                         ::testing::Values(Kind::llama, Kind::mistral, Kind::qwen, Kind::gpt2, Kind::patchwork,
                                           Kind::gemma, Kind::olmo, Kind::neox),
                         [](const auto& kind) { return name_of(kind.param); });

TEST_P(Families, LogitsAndMetricAreThoseOfTheReference) {
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(4, 7);
  const Truth truth = AutogradModel(model).run(model.embed(prompts.clean), prompts.tokens);
  expect_close(logits_of(model, prompts.clean), truth.logits);
  expect_close(run_of(model, prompts).metric, truth.metric);
}

TEST_P(Families, EveryNeuronAndStreamIsThatOfTheReference) {
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(4, 7);
  const EngineRun run = run_of(model, prompts);
  const Truth truth = AutogradModel(model).run(model.embed(prompts.clean), prompts.tokens);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    EXPECT_EQ(run.neurons[layer].size(1), layer == 2 ? 1 : 7);
    expect_close(run.neurons[layer], last_of(truth.neurons[layer], run.neurons[layer]));
    expect_same_bits(run.recomputed[layer], run.neurons[layer]);
    // Before block 0 the engine's stream has the position embedding already.
    if (layer > 0) expect_close(run.streams[layer], truth.streams[layer]);
  }
  expect_close(run.streams[3], last_of(truth.streams[3], run.streams[3]));
}

TEST_P(Families, EveryGradientIsThatOfTheReference) {
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(4, 7);
  const EngineRun run = run_of(model, prompts);
  const Truth truth = AutogradModel(model).run(model.embed(prompts.clean), prompts.tokens);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    expect_close(run.neuron_gradients[layer], last_of(truth.neuron_gradients[layer], run.neuron_gradients[layer]));
    expect_close(run.stream_gradients[layer], truth.stream_gradients[layer]);  // block 0: dm/de
  }
  EXPECT_EQ(largest(truth.neuron_gradients[2].narrow(1, 0, 6)), 0);  // what the last block leaves out
}

TEST_P(Families, LowPrecisionStaysNearTheReference) {
  const Prompts prompts = tiny_prompts(4, 7, at::kFloat);
  for (const auto& [type, tolerance] : {std::pair(at::kFloat, 1e-4), std::pair(at::kBFloat16, 0.1)}) {
    const Transformer model = tiny_model(GetParam(), type);
    const EngineRun run = run_of(model, prompts);
    const Truth truth = AutogradModel(model).run(model.embed(prompts.clean), prompts.tokens);
    EXPECT_EQ(run.metric.scalar_type(), at::kFloat);
    EXPECT_EQ(run.stream_gradients[0].scalar_type(), at::kFloat);
    EXPECT_LE(largest(run.metric - truth.metric), tolerance * largest(truth.metric));
    for (std::size_t layer = 0; layer < 3; ++layer) {
      EXPECT_LE((run.stream_gradients[layer] - truth.stream_gradients[layer]).norm().item<double>(),
                tolerance * truth.stream_gradients[layer].norm().item<double>());
    }
  }
}

TEST_P(Families, ANeuronSetInPlaceIsUsed) {
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(2, 5);
  ForwardOptions options;
  options.neurons = [](std::int64_t layer, const at::Tensor& a) {
    if (layer == 1) a.select(1, 2).select(1, 4).fill_(1.5);
  };
  const at::Tensor e = model.embed(prompts.clean);
  const Truth set = AutogradModel(model).run(e, prompts.tokens, {}, [](std::int64_t layer, const at::Tensor& a) {
    at::Tensor changed = a.clone();
    if (layer == 1) changed.select(1, 2).select(1, 4).fill_(1.5);
    return changed;
  });
  const Pass pass = model.forward(whole_batch(e), options);
  expect_close(model.metric(pass.resid, model.logit_directions(prompts.tokens)), set.metric);
}

TEST_P(Families, TheLastPositionAloneGivesTheMetricOfAll) {
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(3, 5);
  const LogitDirections directions = model.logit_directions(prompts.tokens);
  ForwardOptions all;
  all.last_block = LastBlock::all_positions;
  const Batch batch = whole_batch(model.embed(prompts.clean));
  const at::Tensor whole = model.forward(batch, all).resid;
  const at::Tensor last = model.forward(batch, {}).resid;
  ASSERT_EQ(last.size(1), 1);
  expect_same_bits(last, whole.narrow(1, 4, 1).contiguous());
  expect_same_bits(model.metric(last, directions), model.metric(whole, directions));
  const at::Tensor logits = model.logits(whole).select(1, 4);
  expect_same_bits(model.logits(last).select(1, 0), logits);
  expect_close(model.metric(last, directions), logits.select(1, 3) - logits.select(1, 7));
}

TEST_P(Families, AMetricOfSeveralPositionsIsDifferentiatedThroughAllOfThem) {
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(3, 6, at::kDouble, 2);
  const LogitDirections last = model.logit_directions(prompts.tokens);
  const at::Tensor e = model.embed(prompts.clean);
  for (const std::vector<std::int64_t>& from_end : {std::vector<std::int64_t>{1, 0}, {0, 3}, {2}, {5, 4, 3, 2, 1, 0}}) {
    const auto reads = static_cast<std::int64_t>(from_end.size());
    const LogitDirections directions{ReadPositions(from_end), last.rows.repeat_interleave(reads, 1), last.coefficients};
    const std::int64_t kept = directions.reads.kept();
    for (const Rules& rules : {Rules(), Rules::all()}) {
      const EngineRun run = engine_run(model, whole_batch(e), directions, rules);
      const Truth truth = AutogradModel(model).run(e, prompts.tokens, rules, {}, from_end);
      EXPECT_EQ(run.pass.resid.size(1), kept);
      EXPECT_EQ(run.neurons[2].size(1), kept);
      expect_close(run.metric, truth.metric);
      for (std::size_t layer = 0; layer < 3; ++layer) {
        expect_close(run.neuron_gradients[layer], last_of(truth.neuron_gradients[layer], run.neuron_gradients[layer]));
        expect_close(run.stream_gradients[layer], truth.stream_gradients[layer]);
      }
    }
  }
}

TEST(ReadPositions, AreEachNamedOnceFromTheEnd) {
  EXPECT_EQ(ReadPositions().kept(), 1);
  EXPECT_EQ(ReadPositions({0, 3}).kept(), 4);
  EXPECT_THROW(ReadPositions(std::vector<std::int64_t>{}), ContractViolation);
  EXPECT_THROW(ReadPositions({0, -1}), ContractViolation);
  EXPECT_THROW(ReadPositions({2, 2}), ContractViolation);
}

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

TEST(Transformer, ASlidingWindowHidesWhatLiesBefore) {
  const Architecture a = tiny_architecture(Kind::mistral, 1);  // with more layers the past seeps through
  const Transformer model(a, tiny_weights(a));
  const at::Tensor ids = at::randint(40, {1, 6}, at::kLong);
  at::Tensor changed = ids.clone();
  changed[0][2] = (ids[0][2] + 1) % 40;
  const at::Tensor before = logits_of(model, ids)[0];
  const at::Tensor after = logits_of(model, changed)[0];
  EXPECT_TRUE(at::equal(before[5], after[5]));  // sees 3, 4, 5
  EXPECT_FALSE(at::allclose(before[4], after[4]));
}

TEST(Transformer, AModelOfOneLayerOnPromptsOfOneTokenIsDifferentiatedToo) {
  for (const Kind kind : {Kind::llama, Kind::gpt2}) {
    const Architecture a = tiny_architecture(kind, 1);
    const Transformer model(a, tiny_weights(a));
    for (const std::int64_t length : {1, 2, 5}) {
      Prompts prompts = tiny_prompts(2, length, at::kDouble, 0);
      const EngineRun run = run_of(model, prompts);
      const Truth truth = AutogradModel(model).run(model.embed(prompts.clean), prompts.tokens);
      expect_close(run.metric, truth.metric);
      expect_close(run.stream_gradients[0], truth.stream_gradients[0]);
    }
  }
}

TEST(Transformer, PromptsTooLongForTheLoopsGoByMatrixProducts) {
  Architecture a = tiny_architecture(Kind::llama);
  a.max_positions = 300;
  const Transformer model(a, tiny_weights(a));
  const Prompts prompts = tiny_prompts(1, 270);
  const EngineRun run = run_of(model, prompts);
  const Truth truth = AutogradModel(model).run(model.embed(prompts.clean), prompts.tokens);
  expect_close(run.metric, truth.metric);
  expect_close(run.stream_gradients[0], truth.stream_gradients[0]);
}

TEST(Transformer, TheMetricTakesAnyNumberOfTokensAndCoefficients) {
  const Transformer model = tiny_model(Kind::gpt2);
  const at::Tensor ids = at::randint(40, {3, 4}, at::kLong);
  const MetricTokens tokens{at::randint(40, {3, 5}, at::kLong), at::randn({5}, at::kDouble)};
  const EngineRun run = engine_run(model, whole_batch(model.embed(ids)), model.logit_directions(tokens));
  const Truth truth = AutogradModel(model).run(model.embed(ids), tokens);
  expect_close(run.metric, truth.metric);
  expect_close(run.stream_gradients[0], truth.stream_gradients[0]);
  EXPECT_TRUE(at::equal(tokens.narrow(1, 2).tokens, tokens.tokens.narrow(0, 1, 2)));
}

TEST(Transformer, AMultiplierOfEmbeddingsIsRoundedWhereTheFamilyKeepsItSo) {
  Architecture a = tiny_architecture(Kind::llama);
  a.embedding_multiplier = std::sqrt(24.0);  // 4.899; bfloat16 has 4.90625
  const at::Tensor ids = tiny_prompts(2, 5).clean;
  const Weights weights = tiny_weights(a, at::kBFloat16);
  const at::Tensor plain = at::index_select(weights.embedding, 0, ids.flatten()).to(at::kFloat).view({2, 5, a.d_model});
  EXPECT_TRUE(at::equal(Transformer(a, weights).embed(ids), plain * std::sqrt(24.0F)));
  a.embedding_multiplier_precision = Architecture::Precision::network;
  EXPECT_TRUE(at::equal(Transformer(a, weights).embed(ids), plain * 4.90625F));
}

}  // namespace
}  // namespace tributary::testing
