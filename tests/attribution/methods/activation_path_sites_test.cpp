// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Paths of heads and of MLPs' outputs, which enter the network between the halves of a block or above it. Of neurons:
// activation_path_test.cpp.
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <tuple>

#include "attribution/methods/activation_path.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing::activation_path_sites {
namespace {

constexpr std::int64_t length = 6;
constexpr std::int64_t pairs = 3;

struct SitePaths {
  Site site;
  Transformer model;
  Prompts prompts;
  std::vector<at::Tensor> embeddings{model.embed(prompts.clean), model.embed(prompts.counterfactual)};
  BaseRuns runs;

  SitePaths(Kind kind, at::ScalarType type, Site where, std::int64_t shared)
      : site(where),
        model(tiny_model(kind, type)),
        prompts(tiny_prompts(pairs, length, stream_type(type), std::max<std::int64_t>(shared, 1))),
        runs(model, embeddings, shared, model.logit_directions(prompts.tokens), {site}, nullptr) {}

  /// base_group 0 stays clean (alpha 1), 1 stays counterfactual (alpha 0). some: as ActivationPath has it.
  [[nodiscard]] ActivationPath path(std::int64_t base_group, Rules rules = {}, std::int64_t rows = 512,
                                    const std::vector<std::int64_t>& some = {}) const {
    std::vector<at::Tensor> differences;
    for (std::int64_t layer = 0; layer < 3; ++layer) {
      at::Tensor difference =
          runs.values(site, 0, layer).to(model.score_type()) - runs.values(site, 1, layer).to(model.score_type());
      if (!some.empty()) difference = difference.index_select(0, at::tensor(some, at::kLong));
      differences.push_back(difference);
    }
    const double base_alpha = base_group == 0 ? 1 : 0;
    return {runs, base_group, base_alpha, site, {0, 3}, differences, rules, {rows}, nullptr, some};
  }
};

std::vector<PathPoint> points_of(const ActivationPath& path) {
  std::vector<PathPoint> points;
  for (const auto& [l, pair] : std::vector<std::pair<int, int>>{{2, 0}, {0, 1}, {1, 2}, {0, 0}, {2, 1}, {1, 0}}) {
    for (const double alpha : {0.0, 0.25, 1.0}) points.push_back({path.example(l, pair), alpha});
  }
  return points;
}

std::vector<PathSample> evaluated(const PathNetwork& path, const std::vector<PathPoint>& points) {
  std::vector<PathSample> samples(points.size());
  path.evaluate(points, [&](std::size_t index, const PathSample& sample) { samples[index] = sample; });
  return samples;
}

void expect_alike(const std::vector<PathSample>& a, const std::vector<PathSample>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].metric, b[i].metric) << i;
    EXPECT_EQ(a[i].slope, b[i].slope) << i;
    expect_same_bits(a[i].gradient.contiguous(), b[i].gradient.contiguous());
  }
}

class PathsOfSites : public ::testing::TestWithParam<std::tuple<Kind, Site, std::int64_t>> {
 protected:
  const Kind kind = std::get<0>(GetParam());
  const Site site = std::get<1>(GetParam());
  const std::int64_t shared = std::get<2>(GetParam());
};
INSTANTIATE_TEST_SUITE_P(
    ActivationPath, PathsOfSites,
    ::testing::Combine(::testing::Values(Kind::llama, Kind::gpt2, Kind::patchwork, Kind::gemma, Kind::olmo, Kind::neox),
                       ::testing::Values(Site::z, Site::mlp_written, Site::mlp_out), ::testing::Values(0, 2)));

TEST_P(PathsOfSites, SamplesAreThoseOfTheReference) {
  const SitePaths own(kind, at::kDouble, site, shared);
  const AutogradModel reference(own.model);
  const std::vector<Truth> ends = {reference.run(own.embeddings[0], own.prompts.tokens),
                                   reference.run(own.embeddings[1], own.prompts.tokens)};
  for (const auto& [base, rules] : {std::pair(0, Rules()), std::pair(1, Rules::all())}) {
    const ActivationPath path = own.path(base, rules);
    const std::vector<PathPoint> points = points_of(path);
    const std::vector<PathSample> samples = evaluated(path, points);
    const std::vector<double> metrics = path.metrics(points);
    for (std::size_t i = 0; i < points.size(); ++i) {
      const std::int64_t layer = points[i].example / pairs, pair = points[i].example % pairs;
      const auto l = static_cast<std::size_t>(layer);
      const auto end = [&](std::size_t group) { return ends[group].values.at(site)[l].narrow(0, pair, 1); };
      const at::Tensor moved = end(0) - end(1);
      const at::Tensor set = end(1) + points[i].alpha * moved;
      const Truth truth = reference.run_with(own.embeddings[static_cast<std::size_t>(base)].narrow(0, pair, 1),
                                             own.prompts.tokens.narrow(pair, 1), rules,
                                             [&](Site where, std::int64_t at, const at::Tensor& read) {
                                               return where == site && at == layer ? set : read;
                                             });
      EXPECT_NEAR(samples[i].metric, truth.metric.item<double>(), 1e-10);
      EXPECT_EQ(metrics[i], samples[i].metric);
      EXPECT_NEAR(samples[i].slope, (moved * truth.gradients.at(site)[l]).sum().item<double>(), 1e-9);
      const at::Tensor gradient = path.to_values(layer, samples[i].gradient);
      EXPECT_EQ(gradient.size(1), layer == 2 ? 1 : length - shared);
      expect_close(gradient, last_positions(truth.gradients.at(site), layer, gradient.size(1)));
    }
  }
}

TEST_P(PathsOfSites, NoBitDependsOnBatchesOrOnWhetherTheBaseRunIsKnown) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const SitePaths own(kind, type, site, shared);
    for (const std::int64_t base : {0, 1}) {
      ActivationPath path = own.path(base, Rules::all());
      const std::vector<PathPoint> points = points_of(path);
      const std::vector<PathSample> usual = evaluated(path, points);
      expect_alike(evaluated(own.path(base, Rules::all(), 1), points), usual);
      expect_alike(evaluated(own.path(base, Rules::all(), 17), points), usual);
      path.know_base(own.runs.gradients(base, Rules::all(), nullptr));
      expect_alike(evaluated(path, points), usual);
    }
  }
}

TEST_P(PathsOfSites, OfSomePairsAreThoseOfAll) {
  const SitePaths own(kind, at::kFloat, site, shared);
  const ActivationPath all = own.path(0), some = own.path(0, {}, 512, {2, 0});
  const std::vector<PathPoint> points{
      {all.example(0, 2), 0}, {all.example(0, 0), 0}, {all.example(2, 2), 0.5}, {all.example(1, 0), 0}};
  EXPECT_EQ(some.metrics(points), all.metrics(points));
}

}  // namespace
}  // namespace tributary::testing::activation_path_sites
