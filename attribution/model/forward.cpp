// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One block, with the names of its buffers:
//
//   normalised      = norm(resid_pre)                     rows of all positions that are computed
//   query | key_value = W_qkv · normalised + b_qkv        query and key are then normed, where the block says so, and
//                                                         turned by their positions
//   z               = softmax(cap(scale · query · key)) · value      query rows, in all heads side by side
//   attn_out        = multiplier · post_norm(W_O · z + b_O)
//   resid_mid       = resid_pre + attn_out
//   normalised      = norm(resid_mid), in a parallel block norm(resid_pre)
//   pre_activations = W_in · normalised + b_in             gate and up side by side, or the one of a plain MLP
//   a               = act(gate) ⊙ up, or act(pre)          the neurons
//   mlp_out         = multiplier · post_norm(W_down · a + b_down)
//   resid_post      = resid_mid + mlp_out                  the next block's resid_pre
//
// Norms, caps and multipliers that a block's spec does not have are left out.
// The two additions to the stream are made together with the norm that reads their sum, in one pass over memory: that
// of a block's mlp_out therefore when the next block begins (enter), or at the end (finish).
#include <ATen/core/grad_mode.h>

#include <utility>

#include "attribution/model/detail/rows.h"
#include "attribution/model/functions.h"
#include "attribution/model/products.h"
#include "attribution/model/tensors.h"
#include "attribution/model/transformer.h"
#include "common/errors.h"

namespace tributary {

using detail::BlockGeometry;
using detail::last_positions;
using detail::row_buffer;
using detail::used;

/// One forward pass under way.
class ForwardPass {
 public:
  ForwardPass(const Transformer& model, Batch batch, const ForwardOptions& options)
      : a_(model.architecture_), weights_(model.weights_), model_(model), options_(options) {
    pass_.batch = std::move(batch);
    pass_.last_block = options.last_block;
    const Batch& b = pass_.batch;
    TRIBUTARY_EXPECT(!b.entries.empty() && b.suffix >= 1 && b.length <= a_.max_positions,
                     "prompts are checked against max_positions when read");
    TRIBUTARY_EXPECT(b.reads.kept() <= b.suffix, "what the metric reads is computed");
    pass_.first = b.entries.front().block;
    if (b.prefix_embeddings.defined()) pass_.prefix_rows = b.prefix_embeddings.size(0) * b.prefix_length();
    tables_ = detail::rotary_tables_of(model, b.length);
  }

  Pass run() {
    for (block_ = pass_.first; block_ < a_.layers(); ++block_) {
      enter();
      change_resid_pre();
      if (options_.resid_pre && rows_.sequences > 0) {
        options_.resid_pre(block_, by_sequence(rows_.own(used(resid_pre_, rows_.rows()))));
      }
      attention();
      mlp();
    }
    finish();
    return std::move(pass_);
  }

 private:
  [[nodiscard]] const LayerWeights& weights() const { return weights_.layers[static_cast<std::size_t>(block_)]; }
  [[nodiscard]] const BlockSpec& spec() const { return a_.block(block_); }

  /// The sequences' own rows as [sequence, pos, width].
  [[nodiscard]] at::Tensor by_sequence(const at::Tensor& own) const {
    return own.unflatten(0, {rows_.sequences, own.size(0) / rows_.sequences});
  }

  /// Of the sequences that have entered before a half of the block.
  [[nodiscard]] BlockGeometry geometry(Before half) const {
    const bool trimmed = block_ == a_.layers() - 1 && options_.last_block == LastBlock::read_positions;
    const Batch& b = pass_.batch;
    return {pass_.prefix_rows, detail::entered(b, block_, half), b.suffix, trimmed ? b.reads.kept() : b.suffix,
            trimmed};
  }

