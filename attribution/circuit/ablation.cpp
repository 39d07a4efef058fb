// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/ablation.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "common/errors.h"

namespace tributary {
namespace {

/// One row of work: a pair under one circuit.
struct Row {
  std::int64_t pair;
  std::int64_t point;
};

/// Ablation values of each pair [layer, pair, pos, neuron] (pair 1 where all share them).
at::Tensor ablation_values(const Transformer& model, const Prompts& prompts, const CurveInputs& inputs,
                           const MetricTokens& tokens, const Batching& batching) {
  const Architecture& a = model.architecture();
  switch (inputs.ablation) {
    case Ablation::mean:
      return inputs.mean.to(model.options()).unsqueeze(1);
    case Ablation::zero:
      return at::zeros({a.layers, 1, 1, a.neurons}, model.options());
    case Ablation::resample:
      TRIBUTARY_EXPECT(prompts.counterfactual.defined(), "resample ablation is refused for unpaired prompts");
      return record_run(model, model.embed(prompts.counterfactual), tokens, batching).activations;
  }
  throw ContractViolation("an ablation outside the enumeration");
}

/// Keeps, per sequence, the neurons of its circuit point and sets the others to their ablation values.
class Mask {
 public:
  Mask(const CurveInputs& inputs, const at::Tensor& values, const std::vector<Row>& rows,
       const at::TensorOptions& options)
      : inputs_(inputs), values_(values), rows_(rows) {
    const auto count = static_cast<std::int64_t>(rows.size());
    pairs_ = at::empty({count}, at::kLong);
    limits_ = at::empty({count, 1, 1}, at::kInt);
    complement_ = at::empty({count, 1, 1}, at::kBool);
    for (std::int64_t b = 0; b < count; ++b) {
      const Row& row = rows[static_cast<std::size_t>(b)];
      const CircuitPoint& point = inputs.points[static_cast<std::size_t>(row.point)];
      pairs_.data_ptr<std::int64_t>()[b] = values.size(1) == 1 ? 0 : row.pair;
      limits_.data_ptr<int>()[b] = static_cast<int>(point.count);
      complement_.data_ptr<bool>()[b] = point.side == CircuitPoint::Side::complement;
    }
    pairs_ = pairs_.to(options.device());
    limits_ = limits_.to(options.device());
    complement_ = complement_.to(options.device());
  }

  /// a [batch, pos, neuron] of one layer
  [[nodiscard]] at::Tensor apply(std::int64_t layer, const at::Tensor& a) const {
    std::vector<at::Tensor> by_row;
    for (const Row& row : rows_) {
      by_row.push_back(
          inputs_.places[static_cast<std::size_t>(inputs_.points[static_cast<std::size_t>(row.point)].ranking)][layer]);
    }
    const at::Tensor kept = at::lt(at::stack(by_row), limits_).logical_xor(complement_);  // [batch, pos or 1, neuron]
    return at::where(kept, a, at::index_select(values_[layer], 0, pairs_));
  }

 private:
  const CurveInputs& inputs_;
  const at::Tensor& values_;
  const std::vector<Row>& rows_;
  at::Tensor pairs_, limits_, complement_;
};

}  // namespace

ActivationSums sum_activations(const Transformer& model, const at::Tensor& ids, const Batching& batching) {
  // Any token serves: only activations are recorded here.
  const MetricTokens unused{at::zeros({ids.size(0), 1}, ids.options()),
                            at::ones({1}, model.options().dtype(model.score_type()))};
  const RecordedRun run = record_run(model, model.embed(ids), unused, batching);
  ActivationSums sums{at::zeros_like(run.embeddings[0], at::kDouble),
                      at::zeros_like(run.activations.select(1, 0), at::kDouble)};
  for (std::int64_t pair = 0; pair < ids.size(0); ++pair) {  // one by one: the order of additions is ours
    sums.embeddings.add_(run.embeddings[pair].to(at::kDouble));
    sums.activations.add_(run.activations.select(1, pair).to(at::kDouble));
  }
  return sums;
}

CurveUnit evaluate_circuits(const Transformer& model, const Prompts& prompts, const CurveInputs& inputs,
                            const Batching& batching) {
  const at::NoGradGuard no_gradients;
  const std::int64_t pairs = prompts.clean.size(0);
  const std::int64_t length = prompts.clean.size(1);
  const MetricTokens tokens = metric_tokens(model, prompts, batching);
  const at::Tensor values = ablation_values(model, prompts, inputs, tokens, batching);
  const at::Tensor embeddings = model.embed(prompts.clean);

  CurveInputs all = inputs;  // the empty circuit and the whole model are two more points: no node kept, and all
  all.points.push_back({0, 0, CircuitPoint::Side::circuit});
  all.points.push_back({0, inputs.places.front().numel(), CircuitPoint::Side::circuit});
  std::vector<Row> rows;
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    for (std::int64_t point = 0; point < static_cast<std::int64_t>(all.points.size()); ++point)
      rows.push_back({pair, point});
  }
  at::Tensor metrics = at::empty({static_cast<std::int64_t>(all.points.size()), pairs}, at::kDouble);
  const auto piece = static_cast<std::size_t>(batching.sequences(length));
  for (std::size_t first = 0; first < rows.size(); first += piece) {
    const std::vector<Row> batch(rows.begin() + static_cast<std::ptrdiff_t>(first),
                                 rows.begin() + static_cast<std::ptrdiff_t>(std::min(first + piece, rows.size())));
    const BatchShape shape{static_cast<std::int64_t>(batch.size()), length};
    at::Tensor of_row = at::empty({shape.batch}, at::kLong);
    for (std::int64_t b = 0; b < shape.batch; ++b)
      of_row.data_ptr<std::int64_t>()[b] = batch[static_cast<std::size_t>(b)].pair;
    of_row = of_row.to(model.options().device());
    const Mask mask(all, values, batch, model.options());
    PassOptions pass;
    pass.neurons = [&](std::int64_t layer, const at::Tensor& a) {
      return to_rows(mask.apply(layer, from_rows(a, shape)), shape);
    };
    const at::Tensor stream = model.run(at::index_select(embeddings, 0, of_row), pass);
    const at::Tensor m = model.metric(stream, shape, tokens.select(of_row), {}).to(at::kDouble).cpu();
    for (std::int64_t b = 0; b < shape.batch; ++b) {
      const Row& row = batch[static_cast<std::size_t>(b)];
      metrics[row.point][row.pair] = m[b];
    }
  }
  const auto last = static_cast<std::int64_t>(inputs.points.size());
  return {metrics[last + 1], metrics[last], metrics.narrow(0, 0, last)};
}

}  // namespace tributary
