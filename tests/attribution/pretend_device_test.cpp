// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Placement is proved without a card: the whole of attribution and circuits on the pretend accelerator.
#include "tests/attribution/pretend_device.h"
#include "attribution/model/detail/slots.h"

#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <gtest/gtest.h>
#include <algorithm>

#include "attribution/circuit/ablation.h"
#include "attribution/circuit/node_effects.h"
#include "attribution/methods/attribute.h"
#include "attribution/model/detail/slots.h"
#include "tests/attribution/tiny_model.h"

C10_REGISTER_GUARD_IMPL(PrivateUse1, tributary::testing::pretend::Guard)

namespace tributary::testing {
namespace {

using namespace pretend;

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", &pretend::empty);
  m.impl("empty_strided", &pretend::empty_strided);
  m.impl("as_strided", [](const at::Tensor& t, c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
                          std::optional<c10::SymInt> offset) {
    return at::native::as_strided_tensorimpl(t, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
                                             offset ? std::optional(offset->expect_int()) : std::nullopt);
  });
  m.impl("view", [](const at::Tensor& t, c10::SymIntArrayRef size) {
    return at::native::view(t, C10_AS_INTARRAYREF_SLOW(size));
  });
  m.impl("_reshape_alias", [](const at::Tensor& t, c10::SymIntArrayRef size, c10::SymIntArrayRef stride) {
    return at::native::_reshape_alias(t, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride));
  });
  m.impl("unfold", [](const at::Tensor& t, std::int64_t dimension, std::int64_t size, std::int64_t step) {
    return at::native::unfold(t, dimension, size, step);
  });
  m.impl("resize_", &pretend::resize);
  m.impl("_copy_from", &pretend::copy_from);
  m.impl("_copy_from_and_resize", &pretend::copy_from_and_resize);
  m.impl("_local_scalar_dense", &pretend::item);
}

/// A member or any other tensor moved over; undefined ones stay so.
at::Tensor moved(const at::Tensor& t) { return t.defined() ? t.to(device) : t; }

Transformer on_device(Kind kind, std::int64_t layers) {
  Architecture a = tiny_architecture(kind, static_cast<std::size_t>(layers));
  Weights w = tiny_weights(a, at::kFloat);
  for (const auto& member : detail::model_members()) w.*member.tensor = moved(w.*member.tensor);
  for (LayerWeights& l : w.layers) {
    for (const auto& member : detail::layer_members()) l.*member.tensor = moved(l.*member.tensor);
  }
  return {std::move(a), std::move(w)};
}

Transformer on_cpu(Kind kind, std::int64_t layers) {
  Architecture a = tiny_architecture(kind, static_cast<std::size_t>(layers));
  Weights w = tiny_weights(a, at::kFloat);
  return {std::move(a), std::move(w)};
}

Prompts prompts_on(const c10::Device& where, std::int64_t pairs) {
  Prompts p = tiny_prompts(pairs, 5, at::kFloat);
  p.shared = 1;  // the first position is the same in both
  p.clean = p.clean.to(where);
  p.counterfactual = p.counterfactual.to(where);
  p.tokens = {p.tokens.tokens.to(where), p.tokens.coefficients.to(where)};
  return p;
}

std::vector<Task> tasks_of(const std::vector<std::string>& methods, std::int64_t layers) {
  std::vector<Task> tasks;
  for (const std::string& name : methods) {
    MethodRequest request;
    request.method = name;
    Task task{resolve_method(request), {}};
    task.options.nodes = tiny_table();
    task.options.layers = {0, layers};
    tasks.push_back(std::move(task));
  }
  return tasks;
}

const std::vector<std::string> all_methods = {"ig-acts", "ig-inputs", "conductance", "input-ig",         "atp",
                                              "relp",    "delta",     "random",      "transluce-ig-acts"};

class PretendDevice : public ::testing::TestWithParam<Kind> {};

TEST_P(PretendDevice, RefusesTensorsOfTheHost) {
  const at::Tensor here = at::ones({2, 3}, at::TensorOptions().device(device));
  EXPECT_THROW(here + at::ones({2, 3}), std::exception);
  EXPECT_THROW(at::index_select(here, 0, at::zeros({1}, at::kLong)), std::exception);
  EXPECT_NO_THROW(here + 1);
}