  /// resid_pre and its norm: of what the block below left, and of the sequences that enter here.
  void enter() {
    const Batch& b = pass_.batch;
    const std::int64_t below = rows_.sequences > 0 ? rows_.query_rows() : 0;
    rows_ = geometry(Before::attention);
    const std::int64_t rows = rows_.rows();
    resid_pre_ = row_buffer(rows, a_.d_model, model_.score_options());
    normalised_ = row_buffer(rows, a_.d_model, model_.options());
    mean_rstd_ = at::empty({rows, 2}, model_.score_options());
    const Norm norm = detail::attention_norm(spec(), weights());
    if (below > 0) {
      add_normalise(used(resid_mid_, below), used(mlp_out_, below), used(resid_pre_, below), norm,
                    used(normalised_, below), used(mean_rstd_, below));
    }
    if (rows == below) return;
    std::int64_t next = below;
    const auto put = [&](const at::Tensor& resid, std::int64_t first_position) {  // [sequence, pos, d_model]
      const at::Tensor place = resid_pre_.narrow(0, next, resid.size(0) * resid.size(1)).view(resid.sizes());
      place.copy_(resid);
      if (block_ == 0 && a_.learned_positions) {
        place.add_(weights_.position_embedding.narrow(0, first_position, resid.size(1)));
      }
      next += resid.size(0) * resid.size(1);
    };
    if (block_ == pass_.first && pass_.prefix_rows > 0) put(b.prefix_embeddings, 0);
    for (const Entry& entry : b.entries) {
      if (entry.block == block_ && entry.before == Before::attention) put(entry.resid, b.prefix_length());
    }
    TRIBUTARY_EXPECT(next == rows, "entries are in ascending order of blocks");
    const auto entering = [&](const at::Tensor& t) { return t.narrow(0, below, rows - below); };
    normalise(entering(resid_pre_), norm, entering(normalised_), entering(mean_rstd_));
  }

  /// Lets the sequences' own rows of the stream be changed.
  [[nodiscard]] bool changes(Before half, const at::Tensor& own) const {
    return options_.stream && rows_.sequences > 0 && options_.stream(block_, half, by_sequence(own));
  }

  void change_resid_pre() {
    const at::Tensor own = rows_.own(resid_pre_);
    if (!changes(Before::attention, own)) return;
    normalise(own, detail::attention_norm(spec(), weights()), rows_.own(normalised_), rows_.own(mean_rstd_));
  }

  void attention() {
    const Attended attended = rows_.rows() > 0 ? attend_block() : Attended{};
    const std::int64_t ran = rows_.query_rows();
    const BlockGeometry all = geometry(Before::mlp);
    const std::int64_t rows = all.query_rows();
    TRIBUTARY_EXPECT(rows == ran || spec().residual == Residual::sequential,
                     "no sequence enters inside of a parallel block");
    resid_mid_ = row_buffer(rows, a_.d_model, model_.score_options());
    const at::Tensor normalised = row_buffer(rows, a_.d_model, model_.options());
    const at::Tensor mean_rstd = at::empty({rows, 2}, model_.score_options());
    const bool parallel = spec().residual == Residual::parallel;
    const Norm norm = detail::mlp_norm(spec(), weights());
    const auto first = [ran](const at::Tensor& t) { return used(t, ran); };
    if (parallel) {
      add_normalise(attended.base, attended.out.added, first(resid_mid_), norm, {}, {});
      normalise(attended.base, norm, first(normalised), mean_rstd);
    } else if (ran > 0) {
      add_normalise(attended.base, attended.out.added, first(resid_mid_), norm, first(normalised), first(mean_rstd));
    }
    if (rows > ran) {
      enter_before_mlp(ran, all.queries);
      const auto entering = [&](const at::Tensor& t) { return t.narrow(0, ran, rows - ran); };
      normalise(entering(resid_mid_), norm, entering(normalised), entering(mean_rstd));
    }
    if (options_.tape == ForwardOptions::Tape::keep) {
      pass_.blocks.push_back({.resid_pre = used(resid_pre_, rows_.rows()),
                              .attention_mean_rstd = mean_rstd_,
                              .query = attended.projected.query,
                              .key_value = attended.projected.key_value,
                              .query_norm = attended.projected.query_norm,
                              .key_norm = attended.projected.key_norm,
                              .attention_written = for_tape(attended.out),
                              .mlp_written = {},
                              .mlp_stream = parallel ? attended.base : used(resid_mid_, rows),
                              .mlp_mean_rstd = mean_rstd,
                              .pre_activations = {}});
    }
    normalised_ = normalised;
    count(pass_.batch, rows_.sequences, rows_.queries);
    if (options_.flops != nullptr) options_.flops->count += mlp_flops(a_, spec(), rows - ran);
    rows_ = all;
    if (!parallel && changes(Before::mlp, rows_.own_queries(resid_mid_))) {
      normalise(rows_.own_queries(resid_mid_), norm, rows_.own_queries(normalised), rows_.own_queries(mean_rstd));
    }
  }

  struct Projected {
    at::Tensor query, key_value;  // [query rows, heads * d_head], [rows, 2 * kv_heads * d_head]
    NormedHeads query_norm, key_norm;
  };

  /// What the attention of a block leaves behind.
  struct Attended {
    Projected projected;
    Written out;
    at::Tensor base;  // what it is added to [query rows, d_model]
  };

