// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One forward and backward pass of the engine with everything that it tells its listeners kept.
#pragma once

#include "attribution/model/tensors.h"

#include <utility>
#include <vector>

#include "attribution/model/transformer.h"

namespace tributary::testing {

struct EngineRun {
  Pass pass;
  at::Tensor metric;                                  //!< [sequence]
  std::vector<at::Tensor> neurons, neuron_gradients;  //!< [layer] of [sequence that has entered, pos, neuron]
  std::vector<at::Tensor> recomputed;                 //!< [layer] a as the backward pass gives it
  std::vector<at::Tensor> streams, stream_gradients;  //!< [block] of [sequence that has entered, suffix, d_model]
  Prefix prefix;
  Fired fired;
  Flops forward_flops, backward_flops;
};

/// directions of the sequences; the backward pass of `range` (all: count 0).
inline EngineRun engine_run(const Transformer& model, Batch batch, const LogitDirections& directions, Rules rules = {},
                            SequenceRange range = {}) {
  const auto layers = static_cast<std::size_t>(model.architecture().layers());
  EngineRun run;
  run.neurons.resize(layers);
  run.neuron_gradients.resize(layers);
  run.recomputed.resize(layers);
  run.streams.resize(layers + 1);
  run.stream_gradients.resize(layers + 1);
  if (range.count == 0) range.count = batch.sequences();
  batch.reads = directions.reads;
  ForwardOptions up;
  up.tape = ForwardOptions::Tape::keep;
  up.neurons = [&](std::int64_t layer, const at::Tensor& a) {
    run.neurons[static_cast<std::size_t>(layer)] = a.clone();
  };
  up.resid_pre = [&](std::int64_t block, const at::Tensor& h) {
    run.streams[static_cast<std::size_t>(block)] = h.clone();
  };
  up.prefix = &run.prefix;
  up.flops = &run.forward_flops;
  run.pass = model.forward(std::move(batch), up);
  run.streams.back() = run.pass.resid;
  run.metric = model.metric(run.pass.resid, directions);
  BackwardOptions down;
  down.rules = rules;
  down.values = BackwardOptions::Values::recompute;
  down.neurons = [&](std::int64_t layer, const at::Tensor& a, const at::Tensor& gradient) {
    run.recomputed[static_cast<std::size_t>(layer)] = a.clone();
    run.neuron_gradients[static_cast<std::size_t>(layer)] = gradient.clone();
  };
  down.resid_pre = [&](std::int64_t block, const at::Tensor& gradient) {
    run.stream_gradients[static_cast<std::size_t>(block)] = gradient.clone();
  };
  down.fired = &run.fired;
  down.flops = &run.backward_flops;
  const at::Tensor top = model.metric_gradient(run.pass.resid.narrow(0, range.first, range.count),
                                               directions.narrow(range.first, range.count), down);
  model.backward(run.pass, range, top, down);
  return run;
}

/// The part of a tensor of all positions [sequence, pos, width] that `like` has: its last positions.
inline at::Tensor last_of(const at::Tensor& all, const at::Tensor& like) {
  return all.narrow(1, all.size(1) - like.size(1), like.size(1));
}

}  // namespace tributary::testing
