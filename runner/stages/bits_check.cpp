// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/bits_check.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "runner/job/prompts.h"

namespace tributary {
namespace {

/// Rows of the largest batch, or two sequences: long prompts are dear.
constexpr std::int64_t most_rows = 2048;

/// One of the ways in which units come to compute the same prompt.
struct Way {
  std::int64_t copies = 1;  // of the prompt: half of them before the others, half behind
  std::int64_t others = 0;  // sequences beside it
  std::int64_t shared = 0;  // its leading positions that are computed once for all
};

/// Neurons and their gradients in each block [copy, pos, neuron], of the positions that are computed: with the shared
/// positions computed in the same pass, with them given, and (neurons alone) with a last block of all positions.
using Values = std::vector<at::Tensor>;

/// embeddings [1, pos, d_model] of the prompt, which enter so many blocks below the top.
Values values_of(const Transformer& model, const at::Tensor& embeddings, std::int64_t blocks, const Way& way) {
  const std::int64_t first = std::max<std::int64_t>(0, model.architecture().layers() - blocks);
  const std::int64_t sequences = way.copies + way.others;
  Batch batch;
  batch.length = embeddings.size(1);
  batch.suffix = batch.length - way.shared;
  const at::Tensor suffix = embeddings.narrow(1, way.shared, batch.suffix);
  const std::int64_t behind = way.copies / 2, before = way.copies - behind;
  batch.entries = {{first, at::cat({suffix.repeat({before, 1, 1}), (suffix * 0.5).repeat({way.others, 1, 1}),
                                    suffix.repeat({behind, 1, 1})})}};
  Prefix prefix;
  Batch given = batch;
  Values seen;
  const auto keep = [&](const at::Tensor& all) {
    seen.push_back(at::cat({all.narrow(0, 0, before), all.narrow(0, before + way.others, behind)}));
  };
  ForwardOptions forward;
  if (way.shared > 0) {
    prefix.blocks.resize(static_cast<std::size_t>(first));  // those of the blocks below are not needed
    batch.pairs = given.pairs = at::zeros({sequences}, embeddings.options().dtype(at::kLong));
    batch.prefix_embeddings = embeddings.narrow(1, 0, way.shared);
    forward.prefix = &prefix;
    given.prefix = &prefix;
  }
  const auto both_ways = [&](const Batch& one) {
    forward.tape = ForwardOptions::Tape::keep;
    forward.neurons = [&](std::int64_t, const at::Tensor& a) { keep(a); };
    const Pass pass = model.forward(one, forward);
    BackwardOptions backward;
    backward.neurons = [&](std::int64_t, const at::Tensor&, const at::Tensor& gradient) { keep(gradient); };
    model.backward(pass, {0, sequences}, pass.resid, backward);  // any gradient will do
  };
  both_ways(batch);
  forward.prefix = nullptr;
  both_ways(given);
  forward.tape = ForwardOptions::Tape::none;
  forward.last_block = LastBlock::all_positions;
  model.forward(given, forward);
  return seen;
}

/// Whether each copy has the bits of the prompt that was computed alone.
bool same_bits(const Values& found, const Values& alone) {
  return std::equal(found.begin(), found.end(), alone.begin(), [](const at::Tensor& some, const at::Tensor& all) {
    return at::equal(some, all.narrow(1, all.size(1) - some.size(1), some.size(1)).expand_as(some));
  });
}

bool bits_hold(const Transformer& model, const at::Tensor& ids, const BitsCheck& check) {
  const at::Tensor embeddings = model.embed(ids);
  const std::int64_t length = ids.size(1);
  const Values alone = values_of(model, embeddings, check.blocks, {});
  // Seven at most: no multiple of 32 rows, so the padding has its part to play.
  const std::int64_t together = std::clamp<std::int64_t>(most_rows / length, 2, 7);
  std::vector<Way> ways{{.copies = together / 2, .others = together - together / 2},
                        {.copies = 1, .others = 0, .shared = length / 7},
                        {.copies = 1, .others = 1, .shared = length / 2},
                        {.copies = together / 2, .others = together - together / 2, .shared = length - 1}};
  // Products of ours have independent rows as they are written: what reads their results is to be tried.
  if (check.rows == 0 && has_own_products(model)) ways = {ways[2], ways[3]};
  if (const std::int64_t many = check.rows / length; many > together) ways.push_back({.copies = 2, .others = many - 2});
  return std::all_of(ways.begin(), ways.end(),
                     [&](const Way& way) { return same_bits(values_of(model, embeddings, check.blocks, way), alone); });
}

}  // namespace

bool bits_hold(const Job& job, const BitsCheck& check) {
  const std::vector<TokenPair>& pairs = job.pairs.train;
  const auto longest = std::max_element(pairs.begin(), pairs.end(),
                                        [](const TokenPair& a, const TokenPair& b) { return a.length() < b.length(); });
  const at::Tensor ids = prompts_of(job, pairs, {longest - pairs.begin()}).clean;
  return bits_hold(*job.working, ids, check) && (job.exact == job.working || bits_hold(*job.exact, ids, check));
}

}  // namespace tributary