  Attended attend_block() {
    Attended attended;
    attended.projected = project();
    const std::int64_t rows = rows_.query_rows();
    const at::Tensor z = row_buffer(rows, a_.query_width(), model_.options());
    attend_all(attended.projected.query, attended.projected.key_value, z);
    if (options_.z) options_.z(block_, by_sequence(rows_.own_queries(z)));
    attended.out = weights().attention_writer(spec()).apply(z, rows);
    attended.base = rows_.trimmed ? kept_of(resid_pre_) : used(resid_pre_, rows);
    return attended;
  }

  /// resid_mid of the sequences that enter between the halves of the block, behind those of the `ran` rows that have
  /// gone through its attention.
  void enter_before_mlp(std::int64_t ran, std::int64_t queries) {
    const Batch& b = pass_.batch;
    for (const Entry& entry : b.entries) {
      if (entry.block != block_ || entry.before != Before::mlp) continue;
      const at::Tensor kept = entry.resid.narrow(1, b.suffix - queries, queries);  // [sequence, pos, d_model]
      resid_mid_.narrow(0, ran, kept.size(0) * queries).view(kept.sizes()).copy_(kept);
      ran += kept.size(0) * queries;
    }
  }

  /// What the way back needs of what a writer added.
  static Written for_tape(const Written& written) { return {{}, written.input, written.mean_rstd}; }

  /// The kept positions of rows of the sequences' own [sequence * kept, width], which in a trimmed block are the query
  /// rows.
  [[nodiscard]] at::Tensor kept_of(const at::Tensor& buffer) const {
    return last_positions(rows_.own(buffer), rows_.suffix, rows_.queries).flatten(0, 1);
  }

  /// Queries, keys and values, normed and turned by their positions. In the last block they are two products even where
  /// it is not trimmed: a product's bits may depend on its width, and the keys of a given prefix come from a trimmed
  /// block.
  Projected project() {
    const LayerWeights& w = weights();
    const std::int64_t width = a_.query_width();
    const Batch& b = pass_.batch;
    Projected p;
    if (block_ == a_.layers() - 1) {
      at::Tensor kept = normalised_;
      if (rows_.trimmed) {
        kept = row_buffer(rows_.query_rows(), a_.d_model, model_.options());
        used(kept, rows_.query_rows()).copy_(kept_of(normalised_));
      }
      p.query = product(kept, rows_.query_rows(), w.query_weight(width).t(), w.query_bias(width));
      p.key_value = product(normalised_, rows_.rows(), w.key_value_weight(width).t(), w.key_value_bias(width));
    } else {
      const at::Tensor both = product(normalised_, rows_.rows(), w.qkv_weight.t(), w.qkv_bias);
      p.query = both.narrow(1, 0, width);
      p.key_value = both.narrow(1, width, both.size(1) - width);
    }
    if (spec().attention.query_key_norm != QueryKeyNorm::none) {
      const at::ScalarType stream = model_.score_type();
      p.query_norm = detail::norm_heads(a_, spec().attention, p.query, w.query_norm_weight, stream);
      p.key_norm = detail::norm_heads(a_, spec().attention, detail::keys(p.key_value), w.key_norm_weight, stream);
    }
    if (rows_.trimmed) {
      turn(p.query, b.length - rows_.queries, rows_.queries);
    } else {
      turn_all(p.query);
    }
    turn_all(detail::keys(p.key_value));
    return p;
  }

  void turn(const at::Tensor& rows, std::int64_t first, std::int64_t positions) const {
    detail::turn(spec().attention, tables_, rows, first, positions, RotationSense::forward);
  }
  /// Rows of every position: the prefix's, then the sequences' own.
  void turn_all(const at::Tensor& rows) const {
    const Batch& b = pass_.batch;
    turn(rows.narrow(0, 0, rows_.prefix_rows), 0, b.prefix_length());
    turn(rows_.own(rows), b.prefix_length(), rows_.suffix);
  }

  /// z of the prefix's own queries, where they go on, and of the sequences, which see the prefix too.
  void attend_all(const at::Tensor& query, const at::Tensor& key_value, const at::Tensor& z) {
    const Batch& b = pass_.batch;
    const AttentionSpec& attention = spec().attention;
    at::Tensor prefix;  // keys and values [pair * prefix, 2 * kv_heads * d_head]
    if (rows_.prefix_rows > 0) {
      prefix = used(key_value, rows_.prefix_rows);
      attend_prefix(query, prefix, z);
    } else if (b.prefix_length() > 0) {
      prefix = b.prefix->blocks[static_cast<std::size_t>(block_)];
    }
    Attention own =
        detail::attention_of(a_, attention, rows_.own_queries(query), rows_.own(key_value), rows_.sequences);
    if (b.prefix_length() > 0) {
      detail::add_prefix(own, b.prefix_length(), prefix, b.pairs.narrow(0, 0, rows_.sequences));
    }
    attend(own, rows_.own_queries(z));
  }

