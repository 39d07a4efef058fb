// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <utility>

#include "attribution/model/detail/rows.h"
#include "attribution/model/functions.h"
#include "attribution/model/rotary.h"
#include "attribution/model/transformer.h"
#include "common/errors.h"

namespace tributary {

using detail::last_positions;
using detail::row_buffer;
using detail::used;

/// One forward pass under way. Rows: those of the prefix when it is computed in passing, then `live` a sequence.
class ForwardPass {
 public:
  ForwardPass(const Transformer& model, Batch batch, const ForwardOptions& options)
      : a_(model.architecture_), weights_(model.weights_), model_(model), options_(options) {
    pass_.batch = std::move(batch);
    const Batch& b = pass_.batch;
    TRIBUTARY_EXPECT(!b.entries.empty() && b.live >= 1 && b.length <= a_.max_positions,
                     "prompts are checked against max_positions when read");
    pass_.first = b.entries.front().block;
    if (b.prefix_embeddings.defined()) pass_.front = b.prefix_embeddings.size(0) * b.before();
    if (a_.positions == PositionKind::rotary) {
      tables_ = rotary_tables(a_.rotary, a_.d_head, b.length, model.score_options());
    }
  }

  Pass run() {
    for (block_ = pass_.first; block_ < a_.layers; ++block_) {
      enter();
      if (options_.stream) options_.stream(block_, sequences_of(used(stream_, rows_), pass_.batch.live));
      attention();
      mlp();
    }
    finish();
    return std::move(pass_);
  }

 private:
  [[nodiscard]] const LayerWeights& weights() const { return weights_.layers[static_cast<std::size_t>(block_)]; }
  [[nodiscard]] bool trimmed() const {
    return block_ == a_.layers - 1 && options_.last_block == LastBlock::last_position;
  }

  /// The sequences' own part of rows as [sequence, pos, width].
  [[nodiscard]] at::Tensor sequences_of(const at::Tensor& rows, std::int64_t positions) const {
    const std::int64_t front = rows.size(0) - sequences_ * positions;
    return rows.narrow(0, front, sequences_ * positions).unflatten(0, {-1, positions});
  }

  /// The stream before this block, normalised: what the block below left, and the sequences that enter here.
  void enter() {
    const Batch& b = pass_.batch;
    const std::int64_t old_rows = rows_;
    sequences_ = detail::entered(b, block_);
    rows_ = pass_.front + sequences_ * b.live;
    stream_ = row_buffer(rows_, a_.d_model, model_.score_options());
    normalised_ = row_buffer(rows_, a_.d_model, model_.options());
    statistics_ = at::empty({rows_, 2}, model_.score_options());
    const Norm norm = detail::attention_norm(a_, weights());
    if (old_rows > 0) {
      add_normalise(used(middle_, old_rows), used(addend_, old_rows), used(stream_, old_rows), norm,
                    used(normalised_, old_rows), used(statistics_, old_rows));
    }
    if (rows_ == old_rows) return;
    std::int64_t next = old_rows;
    const auto put = [&](const at::Tensor& states, std::int64_t first_position) {  // [sequence, pos, d_model]
      const at::Tensor place = stream_.narrow(0, next, states.size(0) * states.size(1)).view(states.sizes());
      place.copy_(states);
      if (block_ == 0 && a_.positions == PositionKind::learned) {
        place.add_(weights_.position_embedding.narrow(0, first_position, states.size(1)));
      }
      next += states.size(0) * states.size(1);
    };
    if (block_ == pass_.first && pass_.front > 0) put(b.prefix_embeddings, 0);
    for (const Entry& entry : b.entries) {
      if (entry.block == block_) put(entry.stream, b.before());
    }
    TRIBUTARY_EXPECT(next == rows_, "entries are in ascending order of blocks");
    const auto entering = [&](const at::Tensor& t) { return t.narrow(0, old_rows, rows_ - old_rows); };
    normalise(entering(stream_), norm, entering(normalised_), entering(statistics_));
  }

  void attention() {
    const LayerWeights& w = weights();
    const std::int64_t live = pass_.batch.live;
    const std::int64_t width = a_.heads * a_.d_head;
    at::Tensor query, key_value;  // [rows, heads * d_head], [rows, 2 * kv_heads * d_head]
    if (trimmed()) {
      const at::Tensor last = row_buffer(sequences_, a_.d_model, model_.options());
      used(last, sequences_).copy_(last_positions(own(normalised_), live));
      query = used(at::linear(last, w.query_weight(width), w.query_bias(width)), sequences_);
      key_value = used(at::linear(normalised_, w.key_value_weight(width), w.key_value_bias(width)), rows_);
    } else {
      const at::Tensor projected = used(at::linear(normalised_, w.qkv_weight, w.qkv_bias), rows_);
      query = projected.narrow(1, 0, width);
      key_value = projected.narrow(1, width, projected.size(1) - width);
    }
    rotate_queries(query);
    rotate_keys(key_value);
    const at::Tensor mixed = row_buffer(query.size(0), width, model_.options());
    attend_all(query, key_value, mixed);
    addend_ = at::linear(mixed, w.output_weight, w.output_bias);

    query_rows_ = query.size(0);
    const at::Tensor base = trimmed() ? last_positions(own(stream_), live) : used(stream_, rows_);
    middle_ = row_buffer(query_rows_, a_.d_model, model_.score_options());
    const at::Tensor normalised = row_buffer(query_rows_, a_.d_model, model_.options());
    const at::Tensor statistics = at::empty({query_rows_, 2}, model_.score_options());
    add_normalise(base, used(addend_, query_rows_), used(middle_, query_rows_), detail::mlp_norm(a_, w),
                  used(normalised, query_rows_), statistics);
    if (options_.tape == ForwardOptions::Tape::keep) {
      pass_.blocks.push_back(
          {used(stream_, rows_), statistics_, query, key_value, used(middle_, query_rows_), statistics, {}});
    }
    normalised_ = normalised;
    count(sequences_, query_rows_ == sequences_ ? 1 : live);
  }

