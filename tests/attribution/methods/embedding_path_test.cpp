// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/embedding_path.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <map>
#include <tuple>

#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing::embedding_path {
namespace {

constexpr std::int64_t length = 6;
constexpr std::int64_t pairs = 3;

using What = EmbeddingTaps::What;

/// Taps of the neurons.
EmbeddingTaps of_neurons(What what) { return {{tiny_table()}, what}; }

/// All points of a path, as one call visits them.
std::vector<PathSample> samples_of(const PathNetwork& path, const std::vector<PathPoint>& points) {
  std::vector<PathSample> samples(points.size());
  std::map<std::int64_t, double> alpha;  // reached by each example
  path.evaluate(points, [&](std::size_t index, const PathSample& sample) {
    const auto before = alpha.find(points[index].example);
    EXPECT_TRUE(before == alpha.end() || before->second < points[index].alpha) << "not in ascending order";
    alpha[points[index].example] = points[index].alpha;
    samples[index] = sample;
  });
  return samples;
}

std::vector<PathPoint> some_points() {
  return {{0, 0}, {0, 0.25}, {0, 1}, {1, 0.5}, {1, 0.75}, {1, 1}, {2, 0}, {2, 0.125}};
}

struct Setting {
  Transformer model;
  Prompts prompts;
  std::int64_t shared;
  std::vector<at::Tensor> embeddings{model.embed(prompts.clean), model.embed(prompts.counterfactual)};
  BaseRuns runs{model,
                embeddings,
                shared,
                model.logit_directions(prompts.tokens),
                {Site::neurons, Site::z, Site::mlp_written, Site::mlp_out},
                nullptr};

  Setting(Kind kind, at::ScalarType type, std::int64_t shared_positions)
      : model(tiny_model(kind, type)),
        prompts(tiny_prompts(pairs, length, stream_type(type), shared_positions)),
        shared(shared_positions) {}
  [[nodiscard]] EmbeddingPath path(Rules rules = {}, const EmbeddingTaps& taps = of_neurons(What::values_and_gradients),
                                   std::int64_t rows = 512, std::int64_t start_group = 1) const {
    return {runs, 0, runs.embeddings(1), start_group, rules, taps, {rows}, nullptr};
  }
};

class EmbeddingPaths : public ::testing::TestWithParam<std::tuple<Kind, std::int64_t>> {
 protected:
  const std::int64_t shared = std::get<1>(GetParam());
  const std::int64_t suffix = length - shared;
  const Setting setting{std::get<0>(GetParam()), at::kDouble, shared};
};
INSTANTIATE_TEST_SUITE_P(EmbeddingPath, EmbeddingPaths,
                         ::testing::Combine(::testing::Values(Kind::llama, Kind::gpt2, Kind::gemma, Kind::olmo,
                                                              Kind::neox),
                                            ::testing::Values(0, 2, length - 1)));

TEST_P(EmbeddingPaths, SamplesAreThoseOfTheReference) {
  const AutogradModel reference(setting.model);
  const std::vector<PathPoint> points = some_points();
  for (const Rules& rules : {Rules(), Rules::all()}) {
    const EmbeddingPath path = setting.path(rules);
    const std::vector<PathSample> samples = samples_of(path, points);
    for (std::size_t i = 0; i < points.size(); ++i) {
      const auto one = [&](std::size_t group) { return setting.embeddings[group].narrow(0, points[i].example, 1); };
      const at::Tensor moved = one(0) - one(1);
      const Truth truth =
          reference.run(one(1) + points[i].alpha * moved, setting.prompts.tokens.narrow(points[i].example, 1), rules);
      EXPECT_NEAR(samples[i].metric, truth.metric.item<double>(), 1e-10);
      EXPECT_NEAR(samples[i].slope, (moved * truth.stream_gradients[0]).sum().item<double>(), 1e-9);
      expect_close(samples[i].input_gradient, last_positions(truth.stream_gradients, 0, suffix)[0]);
      ASSERT_EQ(samples[i].gradient.sizes(), (at::IntArrayRef{3, suffix, 20}));
      for (std::int64_t layer = 0; layer < 3; ++layer) {
        expect_close(samples[i].gradient[layer], last_positions(truth.neuron_gradients, layer, suffix)[0]);
        const std::int64_t known = layer == 2 ? 1 : suffix;  // elsewhere the last layer's gradient is zero
        expect_close(samples[i].value[layer].narrow(0, suffix - known, known),
                     last_positions(truth.neurons, layer, known)[0]);
      }
    }
  }
}

TEST_P(EmbeddingPaths, TapsOfSeveralSitesLieSideBySide) {
  const AutogradModel reference(setting.model);
  const std::vector<PathPoint> points = some_points();
  const std::vector<NodeTable> tables{tiny_table(NodeKind::mlps),
                                      tiny_table(),
                                      tiny_table(NodeKind::embeddings),
                                      tiny_table(NodeKind::heads),
                                      tiny_table(NodeKind::mlps, MlpSide::written),
                                      tiny_table()};
  const EmbeddingTaps taps(tables, What::values_and_gradients);
  EXPECT_EQ(taps.width(), 3 * 24 + 20);
  EXPECT_FALSE(taps.has(Site::embeddings));
  const std::vector<PathSample> samples = samples_of(setting.path({}, taps), points);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const auto one = [&](std::size_t group) { return setting.embeddings[group].narrow(0, points[i].example, 1); };
    const Truth truth = reference.run(one(1) + points[i].alpha * (one(0) - one(1)),
                                      setting.prompts.tokens.narrow(points[i].example, 1));
    for (const Site site : {Site::z, Site::neurons, Site::mlp_written, Site::mlp_out}) {
      const at::Tensor gradient = taps.columns(samples[i].gradient, site);  // [layer, pos, width]
      const at::Tensor value = taps.columns(samples[i].value, site);
      for (std::int64_t layer = 0; layer < 3; ++layer) {
        const std::int64_t known = layer == 2 ? 1 : suffix;
        expect_close(gradient[layer], last_positions(truth.gradients.at(site), layer, suffix)[0]);
        expect_close(value[layer].narrow(0, suffix - known, known),
                     last_positions(truth.values.at(site), layer, known)[0]);
      }
    }
  }
}