TEST_P(PretendDevice, EveryMethodGivesTheScoresOfTheCpu) {
  const Transformer far = on_device(GetParam(), 3);
  const Transformer near = on_cpu(GetParam(), 3);
  const std::vector<Task> tasks = tasks_of(all_methods, 3);
  const UnitOutcome there = attribute({&far, &far}, tasks, prompts_on(device, 3), {});
  const UnitOutcome here = attribute({&near, &near}, tasks, prompts_on(at::kCPU, 3), {});
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    ASSERT_TRUE(there.scores[i].scores.is_cpu());
    EXPECT_TRUE(at::allclose(there.scores[i].scores, here.scores[i].scores, 1e-3, 1e-5)) << all_methods[i];
  }
}

TEST_P(PretendDevice, ExactPatchingAndCircuitsRunThere) {
  const Transformer far = on_device(GetParam(), 3);
  const Transformer near = on_cpu(GetParam(), 3);
  std::vector<Task> tasks = tasks_of({"exact-patching"}, 3);
  tasks[0].options.sample = sample_nodes(tiny_table(), 5, 12, 0, Positions::keep);
  const UnitOutcome there = attribute({&far, &far}, tasks, prompts_on(device, 2), {});
  const UnitOutcome here = attribute({&near, &near}, tasks, prompts_on(at::kCPU, 2), {});
  EXPECT_TRUE(at::allclose(there.scores[0].scores, here.scores[0].scores, 1e-3, 1e-5, /*equal_nan=*/true));

  CurveInputs inputs;
  inputs.layout = NodeLayout({tiny_table()}, 5, Positions::keep);
  inputs.places = {at::arange(3 * 5 * 20, at::kInt)};
  inputs.mean = {{Site::neurons, at::full({3, 5, 20}, 0.1, at::kFloat)}};
  inputs.points = {{0, 10, CircuitPoint::Side::circuit}, {0, 250, CircuitPoint::Side::complement}};
  const CurveUnit curve = evaluate_circuits(near, prompts_on(at::kCPU, 2), inputs, {});
  inputs.places = {inputs.places[0].to(device)};
  for (auto& [site, mean] : inputs.mean) mean = mean.to(device);
  const CurveUnit over = evaluate_circuits(far, prompts_on(device, 2), inputs, {});
  EXPECT_TRUE(at::allclose(over.points, curve.points, 1e-3, 1e-4));
}

TEST_P(PretendDevice, NodesOfEveryKindComputeOnTheDevice) {
  const Transformer near = on_cpu(GetParam(), 3);
  const Transformer far = on_device(GetParam(), 3);
  for (const MlpSide side : {MlpSide::added, MlpSide::written}) {
    const std::vector<NodeTable> tables{tiny_table(NodeKind::heads), tiny_table(NodeKind::mlps, side),
                                        tiny_table(NodeKind::embeddings)};
    std::vector<Task> tasks;
    for (const NodeTable& table : tables) {
      for (Task task : tasks_of({"ig-acts", "ig-inputs", "conductance", "atp", "relp", "delta", "random"}, 3)) {
        task.options.nodes = table;
        task.options.layers = {0, table.layers};
        tasks.push_back(task);
      }
      MethodRequest patching;
      patching.method = "exact-patching";
      Task task{resolve_method(patching), {}};
      task.options.nodes = table;
      task.options.layers = {0, table.layers};
      task.options.sample = sample_nodes(table, 5, table.layers * 2, 0, Positions::keep);
      tasks.push_back(task);
    }
    const UnitOutcome there = attribute({&far, &far}, tasks, prompts_on(device, 2), {});
    const UnitOutcome here = attribute({&near, &near}, tasks, prompts_on(at::kCPU, 2), {});
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const at::Tensor& expected = here.scores[i].scores;
      // Exact effects are differences of metrics, which float32 rounds at 1e-6, however small they are.
      const double largest = expected.nan_to_num().abs().max().item<double>();
      EXPECT_TRUE(at::allclose(there.scores[i].scores, expected, 1e-3, std::max(1e-4 * largest, 1e-5),
                               /*equal_nan=*/true))
          << tasks[i].method.name << " " << tributary::name_of(tasks[i].options.nodes.kind);
    }

    CurveInputs inputs;
    inputs.layout = NodeLayout(tables, 5, Positions::keep);
    inputs.places = {at::arange(inputs.layout.nodes(), at::kInt)};
    inputs.points = {{0, 10, CircuitPoint::Side::circuit}, {0, 50, CircuitPoint::Side::complement}};
    inputs.mean = sum_activations(near, prompts_on(at::kCPU, 2).clean, tables, {});
    const CurveUnit curve = evaluate_circuits(near, prompts_on(at::kCPU, 2), inputs, {});
    inputs.places = {inputs.places[0].to(device)};
    inputs.mean = sum_activations(far, prompts_on(device, 2).clean, tables, {});
    const CurveUnit over = evaluate_circuits(far, prompts_on(device, 2), inputs, {});
    EXPECT_TRUE(at::allclose(over.points, curve.points, 1e-3, 1e-4));

    const ListedNodes listed{tables,
                             {{1, 2, 3, NodeKind::heads}, {2, -1, 0, NodeKind::mlps}, {0, 4, 0, NodeKind::embeddings}}};
    const NodeValues value = node_values(near, prompts_on(at::kCPU, 2), listed, {});
    const NodeValues value_there = node_values(far, prompts_on(device, 2), listed, {});
    EXPECT_TRUE(at::allclose(value_there.clean, value.clean, 1e-3, 1e-4));
    EXPECT_TRUE(at::allclose(value_there.moved, value.moved, 1e-3, 1e-4));
    const auto* first = value.moved.const_data_ptr<double>();
    const std::vector<double> moved(first, first + value.moved.numel());
    EXPECT_TRUE(at::allclose(direct_effects(far, listed, moved, 5).promoted_logit,
                             direct_effects(near, listed, moved, 5).promoted_logit, 1e-3, 1e-4));
  }
}