  void mlp() {
    const LayerWeights& w = weights();
    const at::Tensor expanded = at::linear(normalised_, w.expand_weight, w.expand_bias);  // [rows, (2 *) neurons]
    const at::Tensor a = row_buffer(query_rows_, a_.neurons, model_.options());
    gate(used(expanded, query_rows_), detail::gate_of(a_), used(a, query_rows_));
    if (!pass_.blocks.empty()) pass_.blocks.back().expanded = used(expanded, query_rows_);
    if (options_.neurons) options_.neurons(block_, sequences_of(used(a, query_rows_), positions_now()));
    addend_ = at::linear(a, w.down_weight, w.down_bias);
    rows_ = query_rows_;
  }

  /// After the last block: the stream, without anything to normalise for.
  void finish() {
    const Batch& b = pass_.batch;
    const std::int64_t inside = sequences_;
    std::vector<at::Tensor> streams;
    if (inside > 0) {
      const at::Tensor sum = at::empty({rows_, a_.d_model}, model_.score_options());
      const Norm any = detail::mlp_norm(a_, weights_.layers.front());
      add_normalise(used(middle_, rows_), used(addend_, rows_), sum, any, {}, {});
      streams.push_back(sequences_of(sum, positions_of(rows_, inside)));
    }
    for (const Entry& entry : b.entries) {
      if (entry.block < a_.layers) continue;
      streams.push_back(options_.last_block == LastBlock::last_position ? entry.stream.narrow(1, b.live - 1, 1)
                                                                        : entry.stream);
    }
    pass_.stream = streams.size() == 1 ? streams.front() : at::cat(streams);
  }

  [[nodiscard]] at::Tensor own(const at::Tensor& buffer) const {
    return buffer.narrow(0, pass_.front, rows_ - pass_.front);
  }
  [[nodiscard]] std::int64_t positions_now() const { return positions_of(query_rows_, sequences_); }
  [[nodiscard]] std::int64_t positions_of(std::int64_t rows, std::int64_t sequences) const {
    return rows == sequences ? 1 : (rows - pass_.front) / sequences;
  }

  void rotate_part(const at::Tensor& rows, std::int64_t first, std::int64_t positions) const {
    if (rows.size(0) > 0) rotate(rows, {tables_.cosine, tables_.sine, first, positions}, Turn::forward);
  }
  void rotate_queries(const at::Tensor& query) const {
    if (a_.positions != PositionKind::rotary) return;
    if (trimmed()) {
      rotate_part(query, pass_.batch.length - 1, 1);
    } else {
      rotate_both(query);
    }
  }
  void rotate_keys(const at::Tensor& key_value) const {
    if (a_.positions == PositionKind::rotary) rotate_both(detail::keys(key_value));
  }
  void rotate_both(const at::Tensor& rows) const {
    const Batch& b = pass_.batch;
    if (pass_.front > 0) rotate_part(rows.narrow(0, 0, pass_.front), 0, b.before());
    rotate_part(rows.narrow(0, pass_.front, rows_ - pass_.front), b.before(), b.live);
  }

  void attend_all(const at::Tensor& query, const at::Tensor& key_value, const at::Tensor& mixed) {
    const Batch& b = pass_.batch;
    const std::int64_t front = pass_.front;
    const std::int64_t query_front = trimmed() ? 0 : front;  // the last block needs no queries of the prefix
    Attention attention = detail::attention_of(a_, query.narrow(0, query_front, query.size(0) - query_front),
                                               key_value.narrow(0, front, rows_ - front), sequences_);
    at::Tensor before;
    if (front > 0) {
      before = key_value.narrow(0, 0, front);
      const std::int64_t pairs = front / b.before();
      if (query_front > 0) {
        attend(detail::attention_of(a_, query.narrow(0, 0, front), before, pairs), mixed.narrow(0, 0, front));
      }
      if (options_.flops != nullptr) {
        Batch prefix;
        prefix.length = prefix.live = b.before();
        const std::int64_t queries = query_front > 0 ? prefix.live : 0;
        options_.flops->count += forward_flops(a_, detail::block_work(a_, prefix, pairs, queries));
      }
      if (options_.prefix != nullptr) options_.prefix->blocks.push_back(before.clone());
    } else if (b.before() > 0) {
      before = b.prefix->blocks[static_cast<std::size_t>(block_)];
    }
    if (b.before() > 0) detail::set_prefix(attention, b.before(), before, b.pairs.narrow(0, 0, sequences_));
    attend(attention, mixed.narrow(0, query_front, query.size(0) - query_front));
  }

  void count(std::int64_t sequences, std::int64_t queries) const {
    if (options_.flops == nullptr) return;
    options_.flops->count += forward_flops(a_, detail::block_work(a_, pass_.batch, sequences, queries));
  }

  const Architecture& a_;
  const Weights& weights_;
  const Transformer& model_;
  const ForwardOptions& options_;
  RotaryTables tables_;
  Pass pass_;
  std::int64_t block_ = 0, rows_ = 0, query_rows_ = 0, sequences_ = 0;
  at::Tensor stream_, normalised_, statistics_;  // of the block's attention, then (normalised_) of its MLP
  at::Tensor middle_, addend_;                   // the next stream is their sum
};

Pass Transformer::forward(Batch batch, const ForwardOptions& options) const {
  const at::NoGradGuard no_gradients;
  return ForwardPass(*this, std::move(batch), options).run();
}

}  // namespace tributary
