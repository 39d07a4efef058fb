// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/activation_path.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <map>
#include <tuple>

#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing {
namespace {

constexpr std::int64_t length = 6;
constexpr std::int64_t pairs = 3;

struct Setting {
  Transformer model;
  Prompts prompts;
  std::vector<at::Tensor> embeddings{model.embed(prompts.clean), model.embed(prompts.counterfactual)};
  BaseRuns runs;

  Setting(Kind kind, at::ScalarType type, std::int64_t shared)
      : model(tiny_model(kind, type)),
        prompts(tiny_prompts(pairs, length, stream_type(type), shared)),
        runs(model, embeddings, shared, model.logit_directions(prompts.tokens), {Site::neurons}, nullptr) {}

  /// base_group 0 stays clean (alpha 1), 1 stays counterfactual (alpha 0).
  [[nodiscard]] ActivationPath path(std::int64_t base_group, LayerRange layers = {0, 3}, Rules rules = {},
                                    std::int64_t rows = 512) const {
    std::vector<at::Tensor> differences;
    for (std::int64_t layer = layers.first; layer < layers.end; ++layer) {
      differences.push_back(runs.values(Site::neurons, 0, layer).to(model.score_type()) -
                            runs.values(Site::neurons, 1, layer).to(model.score_type()));
    }
    return {runs, base_group, base_group == 0 ? 1.0 : 0.0, Site::neurons, layers, differences, rules, {rows}, nullptr};
  }
};

std::vector<PathSample> samples_of(const PathNetwork& path, const std::vector<PathPoint>& points) {
  std::vector<PathSample> samples(points.size());
  std::map<std::int64_t, double> alpha;
  path.evaluate(points, [&](std::size_t index, const PathSample& sample) {
    const auto before = alpha.find(points[index].example);
    EXPECT_TRUE(before == alpha.end() || before->second < points[index].alpha) << "not in ascending order";
    alpha[points[index].example] = points[index].alpha;
    samples[index] = sample;
  });
  return samples;
}

/// Points of several layers, examples out of order, some layers and pairs left out.
std::vector<PathPoint> some_points(const ActivationPath& path) {
  std::vector<PathPoint> points;
  for (const auto& [l, pair] : std::vector<std::pair<int, int>>{{2, 0}, {0, 1}, {1, 2}, {0, 0}, {2, 1}, {1, 0}}) {
    for (const double alpha : {0.0, 0.25, 1.0}) points.push_back({path.example(l, pair), alpha});
  }
  return points;
}

class ActivationPaths : public ::testing::TestWithParam<std::tuple<Kind, std::int64_t, std::int64_t>> {
 protected:
  const std::int64_t base = std::get<2>(GetParam());
  const Setting setting{std::get<0>(GetParam()), at::kDouble, std::get<1>(GetParam())};
  const std::int64_t suffix = setting.runs.suffix();
};
INSTANTIATE_TEST_SUITE_P(ActivationPath, ActivationPaths,
                         ::testing::Combine(::testing::Values(Kind::llama, Kind::gpt2, Kind::gemma, Kind::olmo,
                                                              Kind::neox),
                                            ::testing::Values(0, 2, 5), ::testing::Values(0, 1)));

TEST_P(ActivationPaths, SamplesAreThoseOfTheReference) {
  const AutogradModel reference(setting.model);
  const std::vector<Truth> ends = {reference.run(setting.embeddings[0], setting.prompts.tokens),
                                   reference.run(setting.embeddings[1], setting.prompts.tokens)};
  for (const Rules& rules : {Rules(), Rules::all()}) {
    const ActivationPath path = setting.path(base, {0, 3}, rules);
    const std::vector<PathPoint> points = some_points(path);
    const std::vector<PathSample> samples = samples_of(path, points);
    const std::vector<double> metrics = path.metrics(points);
    for (std::size_t i = 0; i < points.size(); ++i) {
      const std::int64_t layer = points[i].example / pairs;
      const std::int64_t pair = points[i].example % pairs;
      const auto end = [&](std::size_t group) {
        return ends[group].neurons[static_cast<std::size_t>(layer)].narrow(0, pair, 1);
      };
      const at::Tensor a = end(1) + points[i].alpha * (end(0) - end(1));
      const Truth truth = reference.run(setting.embeddings[static_cast<std::size_t>(base)].narrow(0, pair, 1),
                                        setting.prompts.tokens.narrow(pair, 1), rules,
                                        [&](std::int64_t at, const at::Tensor& own) { return at == layer ? a : own; });
      const at::Tensor& gradient = truth.neuron_gradients[static_cast<std::size_t>(layer)];
      EXPECT_NEAR(samples[i].metric, truth.metric.item<double>(), 1e-10);
      EXPECT_EQ(metrics[i], samples[i].metric);
      EXPECT_NEAR(samples[i].slope, ((end(0) - end(1)) * gradient).sum().item<double>(), 1e-9);
      ASSERT_EQ(samples[i].gradient.sizes(), (at::IntArrayRef{1, suffix, 24}));
      expect_close(samples[i].gradient, last_positions(truth.gradients.at(Site::mlp_written), layer, suffix));
      // Through the down projection: the neurons' own gradients.
      const at::Tensor neurons = path.to_values(layer, samples[i].gradient);
      EXPECT_EQ(neurons.size(1), layer == 2 ? 1 : suffix);
      expect_close(neurons, gradient.narrow(1, length - neurons.size(1), neurons.size(1)));
      EXPECT_FALSE(samples[i].value.defined() || samples[i].input_gradient.defined());
    }
  }
}

void expect_same_samples(const std::vector<PathSample>& a, const std::vector<PathSample>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].metric, b[i].metric) << i;
    EXPECT_EQ(a[i].slope, b[i].slope) << i;
    expect_same_bits(a[i].gradient.contiguous(), b[i].gradient.contiguous());
  }
}

