// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/pair_scores.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <cmath>

#include "tests/attribution/closeness.h"
#include "tests/attribution/unit.h"

namespace tributary::testing {
namespace {

constexpr std::int64_t length = 5;

Task watching(const std::string& method, Keep keep) {
  Task task = task_of(request_of(method));
  task.options.keep = keep;
  task.options.sampled = {{0, 0, 1}, {0, 3, 2}, {1, 4, 19}, {2, 4, 7}};
  return task;
}

class PairScores : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Methods, PairScores,
                         ::testing::Values("atp", "relp", "ig-acts", "ig-inputs", "conductance", "delta", "random"));

TEST_P(PairScores, AllOfThemAddUpToTheSum) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(3, length);
  const UnitScores unit = unit_of(model, watching(GetParam(), {Keep::What::all, 0}), prompts, {8});
  ASSERT_EQ(unit.kept.sizes(), (std::vector<std::int64_t>{3, 3 * length * 20}));
  expect_close(unit.kept.sum(0).view_as(unit.scores), unit.scores);
}

TEST_P(PairScores, AreThoseOfThePairAlone) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(3, length);
  const Task task = watching(GetParam(), {Keep::What::all, 0});
  const UnitScores unit = unit_of(model, task, prompts);
  for (std::int64_t pair = 0; pair < 3; ++pair) {
    const UnitScores alone = unit_of(model, task, prompts.narrow(pair, 1));
    EXPECT_TRUE(at::equal(unit.kept[pair], alone.scores.flatten()));
  }
}

TEST_P(PairScores, OfWatchedNeuronsAreTakenFromAllOfThem) {
  const Transformer model = tiny_model(Kind::llama);
  Prompts prompts = tiny_prompts(2, length);
  prompts.shared = 1;
  const Task task = watching(GetParam(), {Keep::What::all, 0});
  const UnitScores unit = unit_of(model, task, prompts);
  const at::Tensor all = unit.kept.view({2, 3, length, 20});
  for (std::size_t n = 0; n < task.options.sampled.size(); ++n) {
    const Node& neuron = task.options.sampled[n];
    EXPECT_TRUE(at::equal(unit.sampled.select(1, static_cast<std::int64_t>(n)),
                          all.select(1, neuron.layer).select(1, neuron.position).select(1, neuron.index)));
  }
}

TEST_P(PairScores, TheLargestAreTheLargest) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(2, length);
  const at::Tensor all = unit_of(model, watching(GetParam(), {Keep::What::all, 0}), prompts).kept;
  const at::Tensor kept =
      unit_of(model, watching(GetParam(), {Keep::What::largest, 12}), prompts).kept.view({2, 12, 2});
  for (std::int64_t pair = 0; pair < 2; ++pair) {
    const auto [top, order] = at::topk(all[pair].abs(), 12);
    EXPECT_TRUE(at::equal(kept[pair].select(1, 1).abs(), top));
    EXPECT_TRUE(
        at::equal(at::index_select(all[pair], 0, kept[pair].select(1, 0).to(at::kLong)), kept[pair].select(1, 1)));
  }
}

TEST(PairScoresOfLayers, NodesAreCountedInTheWholeModel) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(1, length);
  Task task = watching("atp", {Keep::What::largest, 400});  // more than there are
  task.options.layers = {1, 2};
  const UnitScores unit = unit_of(model, task, prompts);
  EXPECT_EQ(unit.sampled.size(1), 1) << "one of the sampled neurons is in layer 1";
  const at::Tensor nodes = unit.kept.view({400, 2}).select(1, 0);
  EXPECT_EQ(nodes.ne(-1).sum().item<std::int64_t>(), length * 20);
  EXPECT_EQ(nodes.masked_select(nodes.ne(-1)).min().item<double>(), length * 20);
  EXPECT_EQ(nodes.max().item<double>(), 2 * length * 20 - 1);
}

TEST(PairScoresOfExactPatching, AreKeptOfPatchedNeuronsAlone) {
  const Transformer model = tiny_model(Kind::llama);
  Task task = watching("exact-patching", {Keep::What::largest, 3});
  task.options.sample = task.options.sampled;
  task.options.sample.resize(2);
  const UnitScores unit = unit_of(model, task, tiny_prompts(1, length));
  EXPECT_FALSE(std::isnan(unit.sampled[0][1].item<double>()));
  EXPECT_TRUE(std::isnan(unit.sampled[0][3].item<double>())) << "sampled, and not patched";
  EXPECT_EQ(unit.kept.view({3, 2})[2][0].item<double>(), -1) << "two were patched";
}

}  // namespace
}  // namespace tributary::testing
