// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Every kind of score of heads, MLPs and embeddings against its definition written with the autograd reference, in
// float64: a node's score is the sum over its numbers. Neurons: attribute_truth_test.cpp.
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <tuple>

#include "attribution/methods/attribute.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/unit.h"

namespace tributary::testing::attribute_nodes {
namespace {

constexpr std::int64_t pairs = 3;
constexpr std::int64_t length = 5;

enum class Of { heads, mlps_added, mlps_written, embeddings };

NodeTable table_of(Of of) {
  switch (of) {
    case Of::heads:
      return tiny_table(NodeKind::heads);
    case Of::mlps_added:
      return tiny_table(NodeKind::mlps);
    case Of::mlps_written:
      return tiny_table(NodeKind::mlps, MlpSide::written);
    case Of::embeddings:
      return tiny_table(NodeKind::embeddings);
  }
  return {};
}

std::string name_of(Of of) {
  static const std::vector<std::string> names{"heads", "mlps_added", "mlps_written", "embeddings"};
  return names[static_cast<std::size_t>(of)];
}

/// Prompts that share some positions, run by the reference.
class NodeScores : public ::testing::TestWithParam<std::tuple<Kind, Of, std::int64_t>> {
 protected:
  NodeScores() { prompts.shared = std::get<2>(GetParam()); }

  [[nodiscard]] Truth run(const at::Tensor& e, Rules rules = {}, const AutogradModel::Do& change = {}) const {
    return reference.run_with(e, prompts.tokens, rules, change);
  }
  [[nodiscard]] UnitScores unit(const MethodRequest& request) const {
    Task one = task_of(request, table);
    one.options.mean = mean;
    return unit_of(model, with_gap(one, static_cast<std::size_t>(pairs)), prompts);
  }
  /// What is read of the nodes in a layer of a run, and the gradient there.
  [[nodiscard]] const at::Tensor& v(const Truth& truth, std::int64_t layer) const {
    return truth.values.at(table.site)[static_cast<std::size_t>(layer)];
  }
  [[nodiscard]] const at::Tensor& g(const Truth& truth, std::int64_t layer) const {
    return truth.gradients.at(table.site)[static_cast<std::size_t>(layer)];
  }
  /// Σ over each node's numbers [.., node] of [.., width].
  [[nodiscard]] at::Tensor by_node(const at::Tensor& numbers) const {
    return numbers.unflatten(-1, {table.nodes, table.dims}).sum(-1);
  }
  [[nodiscard]] at::Tensor baseline_of(Baseline baseline, std::int64_t layer) const {
    const at::Tensor& own = v(clean, layer);
    return baseline == Baseline::pair   ? v(patch, layer)
           : baseline == Baseline::zero ? at::zeros_like(own)
                                        : mean.at(table.site)[layer].expand_as(own);
  }
  /// m where a whole layer's values are set in the run of e.
  [[nodiscard]] at::Tensor metric_with(const at::Tensor& e, std::int64_t layer, const at::Tensor& set) const {
    return run(e, {}, set_to(layer, set)).metric;
  }
  [[nodiscard]] AutogradModel::Do set_to(std::int64_t layer, const at::Tensor& set) const {
    return [this, layer, set](Site site, std::int64_t at, const at::Tensor& own) {
      return site == table.site && at == layer ? set : own;
    };
  }

