// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// No bit of a kind's scores depends on what else is computed with it: other kinds, other pairs, other layers, batches,
// or positions computed once. Of neurons alone: attribute_bits_test.cpp.
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <string>
#include <tuple>

#include "attribution/methods/attribute.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/unit.h"

namespace tributary::testing::attribute_nodes_bits {
namespace {

constexpr std::int64_t length = 5;
constexpr std::int64_t pairs = 3;

std::vector<NodeTable> all_tables() {
  return {tiny_table(NodeKind::heads), tiny_table(NodeKind::mlps), tiny_table(NodeKind::mlps, MlpSide::written),
          tiny_table(NodeKind::embeddings), tiny_table()};
}

std::string name_of_table(const NodeTable& table) {
  return tributary::name_of(table.kind) + (table.site == Site::mlp_written ? " written" : "");
}

/// Methods of every path and direction, of one kind of nodes.
std::vector<Task> tasks_of_kind(const NodeTable& table, std::int64_t count) {
  std::vector<MethodRequest> requests{request_of("atp"),
                                      request_of("relp"),
                                      request_of("delta"),
                                      request_of("random"),
                                      request_of("exact-patching"),
                                      request_of("ig-acts", Quadrature::gauss_legendre, 2),
                                      request_of("ig-acts", Quadrature::trapezoid, 3),
                                      request_of("ig-acts", Quadrature::adaptive, std::nullopt),
                                      request_of("ig-inputs", Quadrature::right, 3),
                                      request_of("ig-inputs", Quadrature::adaptive, std::nullopt),
                                      request_of("conductance", Quadrature::trapezoid, 3),
                                      request_of("conductance", Quadrature::adaptive, std::nullopt),
                                      request_of("atp"),
                                      request_of("ig-acts", Quadrature::trapezoid, 3),
                                      request_of("exact-patching"),
                                      request_of("relp")};
  for (const std::size_t denoised : {12, 13, 14}) requests[denoised].direction = Direction::denoise;
  requests[8].rule_preset = "relp";
  requests[15].positions = Positions::sum;
  std::vector<Task> tasks;
  for (MethodRequest& request : requests) {
    request.max_points = 9;
    Task task = task_of(request, table);
    const std::int64_t last = table.layers - 1;
    task.options.sample = {{0, 1, table.nodes - 1, table.kind}, {last, 3, 0, table.kind}, {last, 4, 0, table.kind}};
    task.options.sampled = {{0, 2, 0, table.kind}, {last, 4, table.nodes - 1, table.kind}};
    if (request.positions == Positions::sum) {
      for (Node& node : task.options.sampled) node.position = -1;
    }
    task.options.keep = {tasks.size() % 2 == 0 ? Keep::What::all : Keep::What::largest, 3};
    task.options.spread = tasks.size() % 3 == 0 ? TaskOptions::Spread::measure : TaskOptions::Spread::skip;
    task.options.seed = 5;
    if (task.method.quadrature.has_value()) task.options.audit.assign(static_cast<std::size_t>(count), 1);
    task.options.gap.assign(static_cast<std::size_t>(count), 1);
    tasks.push_back(task);
  }
  return tasks;
}

void expect_same_table(const at::Tensor& a, const at::Tensor& b, const std::string& name) {
  SCOPED_TRACE(name);
  ASSERT_EQ(a.defined(), b.defined());
  if (a.defined()) expect_same_bits(a.nan_to_num(-7.25), b.nan_to_num(-7.25));
}

void expect_same_unit(const UnitScores& a, const UnitScores& b) {
  expect_same_table(a.scores, b.scores, "scores");
  expect_same_table(a.squares, b.squares, "squares");
  expect_same_table(a.signs, b.signs, "signs");
  expect_same_table(a.residual, b.residual, "residual");
  expect_same_table(a.gap, b.gap, "gap");
  expect_same_table(a.evaluations, b.evaluations, "evaluations");
  expect_same_table(a.converged, b.converged, "converged");
  expect_same_table(a.audit, b.audit, "audit");
  expect_same_table(a.metric, b.metric, "metric");
  expect_same_table(a.inputs, b.inputs, "inputs");
  expect_same_table(a.kept, b.kept, "kept");
  expect_same_table(a.sampled, b.sampled, "sampled");
}

class NodeBits : public ::testing::TestWithParam<std::tuple<Kind, at::ScalarType>> {
 protected:
  const at::ScalarType type = std::get<1>(GetParam());
  const Transformer model = tiny_model(std::get<0>(GetParam()), type);
  [[nodiscard]] Prompts prompts(std::int64_t count, std::int64_t shared = 0) const {
    Prompts p = tiny_prompts(count, length, stream_type(type), std::max<std::int64_t>(shared, 1));
    p.shared = shared;
    return p;
  }
};
INSTANTIATE_TEST_SUITE_P(Attribute, NodeBits,
                         ::testing::Values(std::tuple(Kind::llama, at::kBFloat16), std::tuple(Kind::gemma, at::kFloat),
                                           std::tuple(Kind::olmo, at::kBFloat16), std::tuple(Kind::neox, at::kFloat)),
                         [](const auto& one) {
                           return name_of(std::get<0>(one.param)) + "_" + c10::toString(std::get<1>(one.param));
                         });

TEST_P(NodeBits, DoNotDependOnTheCompanyOfOtherKinds) {
  std::vector<Task> tasks;
  for (const NodeTable& table : all_tables()) {
    for (const Task& task : tasks_of_kind(table, pairs)) tasks.push_back(task);
  }
  for (const std::int64_t shared : {0, 2}) {
    const Prompts p = prompts(pairs, shared);
    const UnitOutcome together = attribute({&model, &model}, tasks, p, {});
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      SCOPED_TRACE(name_of_table(tasks[i].options.nodes) + " " + tasks[i].method.name + ", task " + std::to_string(i));
      expect_same_unit(together.scores[i], unit_of(model, tasks[i], p));
    }
  }
}

TEST_P(NodeBits, DoNotDependOnSharedPositionsOrRowsOfACall) {
  for (const NodeTable& table : all_tables()) {
    if (table.site == Site::neurons) continue;
    for (const Task& task : tasks_of_kind(table, pairs)) {
      SCOPED_TRACE(name_of_table(table) + " " + task.method.name);
      Prompts whole = prompts(pairs, 3);
      const UnitScores trimmed = unit_of(model, task, whole);
      expect_same_unit(unit_of(model, task, whole, {1}), trimmed);
      expect_same_unit(unit_of(model, task, whole, {14}), trimmed);
      whole.shared = 0;
      expect_same_unit(unit_of(model, task, whole), trimmed);
    }
  }
}

TEST_P(NodeBits, OfSomeLayersAreThoseOfAll) {
  const Prompts p = prompts(pairs);
  for (const NodeTable& table : all_tables()) {
    if (table.site == Site::embeddings) continue;
    for (Task task : tasks_of_kind(table, pairs)) {
      if (task.method.quadrature == Quadrature::adaptive) continue;  // its calls may be others
      SCOPED_TRACE(name_of_table(table) + " " + task.method.name);
      const UnitScores all = unit_of(model, task, p);
      for (const LayerRange layers : {LayerRange{0, 1}, LayerRange{1, 3}, LayerRange{2, 3}}) {
        task.options.layers = layers;
        const UnitScores some = unit_of(model, task, p);
        expect_same_table(some.scores, all.scores.narrow(0, layers.first, layers.count()), "scores");
      }
    }
  }
}

/// A unit of upper layers has no embeddings: their task computes nothing, and the others what they always do.
TEST_P(NodeBits, OfUnitsWithoutTheFirstLayerHaveNoEmbeddings) {
  const Prompts p = prompts(pairs, 2);
  std::vector<Task> upper, lower;
  for (const NodeTable& table : {tiny_table(NodeKind::embeddings), tiny_table(NodeKind::heads)}) {
    for (Task task : tasks_of_kind(table, pairs)) {
      task.options.layers = table.within({1, 3});
      upper.push_back(task);
      task.options.layers = table.within({0, 1});
      lower.push_back(task);
    }
  }
  const UnitOutcome above = attribute({&model, &model}, upper, p, {});
  const UnitOutcome below = attribute({&model, &model}, lower, p, {});
  for (std::size_t i = 0; i < upper.size(); ++i) {
    SCOPED_TRACE(tributary::name_of(upper[i].options.nodes.kind) + " " + upper[i].method.name);
    if (upper[i].options.nodes.site != Site::embeddings) {
      expect_same_unit(above.scores[i], unit_of(model, upper[i], p));
      continue;
    }
    EXPECT_EQ(above.scores[i].scores.numel(), 0);
    EXPECT_FALSE(above.scores[i].residual.defined() || above.scores[i].gap.defined());
    EXPECT_FALSE(above.scores[i].faults.defined());
    EXPECT_EQ(above.scores[i].metric.size(0), pairs);
    // And with the first layer they are all there, whatever the unit's other layers are.
    Task whole = upper[i];
    whole.options.layers = {0, 1};
    expect_same_unit(below.scores[i], unit_of(model, whole, p));
    EXPECT_EQ(below.scores[i].scores.dim(), 3);
  }
}

}  // namespace
}  // namespace tributary::testing::attribute_nodes_bits