  /// A prefix that is computed in passing attends to itself; its keys and values are handed out.
  void attend_prefix(const at::Tensor& query, const at::Tensor& prefix, const at::Tensor& z) {
    const std::int64_t rows = rows_.query_prefix_rows();
    Batch alone;
    alone.length = alone.suffix = pass_.batch.prefix_length();
    const std::int64_t pairs = rows_.prefix_rows / alone.length;
    if (rows > 0) {
      Attention own = detail::attention_of(a_, spec().attention, used(query, rows), prefix, pairs);
      own.tokens = pass_.batch.length;
      attend(own, used(z, rows));
    }
    count(alone, pairs, rows > 0 ? alone.length : 0);
    if (options_.prefix != nullptr) options_.prefix->blocks.push_back(prefix.clone());
  }

  void mlp() {
    const LayerWeights& w = weights();
    const std::int64_t rows = rows_.query_rows();
    const at::Tensor pre_activations = product(normalised_, rows, w.expand_weight.t(), w.expand_bias);
    const at::Tensor a = row_buffer(rows, a_.neurons, model_.options());
    gate(pre_activations, detail::gate_of(a_, spec()), used(a, rows));
    if (!pass_.blocks.empty()) pass_.blocks.back().pre_activations = pre_activations;
    if (options_.neurons) options_.neurons(block_, by_sequence(rows_.own_queries(a)));
    const auto own = [&](const at::Tensor& t) { return by_sequence(rows_.own_queries(used(t, rows))); };
    const Writer writer = w.mlp_writer(spec());
    const at::Tensor written = writer.input(a, rows);
    if (options_.mlp_written) options_.mlp_written(block_, own(written));
    const Written mlp_out = writer.add(written);
    if (options_.mlp_out) options_.mlp_out(block_, own(mlp_out.added));
    if (!pass_.blocks.empty()) pass_.blocks.back().mlp_written = for_tape(mlp_out);
    mlp_out_ = mlp_out.added;
  }

  /// resid_post of the last block, and of sequences that enter above it.
  void finish() {
    const Batch& b = pass_.batch;
    std::vector<at::Tensor> streams;  // [sequence, kept or suffix, d_model]
    if (rows_.sequences > 0) {
      const std::int64_t rows = rows_.query_rows();
      const at::Tensor sum = at::empty({rows, a_.d_model}, model_.score_options());
      const Norm any =
          detail::mlp_norm(a_.blocks.back(), weights_.layers.back());  // its dtype is read, no norm is taken
      add_normalise(used(resid_mid_, rows), used(mlp_out_, rows), sum, any, {}, {});
      streams.push_back(by_sequence(rows_.own_queries(sum)));
    }
    const std::int64_t kept = options_.last_block == LastBlock::read_positions ? b.reads.kept() : b.suffix;
    for (const Entry& entry : b.entries) {
      if (entry.block >= a_.layers()) streams.push_back(entry.resid.narrow(1, b.suffix - kept, kept));
    }
    pass_.resid = streams.size() == 1 ? streams.front() : at::cat(streams);
    if (options_.stream) options_.stream(a_.layers(), Before::attention, pass_.resid);
  }

  void count(const Batch& batch, std::int64_t sequences, std::int64_t queries) const {
    if (options_.flops == nullptr) return;
    options_.flops->count += forward_flops(a_, spec(), detail::block_work(spec(), batch, sequences, queries));
  }

  const Architecture& a_;
  const Weights& weights_;
  const Transformer& model_;
  const ForwardOptions& options_;
  std::vector<RotaryTables> tables_;
  Pass pass_;
  std::int64_t block_ = 0;
  BlockGeometry rows_;  // of the block at hand
  at::Tensor resid_pre_, mean_rstd_;
  at::Tensor normalised_;           // what the next matrix product reads
  at::Tensor resid_mid_, mlp_out_;  // resid_post is their sum
};

Pass Transformer::forward(Batch batch, const ForwardOptions& options) const {
  const at::NoGradGuard no_gradients;
  return ForwardPass(*this, std::move(batch), options).run();
}

}  // namespace tributary
