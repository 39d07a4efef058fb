// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One block from top to bottom, with the names of forward.cpp; d… is dm/d…, and gradient_ is d of the residual stream,
// which passes through each addition unchanged and gains what comes back through the sub-block:
//
//   dw               = multiplier · post_norm'(dresid)                rule: norm; w is W_down · a + b_down
//   da               = W_downᵀ · dw                         dresid is dresid_post, then dresid_mid, then dresid_pre
//   dpre_activations = act'(gate) ⊙ up ⊙ da | act(gate) ⊙ da          rules: activation, half
//   dresid          += norm'(W_inᵀ · dpre_activations)                rule: norm
//   dw               = multiplier · post_norm'(dresid)                rule: norm; w is W_O · z + b_O
//   dz               = W_Oᵀ · dw                            in a parallel block from dresid_post, before the MLP's part
//   dquery | dkey_value = attention'(dz)                              rules: attention, softcap; turned back by their
//                                                                     positions, then norm' of queries and keys
//   dresid          += norm'(W_qkvᵀ · (dquery | dkey_value))          rule: norm
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "attribution/model/detail/rows.h"
#include "attribution/model/functions.h"
#include "attribution/model/products.h"
#include "attribution/model/tensors.h"
#include "attribution/model/transformer.h"
#include "common/errors.h"

namespace tributary {

using detail::BlockGeometry;
using detail::last_positions;
using detail::padded_rows;
using detail::row_buffer;
using detail::used;

/// One backward pass under way. gradient_ is dm/dresid in stream dtype, operand_ the same in network dtype for matrix
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
        one_type_(model.score_type() == model.options().dtype().toScalarType()),
        tables_(detail::rotary_tables_of(model, pass.batch.length)) {
    TRIBUTARY_EXPECT(pass.first >= a_.layers() || !pass.blocks.empty(), "a backward pass needs a tape");
    TRIBUTARY_EXPECT(pass.last_block == LastBlock::read_positions, "the last block is of the read positions");
  }

  /// gradient [sequence, kept, d_model] of the range.
  void run(const at::Tensor& gradient) {
    start(gradient);
    for (block_ = a_.layers() - 1; block_ >= pass_.first && rows_.sequences > 0; --block_) {
      const bool parallel = spec().residual == Residual::parallel;
      if (options_.mlp_out) options_.mlp_out(block_, by_position(used(gradient_, rows_.query_rows())));
      at::Tensor dz = parallel ? attention_output() : at::Tensor();
      mlp();
      if (!parallel) {
        if (options_.resid_mid) options_.resid_mid(block_, by_position(used(gradient_, rows_.query_rows())));
        leave(Before::attention);
        if (rows_.sequences == 0) break;
        dz = attention_output();
      }
      if (options_.z) options_.z(block_, by_position(dz));
      attention(dz);
      if (options_.resid_pre) {
        options_.resid_pre(block_, used(gradient_, rows_.rows()).unflatten(0, {-1, rows_.suffix}));
      }
      descend();
    }
  }

 private:
  [[nodiscard]] const LayerWeights& weights() const { return weights_.layers[static_cast<std::size_t>(block_)]; }
  [[nodiscard]] const BlockSpec& spec() const { return a_.block(block_); }
  [[nodiscard]] const BlockTape& tape() const { return pass_.blocks[static_cast<std::size_t>(block_ - pass_.first)]; }
  [[nodiscard]] at::Tensor operand_rows() const { return one_type_ ? at::Tensor() : used(operand_, gradient_rows_); }

  /// Rows of the positions past attention as [sequence, pos, width].
  [[nodiscard]] at::Tensor by_position(const at::Tensor& rows) const {
    return rows.defined() ? rows.unflatten(0, {-1, rows_.queries}) : rows;
  }

