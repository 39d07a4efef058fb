// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "attribution/model/detail/rows.h"
#include "attribution/model/functions.h"
#include "attribution/model/rotary.h"
#include "attribution/model/transformer.h"
#include "common/errors.h"

namespace tributary {

using detail::last_positions;
using detail::row_buffer;
using detail::used;

/// One backward pass under way. gradient_ is dm/dstream in stream dtype, operand_ the same in network dtype for matrix
/// products: rows of the sequences of the range that have entered, padded.
class BackwardPass {
 public:
  BackwardPass(const Transformer& model, const Pass& pass, SequenceRange range, const BackwardOptions& options)
      : a_(model.architecture_),
        weights_(model.weights_),
        model_(model),
        pass_(pass),
        range_(range),
        options_(options),
        one_type_(model.score_type() == model.options().dtype().toScalarType()) {
    TRIBUTARY_EXPECT(pass.first >= a_.layers || !pass.blocks.empty(), "a backward pass needs a tape");
    TRIBUTARY_EXPECT(pass.stream.size(1) == 1 || pass.batch.live == 1, "the last block is of the last position");
    if (a_.positions == PositionKind::rotary) {
      tables_ = rotary_tables(a_.rotary, a_.d_head, pass.batch.length, model.score_options());
    }
  }

  /// gradient [sequence, 1, d_model] of the range.
  void run(const at::Tensor& gradient) {
    start(gradient);
    for (block_ = a_.layers - 1; block_ >= pass_.first && sequences_ > 0; --block_) {
      mlp();
      attention();
      if (options_.stream) options_.stream(block_, used(gradient_, rows_).unflatten(0, {-1, pass_.batch.live}));
      shrink();
    }
  }

 private:
  [[nodiscard]] const LayerWeights& weights() const { return weights_.layers[static_cast<std::size_t>(block_)]; }
  [[nodiscard]] const BlockTape& tape() const { return pass_.blocks[static_cast<std::size_t>(block_ - pass_.first)]; }
  [[nodiscard]] bool trimmed() const { return block_ == a_.layers - 1; }
  [[nodiscard]] std::int64_t sequences_at(std::int64_t block) const {
    return std::clamp<std::int64_t>(detail::entered(pass_.batch, block) - range_.first, 0, range_.count);
  }

  /// Sequences that enter after the last block have their gradient already: of the last position, zero elsewhere.
  void start(const at::Tensor& gradient) {
    sequences_ = sequences_at(a_.layers - 1);
    if (options_.stream && sequences_ < range_.count) {
      const at::Tensor above = at::zeros({range_.count, pass_.batch.live, a_.d_model}, gradient.options());
      above.select(1, pass_.batch.live - 1).copy_(gradient.select(1, 0));
      options_.stream(a_.layers, above);
    }
    rows_ = sequences_;
    gradient_ = row_buffer(rows_, a_.d_model, model_.score_options());
    used(gradient_, rows_).copy_(gradient.narrow(0, 0, rows_).select(1, 0));
    operand_ = one_type_ ? gradient_ : gradient_.to(model_.options().dtype());
  }

  /// Of what the tape has for every live position, the range's sequences.
  [[nodiscard]] at::Tensor live_part(const at::Tensor& taped) const {
    const std::int64_t live = pass_.batch.live;
    return taped.narrow(0, pass_.front + range_.first * live, sequences_ * live);
  }

  /// Of what it has for the positions that go on past attention, which in the last block are the last ones, without the
  /// prefix.
  [[nodiscard]] at::Tensor query_part(const at::Tensor& taped) const {
    return trimmed() ? taped.narrow(0, range_.first, sequences_) : live_part(taped);
  }

  [[nodiscard]] Derivative derivative(Rule rule) const {
    if (!options_.rules.has(rule)) return Derivative::plain;
    if (options_.fired != nullptr) options_.fired->count(rule);
    return Derivative::replaced;
  }

  [[nodiscard]] at::Tensor operand_rows() const { return one_type_ ? at::Tensor() : used(operand_, rows_); }

  void mlp() {
    const LayerWeights& w = weights();
    const std::int64_t positions = trimmed() ? 1 : pass_.batch.live;
    const at::Tensor a_gradient = used(at::mm(operand_, w.down_weight), rows_);  // [rows, neurons]
    const at::Tensor expanded = query_part(tape().expanded);
    const at::Tensor expanded_gradient = row_buffer(rows_, expanded.size(1), model_.options());
    at::Tensor a;
    if (options_.values == BackwardOptions::Values::recompute) {
      a = at::empty({rows_, a_.neurons}, model_.options());
    }
    const Derivative half = a_.mlp == MlpKind::gated ? derivative(Rule::half) : Derivative::plain;
    gate_backward(a_gradient, expanded, detail::gate_of(a_), derivative(Rule::activation), half,
                  used(expanded_gradient, rows_), a);
    if (options_.neurons) {
      const auto by_sequence = [&](const at::Tensor& t) { return t.defined() ? t.unflatten(0, {-1, positions}) : t; };
      options_.neurons(block_, by_sequence(a), by_sequence(a_gradient));
    }
    const at::Tensor incoming = at::mm(expanded_gradient, w.expand_weight);  // [rows, d_model]
    normalise_backward(used(incoming, rows_), query_part(tape().middle), query_part(tape().mlp_statistics),
                       detail::mlp_norm(a_, w), derivative(Rule::norm), used(gradient_, rows_), operand_rows());
  }