  const Transformer model = tiny_model(std::get<0>(GetParam()));
  const AutogradModel reference{model};
  const NodeTable table = table_of(std::get<1>(GetParam()));
  Prompts prompts = tiny_prompts(pairs, length, at::kDouble, std::max<std::int64_t>(std::get<2>(GetParam()), 1));
  const at::Tensor x = model.embed(prompts.clean), y = model.embed(prompts.counterfactual);
  const Truth clean = run(x), patch = run(y);
  const MeanState mean{{Site::embeddings, at::randn({1, length, 24}, at::kDouble)},
                       {Site::z, at::randn({3, length, 24}, at::kDouble)},
                       {Site::mlp_out, at::randn({3, length, 24}, at::kDouble)},
                       {Site::mlp_written, at::randn({3, length, 24}, at::kDouble)}};
};
INSTANTIATE_TEST_SUITE_P(
    Attribute, NodeScores,
    ::testing::Combine(::testing::Values(Kind::llama, Kind::gpt2, Kind::gemma, Kind::olmo, Kind::neox),
                       ::testing::Values(Of::heads, Of::mlps_added, Of::mlps_written, Of::embeddings),
                       ::testing::Values(0, 2)),
    [](const auto& one) {
      return testing::name_of(std::get<0>(one.param)) + "_" + name_of(std::get<1>(one.param)) + "_shared_" +
             std::to_string(std::get<2>(one.param));
    });

TEST_P(NodeScores, OfOnePointMethods) {
  const UnitScores relp = unit(request_of("relp"));
  const UnitScores gxa = unit(request_of("gradient-x-activation"));
  MethodRequest from_mean = request_of("atp");
  from_mean.baseline = Baseline::mean;
  MethodRequest denoise = request_of("atp");
  denoise.direction = Direction::denoise;
  const UnitScores averaged = unit(from_mean);
  const UnitScores denoised = unit(denoise);
  const Truth ruled = run(x, Rules::all());
  ASSERT_EQ(relp.scores.sizes(), (at::IntArrayRef{table.layers, length, table.nodes}));
  for (std::int64_t l = 0; l < table.layers; ++l) {
    const at::Tensor delta = v(clean, l) - v(patch, l);
    expect_close(relp.scores[l], by_node(delta * g(ruled, l)).sum(0));
    expect_close(gxa.scores[l], by_node(v(clean, l) * g(clean, l)).sum(0));
    const at::Tensor from = baseline_of(Baseline::mean, l);
    expect_close(averaged.scores[l], by_node((v(clean, l) - from) * g(clean, l)).sum(0));
    expect_close(denoised.scores[l], by_node(delta * g(patch, l)).sum(0));
    // The gap is the sum against the true effect of the layer.
    const at::Tensor effect = clean.metric - metric_with(x, l, v(patch, l));
    EXPECT_LE(largest(relp.gap.select(1, l) - ((delta * g(ruled, l)).sum({1, 2}) - effect)), 1e-9);
    const at::Tensor of_mean = clean.metric - metric_with(x, l, from.contiguous());
    EXPECT_LE(largest(averaged.gap.select(1, l) - (((v(clean, l) - from) * g(clean, l)).sum({1, 2}) - of_mean)), 1e-9);
    const at::Tensor other = metric_with(y, l, v(clean, l)) - patch.metric;
    EXPECT_LE(largest(denoised.gap.select(1, l) - ((delta * g(patch, l)).sum({1, 2}) - other)), 1e-9);
  }
  expect_close(relp.metric, at::stack({clean.metric, patch.metric}, 1));
}

TEST_P(NodeScores, OfMagnitudesAreNorms) {
  for (const Baseline baseline : {Baseline::pair, Baseline::zero, Baseline::mean}) {
    MethodRequest request = request_of("delta");
    request.baseline = baseline;
    const UnitScores found = unit(request);
    for (std::int64_t l = 0; l < table.layers; ++l) {
      const at::Tensor delta = v(clean, l) - baseline_of(baseline, l);
      expect_close(found.scores[l], by_node(delta.square()).sqrt().sum(0));
    }
    EXPECT_EQ(largest(found.evaluations), 0);
  }
}

TEST_P(NodeScores, OfIgActivations) {
  for (const Direction direction : {Direction::clean, Direction::denoise}) {
    for (const bool ruled : {false, true}) {
      MethodRequest request = request_of("ig-acts", Quadrature::midpoint, 3);
      request.direction = direction;
      request.rule_preset = ruled ? std::optional<std::string>("relp") : std::nullopt;
      const UnitScores found = unit(request);
      for (std::int64_t l = 0; l < table.layers; ++l) {
        const at::Tensor& base = direction == Direction::clean ? x : y;
        const at::Tensor start = v(patch, l), delta = v(clean, l) - start;
        at::Tensor expected = at::zeros_like(delta);
        for (const double alpha : {1.0 / 6, 0.5, 5.0 / 6}) {
          const Truth point = run(base, ruled ? Rules::all() : Rules(), set_to(l, start + alpha * delta));
          expected += delta * g(point, l) / 3;
        }
        expect_close(found.scores[l], by_node(expected).sum(0));
        const at::Tensor effect = direction == Direction::clean ? clean.metric - metric_with(x, l, start)
                                                                : metric_with(y, l, start + delta) - patch.metric;
        const at::Tensor& difference = ruled ? found.gap : found.residual;
        EXPECT_LE(largest(difference.select(1, l) - (expected.sum({1, 2}) - effect)), 1e-9);
        EXPECT_EQ(largest(found.evaluations - 3), 0);
      }
    }
  }
}

TEST_P(NodeScores, OfIgActivationsFromOtherBaselinesAndAtBothEnds) {
  for (const Baseline baseline : {Baseline::mean, Baseline::zero}) {
    const bool embeddings_from_zero = baseline == Baseline::zero && table.site == Site::embeddings;
    MethodRequest request = request_of("ig-acts", embeddings_from_zero ? Quadrature::right : Quadrature::trapezoid, 2);
    request.baseline = baseline;
    const UnitScores found = unit(request);
    for (std::int64_t l = 0; l < table.layers; ++l) {
      const at::Tensor start = baseline_of(baseline, l).contiguous(), delta = v(clean, l) - start;
      const auto at_point = [&](double alpha) { return g(run(x, {}, set_to(l, start + alpha * delta)), l); };
      const at::Tensor gradient =
          embeddings_from_zero ? (at_point(0.5) + g(clean, l)) / 2 : (at_point(0) + g(clean, l)) / 2;
      expect_close(found.scores[l], by_node(delta * gradient).sum(0));
      if (embeddings_from_zero) continue;  // norms break down there
      const at::Tensor effect = clean.metric - metric_with(x, l, start);
      EXPECT_LE(largest(found.residual.select(1, l) - ((delta * gradient).sum({1, 2}) - effect)), 1e-9);
    }
  }
}

TEST_P(NodeScores, OfTheEmbeddingPaths) {
  const UnitScores inputs = unit(request_of("ig-inputs", Quadrature::right, 3));
  std::vector<Truth> points;
  for (int j = 0; j <= 3; ++j) points.push_back(run(y + (x - y) * (j / 3.0)));
  at::Tensor by_token = at::zeros({pairs, length}, at::kDouble);
  for (std::size_t j = 1; j <= 3; ++j) by_token += ((x - y) * points[j].stream_gradients[0]).sum(-1) / 3;
  expect_close(inputs.inputs, by_token);
  EXPECT_LE(largest(inputs.residual.select(1, 0) - (by_token.sum(1) - (clean.metric - patch.metric))), 1e-9);
  for (const Quadrature rule : {Quadrature::trapezoid, Quadrature::left, Quadrature::right}) {
    const UnitScores conductance = unit(request_of("conductance", rule, 3));
    for (std::int64_t l = 0; l < table.layers; ++l) {
      at::Tensor mean_gradient = at::zeros_like(v(clean, l));
      at::Tensor integral = at::zeros_like(mean_gradient);
      for (std::size_t j = 1; j <= 3; ++j) {
        mean_gradient += g(points[j], l) / 3;
        const at::Tensor here = rule == Quadrature::left    ? g(points[j - 1], l)
                                : rule == Quadrature::right ? g(points[j], l)
                                                            : (g(points[j], l) + g(points[j - 1], l)) / 2;
        integral += here * (v(points[j], l) - v(points[j - 1], l));
      }
      expect_close(inputs.scores[l], by_node((v(clean, l) - v(patch, l)) * mean_gradient).sum(0));
      expect_close(conductance.scores[l], by_node(integral).sum(0));
    }
  }
}

TEST_P(NodeScores, OfConductanceInCaptumsForm) {
  const UnitScores found = unit(request_of("captum-conductance", Quadrature::midpoint, 2));
  std::vector<Truth> points;  // of the rule for one more
  for (const double alpha : {1.0 / 6, 0.5, 5.0 / 6}) points.push_back(run(y + (x - y) * alpha));
  for (std::int64_t l = 0; l < table.layers; ++l) {
    const at::Tensor integral =
        g(points[0], l) * (v(points[1], l) - v(points[0], l)) + g(points[1], l) * (v(points[2], l) - v(points[1], l));
    expect_close(found.scores[l], by_node(integral).sum(0));
  }
}

TEST_P(NodeScores, OfEmbeddingPathsFromOtherBaselines) {
  MethodRequest request = request_of("ig-inputs", Quadrature::right, 2);
  for (const Baseline baseline : {Baseline::mean, Baseline::zero}) {
    request.baseline = baseline;
    const UnitScores found = unit(request);
    const at::Tensor start =
        (baseline == Baseline::mean ? mean.at(Site::embeddings).expand_as(x) : at::zeros_like(x)).contiguous();
    const Truth half = run(start + 0.5 * (x - start));
    // The end point is v at the smallest alpha evaluated where alpha = 0 never is; that of the embeddings is known.
    const Truth first = baseline == Baseline::zero ? half : run(start);
    for (std::int64_t l = 0; l < table.layers; ++l) {
      const at::Tensor from = table.site == Site::embeddings ? start : v(first, l);
      expect_close(found.scores[l], by_node((v(clean, l) - from) * (g(half, l) + g(clean, l)) / 2).sum(0));
    }
  }
}

TEST_P(NodeScores, OfConductanceFromZeroBeginAtTheFirstPointAboveIt) {
  for (const Quadrature rule : {Quadrature::trapezoid, Quadrature::left, Quadrature::right}) {
    MethodRequest request = request_of("conductance", rule, 3);
    request.baseline = Baseline::zero;
    const UnitScores found = unit(request);
    const std::vector<Truth> points = {run(x / 3), run(x * 2 / 3), clean};
    for (std::int64_t l = 0; l < table.layers; ++l) {
      at::Tensor integral = at::zeros_like(v(clean, l));
      for (std::size_t j = 1; j < 3; ++j) {
        const at::Tensor here = rule == Quadrature::left    ? g(points[j - 1], l)
                                : rule == Quadrature::right ? g(points[j], l)
                                                            : (g(points[j], l) + g(points[j - 1], l)) / 2;
        integral += here * (v(points[j], l) - v(points[j - 1], l));
      }
      expect_close(found.scores[l], by_node(integral).sum(0));
    }
  }
}

TEST_P(NodeScores, OfConductanceFromZeroAreAuditedByIntervalsAboveTheFirst) {
  for (const ConductanceForm form : {ConductanceForm::standard, ConductanceForm::captum}) {
    const bool captum = form == ConductanceForm::captum;
    MethodRequest request = request_of("conductance", captum ? Quadrature::midpoint : Quadrature::trapezoid, 3);
    request.baseline = Baseline::zero;
    request.form = form;
    Task task = task_of(request, table);
    task.options.audit.assign(static_cast<std::size_t>(pairs), 1);
    const UnitScores found = unit_of(model, task, prompts);
    // Of each pair [pair, pos, node], from gradients and values at points of the path.
    const auto summed = [&](const std::vector<Truth>& points, std::int64_t l, bool left) {
      at::Tensor integral = at::zeros_like(v(clean, l));
      for (std::size_t j = 1; j < points.size(); ++j) {
        const at::Tensor slope = left ? g(points[j - 1], l) : (g(points[j], l) + g(points[j - 1], l)) / 2;
        integral += slope * (v(points[j], l) - v(points[j - 1], l));
      }
      return by_node(integral);
    };
    std::vector<Truth> own, fine;
    for (int j = 0; j < 4; ++j) {
      if (captum) own.push_back(run(x * ((j + 0.5) / 4)));
      if (!captum && j > 0) own.push_back(run(x * (j / 3.0)));
    }
    for (int j = 1; j <= 32; ++j) fine.push_back(run(x * (j / 32.0)));
    for (std::int64_t l = 0; l < table.layers; ++l) {
      const at::Tensor finer = summed(fine, l, false);
      const at::Tensor error = (summed(own, l, captum) - finer).abs().sum({1, 2}) / finer.abs().sum({1, 2});
      EXPECT_LE(largest(found.audit.select(1, l) - error), 1e-9) << l;
    }
  }
}

TEST_P(NodeScores, OfAggregates) {
  MethodRequest request = request_of("atp");
  request.aggregate = Aggregate::mean_abs;
  const UnitScores kept = unit(request);
  request.positions = Positions::sum;
  const UnitScores summed = unit(request);
  for (std::int64_t l = 0; l < table.layers; ++l) {
    const at::Tensor scores = by_node((v(clean, l) - v(patch, l)) * g(clean, l));
    expect_close(kept.scores[l], scores.abs().sum(0));  // of a node, not of its numbers
    expect_close(summed.scores[l], scores.sum(1, true).abs().sum(0));
  }
}

TEST_P(NodeScores, OfExactPatchingAreOneForwardPassEach) {
  for (const Direction direction : {Direction::clean, Direction::denoise}) {
    for (const Positions positions : {Positions::keep, Positions::sum}) {
      MethodRequest request = request_of("exact-patching");
      request.direction = direction;
      request.positions = positions;
      Task task = task_of(request, table);
      const std::int64_t kept = positions == Positions::keep ? length : 1;
      const std::int64_t all = table.layers * kept * table.nodes;
      task.options.sample = sample_nodes(table, kept, std::min<std::int64_t>(all, 15), 3, positions);
      const UnitScores found = unit_of(model, task, prompts);
      const Truth& base = direction == Direction::clean ? clean : patch;
      const Truth& from = direction == Direction::clean ? patch : clean;
      for (const Node& node : task.options.sample) {
        at::Tensor set = v(base, node.layer).clone();
        for (std::int64_t t = 0; t < length; ++t) {
          if (node.position >= 0 && node.position != t) continue;
          set.select(1, t)
              .narrow(1, node.index * table.dims, table.dims)
              .copy_(v(from, node.layer).select(1, t).narrow(1, node.index * table.dims, table.dims));
        }
        const at::Tensor moved = metric_with(direction == Direction::clean ? x : y, node.layer, set);
        const double effect =
            (direction == Direction::clean ? base.metric - moved : moved - base.metric).sum().item<double>();
        EXPECT_NEAR(found.scores[node.layer][std::max<std::int64_t>(node.position, 0)][node.index].item<double>(),
                    effect, 1e-10)
            << text_of(node);
      }
    }
  }
}

}  // namespace
}  // namespace tributary::testing::attribute_nodes