TEST_P(EmbeddingPaths, SlopesAreDerivativesOfTheMetric) {
  const EmbeddingPath path = setting.path({}, EmbeddingTaps());
  const double h = 1e-5;
  const std::vector<PathSample> s = samples_of(path, {{1, 0.4 - h}, {1, 0.4}, {1, 0.4 + h}});
  EXPECT_NEAR(s[1].slope, (s[2].metric - s[0].metric) / (2 * h), 1e-6);
}

/// What differs between two lists of samples: nothing.
void expect_same_samples(const std::vector<PathSample>& a, const std::vector<PathSample>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].metric, b[i].metric) << i;
    EXPECT_EQ(a[i].slope, b[i].slope) << i;
    expect_same_bits(a[i].input_gradient, b[i].input_gradient);
    if (!a[i].gradient.defined() || !b[i].gradient.defined()) continue;
    expect_same_bits(a[i].gradient, b[i].gradient);
    if (!a[i].value.defined() || !b[i].value.defined()) continue;
    const auto seen = [](const at::Tensor& v) { return v.narrow(1, v.size(1) - 1, 1).contiguous(); };
    expect_same_bits(seen(a[i].value), seen(b[i].value));
    expect_same_bits(a[i].value.narrow(0, 0, 2), b[i].value.narrow(0, 0, 2));
  }
}

class EmbeddingPathBits : public ::testing::TestWithParam<at::ScalarType> {};
INSTANTIATE_TEST_SUITE_P(EmbeddingPath, EmbeddingPathBits, ::testing::Values(at::kFloat, at::kBFloat16, at::kDouble));

TEST_P(EmbeddingPathBits, DoNotDependOnBatchesTapsOrWhatTheRecordRan) {
  for (const std::int64_t shared : {0, 3}) {
    const Setting setting(Kind::llama, GetParam(), shared);
    const std::vector<PathPoint> points = some_points();
    const std::vector<PathSample> usual = samples_of(setting.path(), points);
    expect_same_samples(samples_of(setting.path({}, of_neurons(What::values_and_gradients), 1), points), usual);
    expect_same_samples(samples_of(setting.path({}, of_neurons(What::gradients), 2 * length), points), usual);
    const std::vector<PathSample> bare = samples_of(setting.path({}, EmbeddingTaps()), points);
    expect_same_samples(bare, usual);
    EXPECT_FALSE(bare[0].gradient.defined() || bare[0].value.defined());
    // The counterfactual run again, as a point like any other.
    expect_same_samples(
        samples_of(setting.path({}, of_neurons(What::values_and_gradients), 512, EmbeddingPath::not_run), points),
        usual);
  }
}

TEST(EmbeddingPath, MayStartAnywhere) {
  const Setting setting(Kind::gpt2, at::kDouble, 0);
  const at::Tensor start = at::randn_like(setting.embeddings[0]);
  const EmbeddingPath path(setting.runs, 0, start, EmbeddingPath::not_run, {}, {}, {}, nullptr);
  const PathSample sample = samples_of(path, {{2, 0.3}}).front();
  const at::Tensor end = setting.embeddings[0].narrow(0, 2, 1);
  const at::Tensor from = start.narrow(0, 2, 1);
  const Truth truth = AutogradModel(setting.model).run(from + 0.3 * (end - from), setting.prompts.tokens.narrow(2, 1));
  EXPECT_NEAR(sample.metric, truth.metric.item<double>(), 1e-10);
  EXPECT_NEAR(sample.slope, ((end - from) * truth.stream_gradients[0]).sum().item<double>(), 1e-9);
}

}  // namespace
}  // namespace tributary::testing::embedding_path