  void attention() {
    const LayerWeights& w = weights();
    const Batch& b = pass_.batch;
    const std::int64_t width = a_.heads * a_.d_head;
    const std::int64_t all_rows = sequences_ * b.live;
    const std::int64_t queries = trimmed() ? 1 : b.live;
    const at::Tensor mixed_gradient = used(at::mm(operand_, w.output_weight), rows_);

    Attention attention = detail::attention_of(a_, query_part(tape().query), live_part(tape().key_value), sequences_);
    if (b.before() > 0) {
      const at::Tensor prefix = pass_.front > 0 ? tape().key_value.narrow(0, 0, pass_.front)
                                                : b.prefix->blocks[static_cast<std::size_t>(block_)];
      detail::set_prefix(attention, b.before(), prefix, b.pairs.narrow(0, range_.first, sequences_));
    }
    at::Tensor query_gradient, key_value_gradient, incoming;
    const Derivative pattern = derivative(Rule::attention);
    const auto attend_and_turn = [&] {
      const at::Tensor key_gradient = detail::keys(key_value_gradient);
      attend_backward(attention, mixed_gradient, pattern, query_gradient, key_gradient,
                      detail::values(key_value_gradient));
      if (a_.positions != PositionKind::rotary || pattern == Derivative::replaced) return;  // the turn of zero is zero
      rotate(query_gradient, {tables_.cosine, tables_.sine, b.length - queries, queries}, Turn::transposed);
      rotate(key_gradient, {tables_.cosine, tables_.sine, b.before(), b.live}, Turn::transposed);
    };
    if (trimmed()) {
      const at::Tensor query_buffer = row_buffer(sequences_, width, model_.options());
      const at::Tensor key_value_buffer = row_buffer(all_rows, 2 * a_.kv_heads * a_.d_head, model_.options());
      query_gradient = used(query_buffer, sequences_);
      key_value_gradient = used(key_value_buffer, all_rows);
      attend_and_turn();
      incoming = at::mm(key_value_buffer, w.key_value_weight(width));
      const at::Tensor of_query = at::mm(query_buffer, w.query_weight(width));
      last_positions(used(incoming, all_rows), b.live).add_(used(of_query, sequences_));
      spread();
    } else {
      const at::Tensor buffer = row_buffer(all_rows, w.qkv_weight.size(0), model_.options());
      query_gradient = used(buffer, all_rows).narrow(1, 0, width);
      key_value_gradient = used(buffer, all_rows).narrow(1, width, buffer.size(1) - width);
      attend_and_turn();
      incoming = at::mm(buffer, w.qkv_weight);
    }
    normalise_backward(used(incoming, rows_), live_part(tape().stream), live_part(tape().attention_statistics),
                       detail::attention_norm(a_, w), derivative(Rule::norm), used(gradient_, rows_), operand_rows());
    if (options_.flops != nullptr) {
      options_.flops->count += backward_flops(a_, detail::block_work(a_, b, sequences_, queries));
    }
  }

  /// From the last position of each sequence to all that are live.
  void spread() {
    const at::Tensor last = used(gradient_, rows_);
    rows_ = sequences_ * pass_.batch.live;
    gradient_ = at::zeros({padded_rows(rows_), a_.d_model}, model_.score_options());
    last_positions(used(gradient_, rows_), pass_.batch.live).copy_(last);
    operand_ = one_type_ ? gradient_ : at::zeros({padded_rows(rows_), a_.d_model}, model_.options());
  }

  /// Leaves behind the sequences that entered at this block.
  void shrink() {
    sequences_ = sequences_at(block_ - 1);
    rows_ = sequences_ * pass_.batch.live;
    gradient_ = used(gradient_, padded_rows(rows_));
    operand_ = used(operand_, padded_rows(rows_));
  }

  const Architecture& a_;
  const Weights& weights_;
  const Transformer& model_;
  const Pass& pass_;
  SequenceRange range_;
  const BackwardOptions& options_;
  bool one_type_;  // the stream's dtype is the network's
  RotaryTables tables_;
  std::int64_t block_ = 0, rows_ = 0, sequences_ = 0;
  at::Tensor gradient_, operand_;
};

void Transformer::backward(const Pass& pass, SequenceRange range, const at::Tensor& gradient,
                           const BackwardOptions& options) const {
  const at::NoGradGuard no_gradients;
  BackwardPass(*this, pass, range, options).run(gradient);
}

}  // namespace tributary
