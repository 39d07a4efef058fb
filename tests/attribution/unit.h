// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Short ways to ask for a unit of attribution of a tiny model.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "attribution/methods/attribute.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing {

inline MethodRequest request_of(const std::string& name) {
  MethodRequest request;
  request.method = name;
  return request;
}

inline MethodRequest request_of(const std::string& name, Quadrature rule, std::optional<int> steps) {
  MethodRequest request = request_of(name);
  request.quadrature = rule;
  request.steps = steps;
  return request;
}

/// All layers of a tiny model's nodes of a kind.
inline Task task_of(const MethodRequest& request, const NodeTable& nodes = tiny_table()) {
  Task task{resolve_method(request), {}};
  task.options.nodes = nodes;
  task.options.layers = {0, nodes.layers};
  return task;
}

/// Means of neurons [layer, pos, neuron], and of the embeddings [pos, d_model].
inline MeanState neuron_means(const at::Tensor& embeddings, const at::Tensor& activations) {
  return {{Site::embeddings, embeddings.unsqueeze(0)}, {Site::neurons, activations}};
}

/// The same that measures the linearisation gap of so many pairs.
inline Task with_gap(Task task, std::size_t pairs) {
  task.options.gap.assign(pairs, 1);
  return task;
}

/// One task alone.
inline UnitScores unit_of(const Transformer& model, const Task& task, const Prompts& prompts,
                          const Batching& batching = {}) {
  return std::move(attribute({&model, &model}, {task}, prompts, {batching}).scores.front());
}

}  // namespace tributary::testing