struct Counted {
  Counts counts;
  int calls = 0;  //!< network calls of loops
};

/// Copies, items and network calls of one unit.
Counted counted(Kind kind, const Task& task, std::int64_t layers, std::int64_t pairs, std::int64_t rows) {
  const Transformer far = on_device(kind, layers);
  const Prompts prompts = prompts_on(device, pairs);
  Counted found;
  UnitOptions options;
  options.batching = {rows, [&found] { ++found.calls; }};
  counts = {};
  attribute({&far, &far}, {task}, prompts, options);
  found.counts = counts;
  return found;
}

TEST_P(PretendDevice, NothingIsCopiedOrReadInTheInnerLoops) {
  for (const std::string method : {"atp", "relp", "ig-inputs", "transluce-ig-acts", "conductance"}) {
    const Counted small = counted(GetParam(), tasks_of({method}, 2)[0], 2, 1, 1 << 16);
    // As many network calls, more of everything inside.
    const Counted large = counted(GetParam(), tasks_of({method}, 6)[0], 6, 4, 1 << 16);
    EXPECT_EQ(large.calls, small.calls) << method;
    EXPECT_EQ(large.counts.copies, small.counts.copies) << method;
    EXPECT_EQ(large.counts.items, 0) << method;
    EXPECT_GT(small.counts.copies, 0) << method;  // the results at least: the counter counts
  }
}

TEST_P(PretendDevice, ANetworkCallCopiesItsPointsThereAndItsNumbersBack) {
  constexpr std::int64_t layers = 3, one_sequence = 5;  // rows: each point is a call of its own
  for (const std::string method : {"ig-inputs", "input-ig", "conductance", "ig-acts"}) {
    MethodRequest request;
    request.method = method;
    const bool intervals = method == "conductance";
    request.quadrature = intervals ? Quadrature::trapezoid : Quadrature::midpoint;
    const auto with = [&](int steps) {
      request.steps = steps;
      Task task{resolve_method(request), {}};
      task.options.nodes = tiny_table();
      task.options.layers = {0, layers};
      return counted(GetParam(), task, layers, 1, one_sequence);
    };
    const Counted few = with(2);
    const Counted many = with(8);
    const int more = many.calls - few.calls;
    EXPECT_EQ(more, method == "ig-acts" ? 6 * layers : 6) << method;
    // Which pairs, how far along; m and the slopes. And of each rotary embedding cosines and sines, up and down.
    const int copies = 3 + 4 * static_cast<int>(tiny_architecture(GetParam()).rotaries.size());
    EXPECT_EQ(many.counts.copies - few.counts.copies, copies * more) << method;
    EXPECT_EQ(many.counts.items, 0) << method;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, PretendDevice,
                         ::testing::Values(Kind::llama, Kind::gpt2, Kind::gemma, Kind::olmo, Kind::neox),
                         [](const auto& one) { return name_of(one.param); });

}  // namespace
}  // namespace tributary::testing
