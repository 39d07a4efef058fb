// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One forward and backward pass of the engine with everything that it tells its listeners kept.
#pragma once

#include "attribution/model/tensors.h"

#include <map>
#include <utility>
#include <vector>

#include "attribution/nodes/site_writer.h"

namespace tributary::testing {

struct EngineRun {
  Pass pass;
  at::Tensor metric;                                  //!< [sequence]
  std::vector<at::Tensor> neurons, neuron_gradients;  //!< [layer] of [sequence that has entered, pos, neuron]
  /// [layer] of the sites past attention, likewise.
  std::map<Site, std::vector<at::Tensor>> values, gradients;
  std::vector<at::Tensor> recomputed;                 //!< [layer] a as the backward pass gives it
  std::vector<at::Tensor> streams, stream_gradients;  //!< [block] of [sequence that has entered, suffix, d_model]
  std::vector<at::Tensor> mids, mid_gradients;        //!< [block], between its halves; in a parallel one undefined
  Prefix prefix;
  Fired fired;
  Flops forward_flops, backward_flops;
};

/// The stream between the halves of a block of a finished pass [sequence that has entered, pos, d_model].
inline at::Tensor mid_of(const Transformer& model, const Pass& pass, std::int64_t block) {
  const bool trimmed = block + 1 == model.architecture().layers();
  const std::int64_t first = trimmed ? 0 : pass.prefix_rows;
  const at::Tensor& rows = pass.blocks[static_cast<std::size_t>(block - pass.first)].mlp_stream;
  return rows.narrow(0, first, rows.size(0) - first)
      .unflatten(0, {-1, trimmed ? pass.batch.reads.kept() : pass.batch.suffix});
}

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
  run.mids.resize(layers);
  run.mid_gradients.resize(layers);
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
  for (const Site site : {Site::z, Site::mlp_written, Site::mlp_out}) {
    run.values[site].resize(layers);
    run.gradients[site].resize(layers);
    hook_at(up, site) = [&run, site](std::int64_t layer, const at::Tensor& read) {
      run.values[site][static_cast<std::size_t>(layer)] = read.clone();
    };
  }
  up.prefix = &run.prefix;
  up.flops = &run.forward_flops;
  run.pass = model.forward(std::move(batch), up);
  run.streams.back() = run.pass.resid;
  for (std::int64_t block = run.pass.first; block < model.architecture().layers(); ++block) {
    if (model.architecture().block(block).residual == Residual::parallel) continue;
    run.mids[static_cast<std::size_t>(block)] = mid_of(model, run.pass, block);
  }
  run.metric = model.metric(run.pass.resid, directions);
  BackwardOptions down;
  down.rules = rules;
  down.values = BackwardOptions::Values::recompute;
  down.neurons = [&](std::int64_t layer, const at::Tensor& a, const at::Tensor& gradient) {
    run.recomputed[static_cast<std::size_t>(layer)] = a.clone();
    run.neuron_gradients[static_cast<std::size_t>(layer)] = gradient.clone();
  };
  const auto keep = [&run](Site site) {
    return [&run, site](std::int64_t layer, const at::Tensor& gradient) {
      run.gradients[site][static_cast<std::size_t>(layer)] = gradient.clone();
    };
  };
  down.z = keep(Site::z);
  down.mlp_written = keep(Site::mlp_written);
  down.mlp_out = keep(Site::mlp_out);
  down.resid_mid = [&](std::int64_t block, const at::Tensor& gradient) {
    run.mid_gradients[static_cast<std::size_t>(block)] = gradient.clone();
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
