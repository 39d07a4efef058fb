// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/doctor_passes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <limits>
#include <string>

#include "tests/runner/commands/examined.h"

namespace tributary::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<Kind> kinds = {Kind::llama, Kind::mistral, Kind::qwen, Kind::gpt2,
                                 Kind::gemma, Kind::olmo,    Kind::neox, Kind::patchwork};

TEST(DoctorPasses, SoundModelsPass) {
  for (const Kind kind : kinds) {
    const Job job = examined(kind);
    const Finding conservation = check_conservation(job, conserving_rules(job.architecture()));
    EXPECT_EQ(conservation.verdict, Verdict::ok) << name_of(kind) << " " << conservation.measured;
    EXPECT_EQ(check_forward(job).verdict, Verdict::ok) << name_of(kind);
    const Finding sums = check_completeness(job, 64);
    EXPECT_NE(sums.verdict, Verdict::fail) << name_of(kind) << " " << sums.measured;  // 65 points may be too few
  }
}

TEST(DoctorPasses, CompletenessDoesNotDependOnTheRowsOfACall) {
  const Job job = examined(Kind::llama);
  EXPECT_EQ(check_completeness(job, 7).measured, check_completeness(job, 1024).measured);
}

TEST(DoctorPasses, RulesThatDoNotConserveFail) {
  const Job job = examined(Kind::llama);
  for (const Rule rule : {Rule::norm, Rule::activation, Rule::half, Rule::attention}) {
    EXPECT_EQ(check_conservation(job, Rules::all().without(rule)).verdict, Verdict::fail) << name_of(rule);
  }
  EXPECT_EQ(check_conservation(examined(Kind::gemma), Rules::all()).verdict, Verdict::fail) << "the capped logits";
}

TEST(DoctorPasses, TheBiasesShareIsToldWhereThereAreSome) {
  const auto said = [](Kind kind) { return check_conservation(examined(kind), Rules::all()).measured; };
  EXPECT_THAT(said(Kind::llama), Not(HasSubstr("biases")));
  EXPECT_THAT(said(Kind::gpt2), HasSubstr("the biases' share of the metric being "));
}

TEST(DoctorPasses, WeightsThatAreNotFiniteFail) {
  Weights weights = tiny_weights(tiny_architecture(Kind::llama), at::kFloat);
  weights.layers[1].down_weight[2][3] = std::numeric_limits<float>::quiet_NaN();
  const Job job = examined(Transformer(tiny_architecture(Kind::llama), std::move(weights)));
  EXPECT_EQ(check_conservation(job, Rules::all()).verdict, Verdict::fail);
  EXPECT_EQ(check_completeness(job, 64).verdict, Verdict::fail);
  EXPECT_EQ(check_forward(job).verdict, Verdict::fail);
}

PassValues some_values() {
  const auto layers = [] { return std::vector<at::Tensor>{at::ones({2, 3, 4}), at::ones({2, 1, 4})}; };
  return {at::ones({2}), at::ones({2, 3, 5}), layers(), layers(), layers()};
}

TEST(DoctorPasses, AnyValueThatRulesChangeIsNamed) {
  const PassValues fresh = some_values();
  EXPECT_EQ(compare_passes(fresh, some_values()).verdict, Verdict::ok);
  const auto said = [&](const auto& change) {
    PassValues changed = some_values();
    change(changed);
    const Finding found = compare_passes(fresh, changed);
    EXPECT_EQ(found.verdict, Verdict::fail);
    return found.measured;
  };
  EXPECT_THAT(said([](PassValues& v) { v.metric[1] += 1e-6; }), HasSubstr("metric"));
  EXPECT_THAT(said([](PassValues& v) { v.recomputed[1][0][0][2] += 1e-6; }),
              HasSubstr("with rules computes other neurons of layer 1"));
  EXPECT_THAT(said([](PassValues& v) { v.derivatives[0][0][0][2] += 1e-6; }), HasSubstr("derivatives of layer 0"));
  EXPECT_THAT(said([](PassValues& v) { v.by_stream[0][0][2] += 1e-6; }), HasSubstr("derivatives by the embeddings"));
}

/// Of one pair and two layers with effects 2 and 0.001, the prompts' difference being 4.
Finding judged(double scores_off, double residual, std::int64_t layer) {
  LayerSums sums;
  sums.effect = at::tensor({2.0, 0.001}, at::kDouble).unsqueeze(0);
  sums.scores = sums.effect.clone();
  sums.scores[0][layer] += scores_off;
  sums.residual = at::zeros({1, 2}, at::kDouble);
  sums.residual[0][layer] = residual;
  sums.whole = at::full({1}, 4.0, at::kDouble);
  return judge_sums(sums, 0.01);
}

TEST(DoctorPasses, SumsAreHeldAgainstTheirLayersEffect) {
  EXPECT_EQ(judged(0, 0, 0).verdict, Verdict::ok);
  EXPECT_EQ(judged(0.019, 0.019, 0).verdict, Verdict::ok);
  EXPECT_EQ(judged(0.021, 0.021, 0).verdict, Verdict::warn);
  EXPECT_EQ(judged(0.21, 0.21, 0).verdict, Verdict::fail);
  EXPECT_EQ(judged(0.0003, 0.0003, 1).verdict, Verdict::ok) << "a hundredth of the prompts' difference";
  EXPECT_EQ(judged(0.0005, 0.0005, 1).verdict, Verdict::warn);
  EXPECT_THAT(judged(0.0005, 0.0005, 1).measured, HasSubstr("layer 1"));
}

TEST(DoctorPasses, AResidualThatHidesTheErrorDoesNotHelp) {
  EXPECT_EQ(judged(0.5, 0, 0).verdict, Verdict::fail);
  EXPECT_EQ(judged(0, 0.5, 0).verdict, Verdict::fail) << "nor one that makes it up";
}

TEST(DoctorPasses, SumsThatAreNotFiniteFail) {
  EXPECT_EQ(judged(std::numeric_limits<double>::quiet_NaN(), 0, 1).verdict, Verdict::fail);
  EXPECT_EQ(judged(0, std::numeric_limits<double>::infinity(), 0).verdict, Verdict::fail);
}

}  // namespace
}  // namespace tributary::testing