  /// The range's sequences that have entered before a half of a block; gradients have no rows of the prefix.
  [[nodiscard]] BlockGeometry geometry(std::int64_t block, Before half) const {
    const Batch& b = pass_.batch;
    const std::int64_t sequences =
        std::clamp<std::int64_t>(detail::entered(b, block, half) - range_.first, 0, range_.count);
    const bool trimmed = block == a_.layers() - 1;
    return {0, sequences, b.suffix, trimmed ? b.reads.kept() : b.suffix, trimmed};
  }

  /// Sequences that enter after the last block have their gradient already: of the kept positions, zero elsewhere.
  void start(const at::Tensor& gradient) {
    rows_ = geometry(a_.layers() - 1, Before::mlp);
    if (options_.resid_pre && rows_.sequences < range_.count) {
      options_.resid_pre(a_.layers(), detail::at_all_positions(gradient, rows_.suffix));
    }
    gradient_rows_ = rows_.query_rows();
    gradient_ = row_buffer(gradient_rows_, a_.d_model, model_.score_options());
    used(gradient_, gradient_rows_).copy_(gradient.narrow(0, 0, rows_.sequences).reshape({-1, a_.d_model}));
    operand_ = one_type_ ? gradient_ : gradient_.to(model_.options().dtype());
  }

  /// Rows of the tape that belong to the range's sequences, at every position of the suffix.
  [[nodiscard]] at::Tensor taped_rows(const at::Tensor& taped) const {
    return taped.narrow(0, pass_.prefix_rows + range_.first * rows_.suffix, rows_.rows());
  }

  /// The same of what the tape has past attention: in the trimmed block of the kept positions, without the prefix.
  [[nodiscard]] at::Tensor taped_queries(const at::Tensor& taped) const {
    return rows_.trimmed ? taped.narrow(0, range_.first * rows_.queries, rows_.query_rows()) : taped_rows(taped);
  }

  [[nodiscard]] Derivative derivative(Rule rule) const {
    if (!options_.rules.has(rule)) return Derivative::plain;
    if (options_.fired != nullptr) options_.fired->count(rule);
    return Derivative::replaced;
  }

  void tell_bias(const at::Tensor& bias, const at::Tensor& gradient) const {
    if (options_.biases && bias.defined()) options_.biases(bias, gradient);
  }

  /// Through a writer [rows, width of its input], from dresid.
  [[nodiscard]] at::Tensor written_back(const Writer& writer, const Written& written,
                                        const BackwardOptions::Gradients& tell = {}) const {
    const std::int64_t rows = rows_.query_rows();
    at::Tensor dw;
    if (!writer.has_norm()) {
      dw = writer.to_input(operand_, {}, Derivative::plain);
    } else {
      const Written here{{}, taped_queries(written.input), taped_queries(written.mean_rstd)};
      dw = row_buffer(rows, a_.d_model, model_.options());
      used(dw, rows).copy_(writer.to_input(used(operand_, rows), here, derivative(Rule::norm)));
    }
    tell_bias(writer.bias(), used(dw, rows));
    if (tell) tell(block_, by_position(used(dw, rows)));
    return writer.pull_back(dw, rows);
  }

  void mlp() {
    const LayerWeights& w = weights();
    const std::int64_t rows = rows_.query_rows();
    const at::Tensor da =
        written_back(w.mlp_writer(spec()), tape().mlp_written, options_.mlp_written);  // [rows, neuron]
    const at::Tensor pre_activations = taped_queries(tape().pre_activations);
    const at::Tensor dpre_activations = row_buffer(rows, pre_activations.size(1), model_.options());
    at::Tensor a;
    if (options_.values == BackwardOptions::Values::recompute) a = at::empty({rows, a_.neurons}, model_.options());
    const Derivative half = spec().mlp.kind == MlpKind::gated ? derivative(Rule::half) : Derivative::plain;
    gate_backward(da, pre_activations, detail::gate_of(a_, spec()), derivative(Rule::activation), half,
                  used(dpre_activations, rows), a);
    if (options_.neurons) options_.neurons(block_, by_position(a), by_position(da));
    const at::Tensor dnormalised = product(dpre_activations, rows, w.expand_weight);  // [rows, d_model]
    tell_bias(w.expand_bias, used(dpre_activations, rows));
    tell_bias(w.mlp_norm_bias, dnormalised);
    normalise_backward(dnormalised, taped_queries(tape().mlp_stream), taped_queries(tape().mlp_mean_rstd),
                       detail::mlp_norm(spec(), w), of_norm(spec().mlp_norm), used(gradient_, rows), operand_rows());
  }

