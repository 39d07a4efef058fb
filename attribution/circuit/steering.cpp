// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/steering.h"

#include <c10/core/InferenceMode.h>
#include "attribution/model/largest.h"
#include "attribution/model/tensors.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "attribution/model/detail/staging.h"
#include "attribution/nodes/feature_edit.h"
#include "attribution/nodes/site_writer.h"

namespace tributary {
namespace {

/// A row of logits is as long as the vocabulary, so few of them go into one call.
constexpr std::int64_t most_sequences = 64;

/// What is read in a layer [sequence, last positions, width], the nodes of its kind multiplied in place by factors
/// [sequence].
void multiply(const at::Tensor& read, const NodeTable& table, const std::vector<Node>& nodes, std::int64_t layer,
              const at::Tensor& factors, std::int64_t length) {
  const std::int64_t before = length - read.size(1);
  for (const Node& node : nodes) {
    if (node.kind != table.kind || node.layer != layer) continue;
    at::Tensor here = read.narrow(2, node.index * table.dims, table.dims);  // [sequence, pos, dims]
    if (node.position < 0) {
      here.mul_(factors.view({-1, 1, 1}));
    } else if (node.position >= before) {  // earlier ones no longer reach the metric
      here.select(1, node.position - before).mul_(factors.unsqueeze(1));
    }
  }
}

bool is_of_dictionary(const Node& node) { return of_dictionaries(node.kind); }

/// Multiplies features and errors among the nodes, in each sequence by its factor.
class Multiplied : public FeatureChanges {
 public:
  Multiplied(const std::vector<Node>& nodes, std::vector<double> factors) : factors_(std::move(factors)) {
    std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(nodes_), is_of_dictionary);
    std::sort(nodes_.begin(), nodes_.end(), [](const Node& a, const Node& b) { return a.index < b.index; });
  }

  void features(const SequencePosition& where, std::int64_t dictionary, FeatureView running,
                FeatureList& changes) const override {
    for (const Node& node : nodes_) {
      if (!is_at(node, NodeKind::features, where, dictionary)) continue;
      const double value = running.value_of(node.index);
      const double factor = factors_[static_cast<std::size_t>(where.sequence)];
      if (value != 0 && factor != 1) changes.add(static_cast<std::int32_t>(node.index), (factor - 1) * value);
    }
  }

  [[nodiscard]] ErrorChange error(const SequencePosition& where, std::int64_t dictionary) const override {
    for (const Node& node : nodes_) {
      if (is_at(node, NodeKind::errors, where, dictionary)) {
        return {.scale = factors_[static_cast<std::size_t>(where.sequence)]};
      }
    }
    return {};
  }

 private:
  static bool is_at(const Node& node, NodeKind kind, const SequencePosition& where, std::int64_t dictionary) {
    return node.kind == kind && node.layer == dictionary && (node.position < 0 || node.position == where.position);
  }

  std::vector<Node> nodes_;      // by index, none twice
  std::vector<double> factors_;  // by sequence
};

/// Some rows of a pass, a pair under a factor each.
struct Said {
  at::Tensor metric;           // [row]
  at::Tensor log_probability;  // [row, vocabulary]
};

}  // namespace

SteeringUnit steer(const Transformer& model, const Prompts& prompts, const SteeringInputs& inputs,
                   const Batching& batching) {
  const c10::InferenceMode inference;
  const std::int64_t pairs = prompts.clean.size(0);
  const std::int64_t length = prompts.clean.size(1);
  const LogitDirections directions = model.logit_directions(metric_tokens(model, prompts, batching));
  const at::Tensor embeddings = model.embed(prompts.clean);
  const at::Tensor answers = inputs.answers.to(embeddings.device());
  Flops flops;
  const auto run = [&](const at::Tensor& pair, const std::vector<double>& factor) {
    batching.pause();
    const at::Tensor amounts = detail::staged(factor, model.options()).to(model.options().dtype());
    ForwardOptions options;
    options.flops = &flops;
    const at::Tensor start = at::index_select(embeddings, 0, pair);
    for (const NodeTable& table : inputs.tables) {
      if (table.site == Site::embeddings) {
        multiply(start, table, inputs.nodes, 0, detail::staged(factor, start.options()).to(start.scalar_type()),
                 length);
        continue;
      }
      hook_at(options, table.site) = [&, table](std::int64_t layer, const at::Tensor& read) {
        multiply(read, table, inputs.nodes, layer, amounts, length);
      };
    }
    const Multiplied changes(inputs.nodes, factor);
    std::optional<FeatureEdits> edits;
    if (std::any_of(inputs.nodes.begin(), inputs.nodes.end(), is_of_dictionary)) {
      edits.emplace(model, *inputs.dictionaries, length, changes, &flops);
      edits->attach(model, options);
    }
    const Pass pass = model.forward(whole_batch(start), options);
    return Said{model.metric(pass.resid, directions.select(pair)),
                at::log_softmax(model.logits(pass.resid).select(1, 0).to(model.score_type()), -1)};
  };
  const std::int64_t piece = std::min(batching.sequences(length), most_sequences);
  std::vector<at::Tensor> unsteered;  // a call each [row, vocabulary]
  for (std::int64_t first = 0; first < pairs; first += piece) {
    const std::int64_t count = std::min(piece, pairs - first);
    const at::Tensor pair = at::arange(first, first + count, answers.options());
    unsteered.push_back(run(pair, std::vector<double>(static_cast<std::size_t>(count), 1)).log_probability);
  }
  const at::Tensor before = at::cat(unsteered);  // [pair, vocabulary]

  // A row of logits is reduced to what is kept of it before the next call.
  const std::int64_t rows = pairs * std::ssize(inputs.factors);
  std::vector<at::Tensor> metric, probability, divergence, tokens, top;
  for (std::int64_t first = 0; first < rows; first += piece) {
    std::vector<std::int64_t> of_row;
    std::vector<double> factor;
    for (std::int64_t row = first; row < std::min(rows, first + piece); ++row) {
      of_row.push_back(row % pairs);
      factor.push_back(inputs.factors[static_cast<std::size_t>(row / pairs)]);
    }
    const at::Tensor pair = detail::staged(of_row, model.options());
    const Said said = run(pair, factor);
    const at::Tensor was = at::index_select(before, 0, pair);
    const at::Tensor wanted = at::index_select(answers, 0, pair);  // [row, 2]
    const auto [log_top, best] = largest(said.log_probability, inputs.top);
    metric.push_back(said.metric);
    probability.push_back(at::gather(said.log_probability, 1, wanted.clamp_min(0))
                              .exp()
                              .masked_fill(wanted.lt(0), std::numeric_limits<double>::quiet_NaN()));
    divergence.push_back((was.exp() * (was - said.log_probability)).sum(-1));
    tokens.push_back(best);
    top.push_back(log_top.exp());
  }
  const auto by_factor = [pairs](const std::vector<at::Tensor>& calls) {  // [factor, pair, …]
    return at::cat(calls).unflatten(0, {-1, pairs}).cpu();
  };
  SteeringUnit unit;
  unit.metric = by_factor(metric).to(at::kDouble);
  unit.probability = by_factor(probability).to(at::kDouble);
  unit.divergence = by_factor(divergence).to(at::kDouble);
  unit.tokens = by_factor(tokens);
  unit.top_probability = by_factor(top).to(at::kDouble);
  unit.flops = flops.count;
  return unit;
}

}  // namespace tributary
