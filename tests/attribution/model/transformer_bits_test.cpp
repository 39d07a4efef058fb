// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// No bit of a sequence's metric or gradients depends on how it was run: with whom, with the positions before it
// computed or given, from block 0 or entering later, before a block or between its halves, on the way down with all or
// with some.
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "attribution/model/transformer.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/engine_run.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing::transformer_bits {
namespace {

constexpr std::int64_t length = 7;

class Bits : public ::testing::TestWithParam<std::tuple<Kind, at::ScalarType>> {
 protected:
  [[nodiscard]] Transformer model() const { return tiny_model(std::get<0>(GetParam()), std::get<1>(GetParam())); }
  [[nodiscard]] Prompts prompts(std::int64_t pairs, std::int64_t differing = 1) const {
    return tiny_prompts(pairs, length, stream_type(std::get<1>(GetParam())), differing);
  }
};
INSTANTIATE_TEST_SUITE_P(Transformer, Bits,
                         ::testing::Combine(::testing::Values(Kind::llama, Kind::mistral, Kind::gpt2, Kind::patchwork,
                                                              Kind::gemma, Kind::olmo, Kind::neox),
                                            ::testing::Values(at::kFloat, at::kDouble, at::kBFloat16)),
                         [](const auto& one) {
                           return name_of(std::get<0>(one.param)) + "_" + c10::toString(std::get<1>(one.param));
                         });

/// Sequence `i` of one run against sequence `j` of another, in the blocks that both have, at the positions of `some`.
void expect_same_sequence(const EngineRun& some, std::int64_t i, const EngineRun& all, std::int64_t j) {
  expect_same_bits(some.metric[i], all.metric[j]);
  const auto compare = [&](const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
    for (std::size_t l = 0; l < a.size(); ++l) {
      if (!a[l].defined() || !b[l].defined() || a[l].size(0) <= i || b[l].size(0) <= j) continue;
      expect_same_bits(a[l].narrow(0, i, 1), last_of(b[l].narrow(0, j, 1), a[l]).contiguous());
    }
  };
  compare(some.neurons, all.neurons);
  compare(some.recomputed, all.recomputed);
  compare(some.neuron_gradients, all.neuron_gradients);
  compare(some.stream_gradients, all.stream_gradients);
  compare(some.mids, all.mids);
  compare(some.mid_gradients, all.mid_gradients);
  for (const Site site : {Site::z, Site::mlp_written, Site::mlp_out}) {
    compare(some.values.at(site), all.values.at(site));
    compare(some.gradients.at(site), all.gradients.at(site));
  }
}

TEST_P(Bits, DoNotDependOnTheBatch) {
  const Transformer m = model();
  const Prompts p = prompts(13);
  const at::Tensor e = m.embed(p.clean);
  const LogitDirections directions = m.logit_directions(p.tokens);
  const EngineRun together = engine_run(m, whole_batch(e), directions);
  for (int i = 0; i < 13; ++i) {
    const EngineRun alone = engine_run(m, whole_batch(e.narrow(0, i, 1)), directions.narrow(i, 1));
    expect_same_sequence(alone, 0, together, i);
  }
}

/// Clean and counterfactual prompts of which the first `shared` positions are computed once, in passing.
Batch trimmed_batch(const Transformer& m, const Prompts& p, std::int64_t shared) {
  const at::Tensor clean = m.embed(p.clean);
  const std::int64_t pairs = clean.size(0);
  Batch batch;
  batch.length = length;
  batch.suffix = length - shared;
  batch.entries = {{0, at::cat({clean, m.embed(p.counterfactual)}).narrow(1, shared, batch.suffix)}};
  batch.pairs = at::arange(pairs, at::kLong).repeat({2});
  batch.prefix_embeddings = clean.narrow(1, 0, shared);
  return batch;
}

TEST_P(Bits, DoNotDependOnAPrefixComputedInPassing) {
  const Transformer m = model();
  for (const std::int64_t shared : {1, 3, 5, 6}) {
    const Prompts p = prompts(3, shared);
    const LogitDirections directions = m.logit_directions(p.tokens).repeat(2);
    const EngineRun whole =
        engine_run(m, whole_batch(at::cat({m.embed(p.clean), m.embed(p.counterfactual)})), directions);
    const EngineRun trimmed = engine_run(m, trimmed_batch(m, p, shared), directions);
    SCOPED_TRACE("shared " + std::to_string(shared));
    for (int i = 0; i < 6; ++i) expect_same_sequence(trimmed, i, whole, i);
  }
}

TEST_P(Bits, DoNotDependOnAPrefixThatIsGiven) {
  const Transformer m = model();
  for (const std::int64_t shared : {1, 4, 6}) {
    const Prompts p = prompts(3, shared);
    const LogitDirections directions = m.logit_directions(p.tokens).repeat(2);
    const EngineRun passing = engine_run(m, trimmed_batch(m, p, shared), directions);
    Batch given = trimmed_batch(m, p, shared);
    given.prefix_embeddings = at::Tensor();
    given.prefix = &passing.prefix;
    // Not in the prefix's order, and one of them twice.
    const at::Tensor order = at::tensor({4, 2, 0, 5, 0}, at::kLong);
    given.entries[0].resid = given.entries[0].resid.index_select(0, order);
    given.pairs = given.pairs.index_select(0, order);
    const EngineRun run = engine_run(m, given, directions.select(order));
    SCOPED_TRACE("shared " + std::to_string(shared));
    for (int i = 0; i < 5; ++i) expect_same_sequence(run, i, passing, order[i].item<std::int64_t>());
  }
}

/// Some sequences of a finished run, and where they enter again.
struct Entering {
  std::int64_t block;
  std::vector<std::int64_t> sequences;
  Before before = Before::attention;
};

/// What a finished run had there. Between the halves of the last block it has the kept positions only: the others are
/// NaN, whoever reads them fails.
at::Tensor stream_at(const EngineRun& run, const Entering& entry) {
  const std::int64_t suffix = run.pass.batch.suffix;
  const auto block = static_cast<std::size_t>(entry.block);
  if (entry.before == Before::attention) {
    const at::Tensor& stream = run.streams[block];
    return stream.size(1) == 1 ? stream.expand({-1, suffix, -1}) : stream;  // after the last block
  }
  const at::Tensor& known = run.mids[block];
  at::Tensor stream =
      at::full({known.size(0), suffix, known.size(2)}, std::numeric_limits<double>::quiet_NaN(), known.options());
  last_of(stream, known).copy_(known);
  return stream;
}

/// Sequences of a finished run that enter again, in ascending order of places, from the streams they had there.
Batch entering(const EngineRun& run, const std::vector<Entering>& entries) {
  Batch batch;
  batch.length = run.pass.batch.length;
  batch.suffix = run.pass.batch.suffix;
  std::vector<std::int64_t> all;
  for (const Entering& one : entries) {
    batch.entries.push_back(
        {one.block, stream_at(run, one).index_select(0, at::tensor(one.sequences, at::kLong)), one.before});
    all.insert(all.end(), one.sequences.begin(), one.sequences.end());
  }
  batch.prefix = run.prefix.blocks.empty() ? nullptr : &run.prefix;
  if (batch.prefix != nullptr) batch.pairs = run.pass.batch.pairs.index_select(0, at::tensor(all, at::kLong));
  return batch;
}

TEST_P(Bits, DoNotDependOnTheBlockASequenceEntersAt) {
  const Transformer m = model();
  for (const std::int64_t shared : {0, 2, 6}) {
    const Prompts p = prompts(3, std::max<std::int64_t>(shared, 1));
    const LogitDirections directions = m.logit_directions(p.tokens).repeat(2);
    const at::Tensor embeddings = at::cat({m.embed(p.clean), m.embed(p.counterfactual)});
    const EngineRun whole =
        engine_run(m, shared == 0 ? whole_batch(embeddings) : trimmed_batch(m, p, shared), directions);
    SCOPED_TRACE("shared " + std::to_string(shared));
    const std::vector<std::int64_t> order = {5, 0, 0, 3, 1, 2, 4, 0};  // entering before blocks 1, 1, 2, 2, 2, 3, 3, 3
    const EngineRun wave = engine_run(m, entering(whole, {{1, {5, 0}}, {2, {0, 3, 1}}, {3, {2, 4, 0}}}),
                                      directions.select(at::tensor(order, at::kLong)));
    EXPECT_EQ(wave.pass.first, 1);
    for (std::size_t i = 0; i < order.size(); ++i) {
      expect_same_sequence(wave, static_cast<std::int64_t>(i), whole, order[i]);
    }
    EXPECT_EQ(wave.stream_gradients[1].size(0), 2);  // those that entered above were left behind on the way down
    EXPECT_EQ(wave.stream_gradients[2].size(0), 5);
    EXPECT_EQ(wave.stream_gradients[3].size(0), 8);
    const at::Tensor& above = wave.stream_gradients[3];  // of the last position alone
    EXPECT_EQ(above.narrow(1, 0, above.size(1) - 1).abs().sum().item<double>(), 0);
  }
}

TEST_P(Bits, DoNotDependOnTheHalfOfABlockASequenceEntersAt) {
  const Transformer m = model();
  if (m.architecture().block(0).residual == Residual::parallel) return;  // its halves read the same stream
  for (const std::int64_t shared : {0, 2, 6}) {
    const Prompts p = prompts(3, std::max<std::int64_t>(shared, 1));
    const LogitDirections directions = m.logit_directions(p.tokens).repeat(2);
    const at::Tensor embeddings = at::cat({m.embed(p.clean), m.embed(p.counterfactual)});
    const EngineRun whole =
        engine_run(m, shared == 0 ? whole_batch(embeddings) : trimmed_batch(m, p, shared), directions);
    SCOPED_TRACE("shared " + std::to_string(shared));
    const std::vector<Entering> entries = {{0, {1, 4}, Before::mlp}, {1, {2, 5}}, {1, {0, 3, 1}, Before::mlp}, {2, {4}},
                                           {2, {0, 2}, Before::mlp}, {3, {3, 5}}};
    std::vector<std::int64_t> order;
    for (const Entering& one : entries) order.insert(order.end(), one.sequences.begin(), one.sequences.end());
    const LogitDirections turned = directions.select(at::tensor(order, at::kLong));
    const EngineRun wave = engine_run(m, entering(whole, entries), turned);
    for (std::size_t i = 0; i < order.size(); ++i) {
      expect_same_sequence(wave, static_cast<std::int64_t>(i), whole, order[i]);
    }
    // So many have entered before each half, on both ways.
    EXPECT_FALSE(wave.values.at(Site::z)[0].defined() || wave.gradients.at(Site::z)[0].defined());
    EXPECT_FALSE(wave.stream_gradients[0].defined());
    const std::vector<std::int64_t> before_attention{0, 4, 8}, before_mlp{2, 7, 10};
    for (std::size_t l = 0; l < 3; ++l) {
      EXPECT_EQ(wave.neurons[l].size(0), before_mlp[l]);
      EXPECT_EQ(wave.neuron_gradients[l].size(0), before_mlp[l]);
      EXPECT_EQ(wave.mid_gradients[l].size(0), before_mlp[l]);
      if (l == 0) continue;
      EXPECT_EQ(wave.values.at(Site::z)[l].size(0), before_attention[l]);
      EXPECT_EQ(wave.gradients.at(Site::z)[l].size(0), before_attention[l]);
      EXPECT_EQ(wave.stream_gradients[l].size(0), before_attention[l]);
    }
    // Down with some of them, which cut entries in two and leave out the first and the last.
    for (const SequenceRange range :
         {SequenceRange{1, 4}, SequenceRange{5, 5}, SequenceRange{3, 9}, SequenceRange{8, 1}}) {
      const EngineRun some = engine_run(m, entering(whole, entries), turned, {}, range);
      for (const auto& [of_some, of_all] : {std::pair(&some.stream_gradients, &wave.stream_gradients),
                                            std::pair(&some.mid_gradients, &wave.mid_gradients),
                                            std::pair(&some.neuron_gradients, &wave.neuron_gradients),
                                            std::pair(&some.gradients.at(Site::z), &wave.gradients.at(Site::z))}) {
        for (std::size_t l = 0; l < 3; ++l) {
          const at::Tensor& all = (*of_all)[l];
          const std::int64_t there =
              all.defined() ? std::clamp<std::int64_t>(all.size(0) - range.first, 0, range.count) : 0;
          EXPECT_EQ((*of_some)[l].defined(), there > 0) << "block " << l;
          if (there > 0) expect_same_bits((*of_some)[l], all.narrow(0, range.first, there));
        }
      }
    }
  }
}

TEST_P(Bits, OfSequencesThatAllEnterBetweenTheHalvesAreThoseOfTheWholeRun) {
  const Transformer m = model();
  if (m.architecture().block(0).residual == Residual::parallel) return;
  const Prompts p = prompts(3);
  const LogitDirections directions = m.logit_directions(p.tokens);
  const EngineRun whole = engine_run(m, whole_batch(m.embed(p.clean)), directions);
  for (const std::int64_t block : {0, 1, 2}) {
    const EngineRun late = engine_run(m, entering(whole, {{block, {0, 1, 2}, Before::mlp}}), directions);
    for (std::int64_t i = 0; i < 3; ++i) expect_same_sequence(late, i, whole, i);
    EXPECT_EQ(late.mid_gradients[static_cast<std::size_t>(block)].size(0), 3);
  }
}

TEST_P(Bits, OfARangeAreThoseOfTheWholeWayDown) {
  const Transformer m = model();
  const Prompts p = prompts(3, 2);
  const LogitDirections directions = m.logit_directions(p.tokens).repeat(2);
  const EngineRun whole = engine_run(m, trimmed_batch(m, p, 2), directions);
  for (const SequenceRange range : {SequenceRange{0, 3}, SequenceRange{3, 3}, SequenceRange{4, 1}}) {
    const EngineRun some = engine_run(m, trimmed_batch(m, p, 2), directions, {}, range);
    for (std::size_t l = 0; l < 3; ++l) {
      expect_same_bits(some.stream_gradients[l], whole.stream_gradients[l].narrow(0, range.first, range.count));
      expect_same_bits(some.neuron_gradients[l], whole.neuron_gradients[l].narrow(0, range.first, range.count));
      expect_same_bits(some.recomputed[l], whole.neurons[l].narrow(0, range.first, range.count));
    }
  }
}

TEST_P(Bits, OfARangeOfAWavefrontAreThoseOfItsSequences) {
  const Transformer m = model();
  const Prompts p = prompts(3);
  const LogitDirections directions = m.logit_directions(p.tokens);
  const EngineRun whole = engine_run(m, whole_batch(m.embed(p.clean)), directions);
  const Batch batch = entering(whole, {{1, {0, 1}}, {2, {2, 0}}, {3, {1}}});
  const LogitDirections turned = directions.select(at::tensor({0, 1, 2, 0, 1}, at::kLong));
  const EngineRun some = engine_run(m, batch, turned, {}, {1, 3});  // one of block 1, both of block 2
  expect_same_bits(some.stream_gradients[2],
                   whole.stream_gradients[2].index_select(0, at::tensor({1, 2, 0}, at::kLong)));
  expect_same_bits(some.stream_gradients[1], whole.stream_gradients[1].narrow(0, 1, 1));
}

}  // namespace
}  // namespace tributary::testing::transformer_bits