  /// The rule's derivative of a norm, where there is one.
  [[nodiscard]] Derivative of_norm(const NormSpec& norm) const {
    return norm.kind == NormKind::none ? Derivative::plain : derivative(Rule::norm);
  }

  /// dz [query rows, heads * d_head] from dresid.
  [[nodiscard]] at::Tensor attention_output() const {
    return written_back(weights().attention_writer(spec()), tape().attention_written);
  }

  void attention(const at::Tensor& dz) {
    const LayerWeights& w = weights();
    const at::Tensor dnormalised = rows_.trimmed ? trimmed_projections(dz) : projections(dz);
    tell_bias(w.attention_norm_bias, dnormalised);
    if (rows_.trimmed) spread();
    normalise_backward(dnormalised, taped_rows(tape().resid_pre), taped_rows(tape().attention_mean_rstd),
                       detail::attention_norm(spec(), w), of_norm(spec().attention_norm), used(gradient_, rows_.rows()),
                       operand_rows());
    if (options_.flops != nullptr) {
      options_.flops->count +=
          backward_flops(a_, spec(), detail::block_work(spec(), pass_.batch, rows_.sequences, rows_.queries));
    }
  }

  /// dm/d(normalised) [rows, d_model] through queries, keys and values of all positions.
  [[nodiscard]] at::Tensor projections(const at::Tensor& dz) const {
    const LayerWeights& w = weights();
    const std::int64_t width = a_.query_width();
    const at::Tensor dqkv = row_buffer(rows_.rows(), w.qkv_weight.size(0), model_.options());
    const at::Tensor rows = used(dqkv, rows_.rows());
    attend_back(dz, rows.narrow(1, 0, width), rows.narrow(1, width, dqkv.size(1) - width));
    tell_bias(w.qkv_bias, rows);
    return product(dqkv, rows_.rows(), w.qkv_weight);
  }

  /// The same where only the kept positions had queries. Two products, as in the forward pass.
  [[nodiscard]] at::Tensor trimmed_projections(const at::Tensor& dz) const {
    const LayerWeights& w = weights();
    const std::int64_t width = a_.query_width();
    const at::Tensor dquery = row_buffer(rows_.query_rows(), width, model_.options());
    const at::Tensor dkey_value = row_buffer(rows_.rows(), 2 * a_.key_width(), model_.options());
    attend_back(dz, used(dquery, rows_.query_rows()), used(dkey_value, rows_.rows()));
    tell_bias(w.query_bias(width), used(dquery, rows_.query_rows()));
    tell_bias(w.key_value_bias(width), used(dkey_value, rows_.rows()));
    at::Tensor dnormalised = product(dkey_value, rows_.rows(), w.key_value_weight(width));
    const at::Tensor of_query = product(dquery, rows_.query_rows(), w.query_weight(width));
    last_positions(dnormalised, rows_.suffix, rows_.queries).add_(of_query.unflatten(0, {-1, rows_.queries}));
    return dnormalised;
  }

