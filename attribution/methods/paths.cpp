// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/paths.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <utility>

#include "common/errors.h"

namespace tributary {
namespace {

/// Points first … first+count-1 as tensors: which examples, and alpha [count, 1, 1].
struct PointBatch {
  at::Tensor examples, alpha;
};

PointBatch batch_of(const std::vector<PathPoint>& points, std::size_t first, std::size_t count,
                    const at::TensorOptions& options) {
  at::Tensor examples = at::empty({static_cast<std::int64_t>(count)}, at::kLong);
  at::Tensor alpha = at::empty({static_cast<std::int64_t>(count), 1, 1}, at::kDouble);
  for (std::size_t i = 0; i < count; ++i) {
    examples.data_ptr<std::int64_t>()[i] = points[first + i].example;
    alpha.data_ptr<double>()[i] = points[first + i].alpha;
  }
  return {examples.to(options.device()), alpha.to(options)};
}

/// (1 - alpha) start + alpha end in separate operations: exact at both ends, and no fused tail.
at::Tensor interpolate(const at::Tensor& start, const at::Tensor& end, const PointBatch& batch, at::ScalarType type) {
  const at::Tensor from = at::index_select(start, 0, batch.examples).to(batch.alpha.scalar_type());
  const at::Tensor to = at::index_select(end, 0, batch.examples).to(batch.alpha.scalar_type());
  return (from * (1 - batch.alpha) + to * batch.alpha).to(type);
}

/// Calls body(first, count) for consecutive pieces of `total`.
template <typename Body>
void in_pieces(std::int64_t total, std::int64_t piece, const Body& body) {
  for (std::int64_t first = 0; first < total; first += piece) body(first, std::min(piece, total - first));
}

}  // namespace

RecordedRun record_run(const Transformer& model, const at::Tensor& embeddings, const MetricTokens& tokens,
                       const Batching& batching) {
  const at::NoGradGuard no_gradients;
  const std::int64_t pairs = embeddings.size(0);
  const std::int64_t length = embeddings.size(1);
  std::vector<at::Tensor> residuals, activations, metrics;  // a piece each: [layer, piece, pos, width], [piece]
  in_pieces(pairs, batching.sequences(length), [&](std::int64_t first, std::int64_t count) {
    const BatchShape shape{count, length};
    std::vector<at::Tensor> h, a;
    PassOptions pass;
    pass.residual = [&](std::int64_t, const at::Tensor& residual) { h.push_back(from_rows(residual, shape)); };
    pass.neurons = [&](std::int64_t, const at::Tensor& neurons) {
      a.push_back(from_rows(neurons, shape));
      return neurons;
    };
    const at::Tensor stream = model.run(embeddings.narrow(0, first, count), pass);
    metrics.push_back(model.metric(stream, shape, tokens.narrow(first, count), pass));
    residuals.push_back(at::stack(h));
    activations.push_back(at::stack(a));
  });
  return {embeddings, at::cat(residuals, 1), at::cat(activations, 1), at::cat(metrics)};
}

at::Tensor metric_with_layer(const Transformer& model, const RecordedRun& run, std::int64_t layer, const at::Tensor& a,
                             const MetricTokens& tokens, const Batching& batching) {
  const at::NoGradGuard no_gradients;
  std::vector<at::Tensor> metrics;
  in_pieces(a.size(0), batching.sequences(a.size(1)), [&](std::int64_t first, std::int64_t count) {
    const BatchShape shape{count, a.size(1)};
    const at::Tensor residual = to_rows(run.residuals[layer].narrow(0, first, count), shape);
    const at::Tensor stream = model.resume(layer, residual, to_rows(a.narrow(0, first, count), shape), shape, {});
    metrics.push_back(model.metric(stream, shape, tokens.narrow(first, count), {}));
  });
  return at::cat(metrics);
}

EmbeddingPath::EmbeddingPath(const Transformer& model, at::Tensor start, at::Tensor end, MetricTokens tokens,
                             Rules rules, Batching batching)
    : model_(model),
      start_(std::move(start)),
      end_(std::move(end)),
      tokens_(std::move(tokens)),
      rules_(rules),
      batching_(batching) {}

void EmbeddingPath::evaluate(const std::vector<PathPoint>& points, const Visit& visit) const {
  evaluate(points, visit, nullptr);
}

void EmbeddingPath::evaluate(const std::vector<PathPoint>& points, const Visit& visit, Fired* fired) const {
  const at::AutoGradMode gradients(true);
  const at::ScalarType score_type = model_.score_type();
  const std::int64_t length = end_.size(1);
  in_pieces(static_cast<std::int64_t>(points.size()), batching_.sequences(length),
            [&](std::int64_t first, std::int64_t count) {
              const BatchShape shape{count, length};
              const PointBatch batch = batch_of(points, static_cast<std::size_t>(first),
                                                static_cast<std::size_t>(count), model_.options().dtype(score_type));
              std::vector<at::Tensor> watched = {
                  interpolate(start_, end_, batch, model_.options().dtype().toScalarType()).requires_grad_()};
              PassOptions pass;
              pass.rules = rules_;
              pass.fired = first == 0 ? fired : nullptr;
              pass.neurons = [&](std::int64_t, const at::Tensor& a) {
                watched.push_back(a);
                return a;
              };
              const at::Tensor stream = model_.run(watched.front(), pass);
              const at::Tensor m = model_.metric(stream, shape, tokens_.select(batch.examples), pass);
              const std::vector<at::Tensor> gradients_of = torch::autograd::grad({m}, watched, {at::ones_like(m)});
              for (std::int64_t b = 0; b < count; ++b) {
                std::vector<at::Tensor> value, gradient;  // a layer each [pos, neuron]
                for (std::size_t tap = 1; tap < watched.size(); ++tap) {
                  value.push_back(watched[tap].detach().narrow(0, b * length, length));
                  gradient.push_back(gradients_of[tap].narrow(0, b * length, length));
                }
                visit(static_cast<std::size_t>(first + b),
                      {at::stack(value).to(score_type), at::stack(gradient).to(score_type),
                       gradients_of[0][b].to(score_type)});
              }
            });
}

ActivationPath::ActivationPath(const Transformer& model, std::int64_t layer, at::Tensor residuals, at::Tensor start,
                               at::Tensor end, MetricTokens tokens, Rules rules, Batching batching)
    : model_(model),
      layer_(layer),
      residuals_(std::move(residuals)),
      start_(std::move(start)),
      end_(std::move(end)),
      tokens_(std::move(tokens)),
      rules_(rules),
      batching_(batching) {}

void ActivationPath::evaluate(const std::vector<PathPoint>& points, const Visit& visit) const {
  const at::AutoGradMode gradients(true);
  const at::ScalarType score_type = model_.score_type();
  const std::int64_t length = end_.size(1);
  in_pieces(
      static_cast<std::int64_t>(points.size()), batching_.sequences(length),
      [&](std::int64_t first, std::int64_t count) {
        const BatchShape shape{count, length};
        const PointBatch batch = batch_of(points, static_cast<std::size_t>(first), static_cast<std::size_t>(count),
                                          model_.options().dtype(score_type));
        const at::Tensor a =
            to_rows(interpolate(start_, end_, batch, model_.options().dtype().toScalarType()), shape).requires_grad_();
        const at::Tensor residual = to_rows(at::index_select(residuals_, 0, batch.examples), shape);
        PassOptions pass;
        pass.rules = rules_;
        const at::Tensor stream = model_.resume(layer_, residual, a, shape, pass);
        const at::Tensor m = model_.metric(stream, shape, tokens_.select(batch.examples), pass);
        const at::Tensor gradient = from_rows(torch::autograd::grad({m}, {a}, {at::ones_like(m)})[0], shape);
        const at::Tensor value = from_rows(a.detach(), shape);
        for (std::int64_t b = 0; b < count; ++b) {
          visit(static_cast<std::size_t>(first + b),
                {value[b].unsqueeze(0).to(score_type), gradient[b].unsqueeze(0).to(score_type), {}});
        }
      });
}

}  // namespace tributary