class ActivationPathBits : public ::testing::TestWithParam<at::ScalarType> {};
INSTANTIATE_TEST_SUITE_P(ActivationPath, ActivationPathBits, ::testing::Values(at::kFloat, at::kBFloat16, at::kDouble));

TEST_P(ActivationPathBits, DoNotDependOnBatches) {
  for (const Kind kind : {Kind::llama, Kind::gemma, Kind::olmo, Kind::neox}) {
    for (const std::int64_t shared : {0, 2, 5}) {
      const Setting setting(kind, GetParam(), shared);
      const std::vector<PathPoint> points = some_points(setting.path(0));
      const std::vector<PathSample> usual = samples_of(setting.path(0), points);
      for (const std::int64_t rows : {1, 17}) {
        expect_same_samples(samples_of(setting.path(0, {0, 3}, {}, rows), points), usual);
      }
    }
  }
}

TEST_P(ActivationPathBits, DoNotDependOnWhetherTheBaseRunIsKnown) {
  for (const std::int64_t base : {0, 1}) {
    for (const std::int64_t shared : {0, 2, 5}) {
      for (const Kind kind : {Kind::gpt2, Kind::gemma, Kind::olmo, Kind::neox}) {
        const Setting setting(kind, GetParam(), shared);
        for (const Rules& rules : {Rules(), Rules::all()}) {
          ActivationPath path = setting.path(base, {0, 3}, rules);
          const std::vector<PathPoint> points = some_points(path);
          const std::vector<PathSample> evaluated = samples_of(path, points);
          path.know_base(setting.runs.gradients(base, rules, nullptr));
          expect_same_samples(samples_of(path, points), evaluated);
        }
      }
    }
  }
}

TEST_P(ActivationPathBits, OfSomeLayersAreThoseOfAll) {
  const Setting setting(Kind::llama, GetParam(), 1);
  const ActivationPath all = setting.path(0);
  const ActivationPath upper = setting.path(0, {1, 3});
  EXPECT_EQ(upper.examples(), 2 * pairs);
  std::vector<PathPoint> of_all, of_upper;
  for (std::int64_t l = 0; l < 2; ++l) {
    for (std::int64_t pair = 0; pair < pairs; ++pair) {
      of_all.push_back({all.example(l + 1, pair), 0.4});
      of_upper.push_back({upper.example(l, pair), 0.4});
    }
  }
  const std::vector<PathSample> a = samples_of(all, of_all);
  const std::vector<PathSample> b = samples_of(upper, of_upper);
  expect_same_samples(a, b);
  expect_same_bits(all.to_values(2, a[4].gradient), upper.to_values(1, b[4].gradient));
}

TEST(ActivationPath, MayStartAtAnyActivations) {
  const Setting setting(Kind::llama, at::kDouble, 0);
  const at::Tensor difference = at::randn({pairs, length, 20}, at::kDouble);
  const ActivationPath path(setting.runs, 0, 1, Site::neurons, {1, 2}, {difference}, {}, {}, nullptr);
  const AutogradModel reference(setting.model);
  const Truth clean = reference.run(setting.embeddings[0], setting.prompts.tokens);
  const at::Tensor moved =
      reference.metric_with_layer(setting.embeddings[0], setting.prompts.tokens, 1, clean.neurons[1] - difference);
  const std::vector<double> found = path.metrics({{0, 0}, {1, 0}, {2, 0}});
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    EXPECT_NEAR(found[static_cast<std::size_t>(pair)], moved[pair].item<double>(), 1e-10);
  }
}

}  // namespace
}  // namespace tributary::testing