  /// Writes dm/dquery and dm/dkey_value, of the vectors before they were turned by their positions.
  void attend_back(const at::Tensor& dz, const at::Tensor& dquery, const at::Tensor& dkey_value) const {
    const Batch& b = pass_.batch;
    Attention attention = detail::attention_of(a_, spec().attention, taped_queries(tape().query),
                                               taped_rows(tape().key_value), rows_.sequences);
    if (b.prefix_length() > 0) {
      const at::Tensor prefix = pass_.prefix_rows > 0 ? used(tape().key_value, pass_.prefix_rows)
                                                      : b.prefix->blocks[static_cast<std::size_t>(block_)];
      detail::add_prefix(attention, b.prefix_length(), prefix, b.pairs.narrow(0, range_.first, rows_.sequences));
    }
    const AttentionSpec& form = spec().attention;
    const AttentionDerivatives derivatives{derivative(Rule::attention),
                                           form.softcap ? derivative(Rule::softcap) : Derivative::plain};
    const bool normed = form.query_key_norm != QueryKeyNorm::none;
    const Derivative norm = normed ? derivative(Rule::norm) : Derivative::plain;
    const at::Tensor dkey = detail::keys(dkey_value);
    attend_backward(attention, dz, derivatives, dquery, dkey, detail::values(dkey_value));
    if (derivatives.pattern == Derivative::replaced) return;  // both gradients are zero, and stay so
    turn_back(dquery, b.length - rows_.queries, rows_.queries);
    turn_back(dkey, b.prefix_length(), rows_.suffix);
    if (!normed) return;
    const NormedHeads& query = tape().query_norm;
    const NormedHeads& key = tape().key_norm;
    detail::norm_heads_backward(a_, form, {taped_queries(query.input), taped_queries(query.mean_rstd)},
                                weights().query_norm_weight, norm, dquery);
    detail::norm_heads_backward(a_, form, {taped_rows(key.input), taped_rows(key.mean_rstd)}, weights().key_norm_weight,
                                norm, dkey);
  }

  void turn_back(const at::Tensor& rows, std::int64_t first, std::int64_t positions) const {
    detail::turn(spec().attention, tables_, rows, first, positions, RotationSense::inverse);
  }

  /// From the kept positions of each sequence to all of the suffix.
  void spread() {
    const at::Tensor kept = used(gradient_, gradient_rows_);
    gradient_rows_ = rows_.rows();
    gradient_ = at::zeros({padded_rows(gradient_rows_), a_.d_model}, model_.score_options());
    last_positions(used(gradient_, gradient_rows_), rows_.suffix, rows_.queries)
        .copy_(kept.unflatten(0, {-1, rows_.queries}));
    operand_ = one_type_ ? gradient_ : at::zeros({padded_rows(gradient_rows_), a_.d_model}, model_.options());
  }

  /// From the MLP to the attention, leaving behind the sequences that entered between the two.
  void leave(Before half) {
    const std::int64_t before = rows_.sequences;
    rows_ = geometry(block_, half);
    if (rows_.sequences == before) return;
    shrink(rows_.query_rows());
    if (options_.flops != nullptr) {
      options_.flops->count += mlp_flops(a_, spec(), (before - rows_.sequences) * rows_.queries);
    }
  }

  /// To the block below, leaving behind the sequences that entered at this one.
  void descend() {
    rows_ = geometry(block_ - 1, Before::mlp);
    shrink(rows_.rows());
  }

  void shrink(std::int64_t rows) {
    gradient_rows_ = rows;
    gradient_ = used(gradient_, padded_rows(rows));
    operand_ = used(operand_, padded_rows(rows));
  }

  const Architecture& a_;
  const Weights& weights_;
  const Transformer& model_;
  const Pass& pass_;
  SequenceRange range_;
  const BackwardOptions& options_;
  bool one_type_;  // the stream's dtype is the network's
  std::vector<RotaryTables> tables_;
  std::int64_t block_ = 0;
  BlockGeometry rows_;  // of the block at hand
  std::int64_t gradient_rows_ = 0;
  at::Tensor gradient_, operand_;
};

void Transformer::backward(const Pass& pass, SequenceRange range, const at::Tensor& gradient,
                           const BackwardOptions& options) const {
  const at::NoGradGuard no_gradients;
  BackwardPass(*this, pass, range, options).run(gradient);
}

}  // namespace tributary
