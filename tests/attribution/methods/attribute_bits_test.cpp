// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// No bit of a unit's scores and tables depends on what else is computed with it: other tasks, other pairs, other
// layers, batches, or positions computed once.
#include <ATen/Context.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include "attribution/methods/attribute.h"
#include "attribution/methods/detail/pair_tree.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/unit.h"

namespace tributary::testing::attribute_bits {
namespace {

constexpr std::int64_t length = 5;

void expect_same_table(const at::Tensor& a, const at::Tensor& b, const std::string& name) {
  SCOPED_TRACE(name);
  ASSERT_EQ(a.defined(), b.defined());
  if (!a.defined()) return;
  expect_same_bits(a.nan_to_num(-7.25), b.nan_to_num(-7.25));
  expect_same_bits(a.signbit(), b.signbit());  // no -0 for 0
}

/// The tables of pairs [first, first + count) of a unit `all` of more pairs; scores only where they are the same pairs.
void expect_same_unit(const UnitScores& some, const UnitScores& all, std::int64_t first, std::int64_t count) {
  const auto part = [&](const at::Tensor& t) { return t.defined() ? t.narrow(0, first, count) : t; };
  if (all.metric.size(0) == count) expect_same_table(some.scores, all.scores, "scores");
  expect_same_table(some.residual, part(all.residual), "residual");
  expect_same_table(some.gap, part(all.gap), "gap");
  expect_same_table(some.evaluations, part(all.evaluations), "evaluations");
  expect_same_table(some.converged, part(all.converged), "converged");
  expect_same_table(some.audit, part(all.audit), "audit");
  expect_same_table(some.metric, part(all.metric), "metric");
  expect_same_table(some.inputs, part(all.inputs), "inputs");
  expect_same_table(some.kept, part(all.kept), "kept");
  expect_same_table(some.sampled, part(all.sampled), "sampled");
}
void expect_same_unit(const UnitScores& a, const UnitScores& b) { expect_same_unit(a, b, 0, b.metric.size(0)); }

/// Tasks of every path, direction, baseline and quadrature.
std::vector<Task> many_tasks(std::int64_t pairs) {
  std::vector<MethodRequest> requests;
  for (const std::string name : {"atp", "relp", "exact-patching", "delta", "random"}) {
    requests.push_back(request_of(name));
  }
  requests.push_back(request_of("ig-acts", Quadrature::gauss_legendre, 3));
  requests.push_back(request_of("ig-acts", Quadrature::right, 3));
  requests.push_back(request_of("ig-acts", Quadrature::adaptive, std::nullopt));
  requests.push_back(request_of("ig-inputs", Quadrature::right, 4));
  requests.push_back(request_of("ig-inputs", Quadrature::gauss_legendre, 5));
  requests.push_back(request_of("input-ig", Quadrature::left, 2));
  requests.push_back(request_of("conductance", Quadrature::trapezoid, 4));
  requests.push_back(request_of("conductance", Quadrature::adaptive, std::nullopt));
  for (const std::string name : {"atp", "exact-patching"}) {  // the others' twins: another direction
    requests.push_back(request_of(name));
    requests.back().direction = Direction::denoise;
  }
  requests.push_back(request_of("ig-acts", Quadrature::gauss_legendre, 3));
  requests.back().direction = Direction::denoise;
  requests.push_back(request_of("ig-inputs", Quadrature::right, 4));
  requests.back().rule_preset = "relp";
  for (const std::string name : {"relp", "exact-patching", "ig-acts", "conductance"}) {
    requests.push_back(request_of(name));
    requests.back().positions = Positions::sum;
    if (name == "relp") requests.back().aggregate = Aggregate::mean_abs;
    if (name == "relp" || name == "exact-patching") continue;
    requests.back().quadrature = Quadrature::trapezoid;
    requests.back().steps = 2;
  }
  std::vector<Task> tasks;
  for (MethodRequest& request : requests) {
    request.max_points = 17;
    Task task = task_of(request);
    task.options.sample = {{0, 1, 2}, {0, 2, 3}, {2, 4, 4}};
    task.options.sampled = {{0, 0, 5}, {1, 4, 3}, {2, 4, 4}};
    if (request.positions == Positions::sum) {
      for (Node& neuron : task.options.sample) neuron.position = -1;
      for (Node& neuron : task.options.sampled) neuron.position = -1;
    }
    if (tasks.size() % 3 != 0) task.options.keep = {tasks.size() % 3 == 1 ? Keep::What::all : Keep::What::largest, 9};
    task.options.seed = 5;
    const bool audited = task.method.quadrature.has_value();
    if (audited) task.options.audit.assign(static_cast<std::size_t>(pairs), 1);
    task.options.gap.assign(static_cast<std::size_t>(pairs), 1);
    tasks.push_back(task);
  }
  return tasks;
}

/// The same with baselines that allow no sharing of positions.
std::vector<Task> other_baselines() {
  std::vector<Task> tasks;
  at::manual_seed(12);
  for (int draw = 0; draw < 2; ++draw) {  // two tasks may have different means
    const MeanState mean = neuron_means(at::randn({length, 24}, at::kDouble), at::randn({3, length, 20}, at::kDouble));
    for (const std::string name : {"atp", "ig-acts", "ig-inputs", "delta"}) {
      for (const Baseline baseline : {Baseline::mean, Baseline::zero}) {
        MethodRequest request = request_of(name);
        request.baseline = baseline;
        if (name.starts_with("ig")) {
          request.quadrature = Quadrature::right;
          request.steps = 2;
        }
        tasks.push_back(task_of(request));
        tasks.back().options.mean = mean;
      }
    }
  }
  return tasks;
}

class UnitBits : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  const Transformer model = tiny_model(Kind::llama, GetParam());
  [[nodiscard]] Prompts prompts(std::int64_t pairs, std::int64_t differing = 1) const {
    return tiny_prompts(pairs, length, stream_type(GetParam()), differing);
  }
  [[nodiscard]] UnitScores alone(const Task& task, const Prompts& p, const Batching& batching = {}) const {
    return unit_of(model, task, p, batching);
  }
};
INSTANTIATE_TEST_SUITE_P(Attribute, UnitBits, ::testing::Values(at::kFloat, at::kBFloat16, at::kDouble),
                         [](const auto& one) { return std::string(c10::toString(one.param)); });

/// Each task's part of a unit of all against the same task alone.
void expect_same_as_alone(const Transformer& model, const std::vector<Task>& tasks, const Prompts& p) {
  const UnitOutcome together = attribute({&model, &model}, tasks, p, {});
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    SCOPED_TRACE(tasks[i].method.name + " " + name_of(tasks[i].method.direction) + " " +
                 name_of(tasks[i].method.baseline) + " as task " + std::to_string(i));
    expect_same_unit(together.scores[i], unit_of(model, tasks[i], p));
  }
}

TEST_P(UnitBits, DoNotDependOnOtherTasks) {
  Prompts p = prompts(3, 2);
  expect_same_as_alone(model, many_tasks(3), p);
  p.shared = 2;
  expect_same_as_alone(model, many_tasks(3), p);
}

TEST_P(UnitBits, DoNotDependOnTasksWithOtherBaselines) {
  std::vector<Task> tasks = many_tasks(3);
  for (const Task& task : other_baselines()) tasks.push_back(task);
  Prompts p = prompts(3, 2);
  expect_same_as_alone(model, tasks, p);
  p.shared = 2;  // which the other baselines cannot make use of
  expect_same_as_alone(model, tasks, p);
}

TEST_P(UnitBits, DoNotDependOnSharedPositions) {
  for (const std::int64_t shared : {1, 3, 4}) {
    const Prompts whole = prompts(3, shared);
    Prompts trimmed = whole;
    trimmed.shared = shared;
    for (const Task& task : many_tasks(3)) {
      SCOPED_TRACE(task.method.name + " shared " + std::to_string(shared));
      expect_same_unit(alone(task, trimmed), alone(task, whole));
    }
  }
}

TEST_P(UnitBits, OfLongPromptsDoNotDependOnSharedPositions) {
  constexpr std::int64_t many = 300;
  const Transformer long_model = tiny_model(Kind::llama, GetParam(), many);
  for (const std::int64_t shared : {40, 299}) {
    const Prompts whole = tiny_prompts(2, many, stream_type(GetParam()), shared);
    Prompts trimmed = whole;
    trimmed.shared = shared;
    for (Task& task : many_tasks(2)) {
      if (task.method.quadrature == Quadrature::adaptive || task.method.steps > 3) continue;  // as they are, slower
      task.options.audit.clear();
      SCOPED_TRACE(task.method.name + " shared " + std::to_string(shared));
      expect_same_unit(unit_of(long_model, task, trimmed), unit_of(long_model, task, whole));
    }
  }
}

TEST_P(UnitBits, DoNotDependOnRowsPerBatch) {
  const Prompts p = prompts(5);
  for (const Task& task : many_tasks(5)) {
    const UnitScores usual = alone(task, p);
    for (const std::int64_t rows : {1, 20, 33}) {
      SCOPED_TRACE(task.method.name + " rows " + std::to_string(rows));
      expect_same_unit(alone(task, p, {rows}), usual);
    }
  }
}

TEST_P(UnitBits, OfUnitsAreNodesOfThePairTree) {
  const Prompts p = prompts(11);
  for (const Task& task : many_tasks(11)) {
    SCOPED_TRACE(task.method.name);
    const UnitScores all = alone(task, p);
    for (const std::int64_t size : {1, 2, 4, 8}) {
      detail::PairTree tree;
      for (std::int64_t first = 0; first < 11; first += size) {
        const std::int64_t count = std::min<std::int64_t>(size, 11 - first);
        Task part = task;
        if (!part.options.audit.empty()) part.options.audit.resize(static_cast<std::size_t>(count));
        part.options.gap.resize(static_cast<std::size_t>(count));
        const UnitScores unit = alone(part, p.narrow(first, count));
        expect_same_unit(unit, all, first, count);
        tree.add(unit.scores.clone());
      }
      expect_same_table(tree.sum(), all.scores, "scores of units of " + std::to_string(size));
    }
  }
}

TEST_P(UnitBits, OfSomeLayersAreThoseOfAll) {
  const Prompts p = prompts(3);
  for (Task task : many_tasks(3)) {
    if (task.method.score == ScoreKind::input || task.method.quadrature == Quadrature::adaptive) continue;
    SCOPED_TRACE(task.method.name);
    const UnitScores all = alone(task, p);
    for (const LayerRange layers : {LayerRange{0, 1}, LayerRange{1, 3}, LayerRange{2, 3}}) {
      task.options.layers = layers;
      const UnitScores some = alone(task, p);
      expect_same_table(some.scores, all.scores.narrow(0, layers.first, layers.count()), "scores");
      for (auto member : {&UnitScores::residual, &UnitScores::gap}) {
        if (!(all.*member).defined() || (all.*member).size(1) == 1) continue;
        expect_same_table(some.*member, (all.*member).narrow(1, layers.first, layers.count()), "differences");
      }
    }
  }
}

}  // namespace
}  // namespace tributary::testing::attribute_bits
