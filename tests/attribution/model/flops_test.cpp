// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Counts of floating-point operations against sums written out by hand.
#include "attribution/model/flops.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include "tests/attribution/engine_run.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing {
namespace {

/// d_model 4; queries 2 × 3 wide, keys and values 3 each; 5 neurons. By the row of a matrix product, 2 × in × out:
///   keys and values 2 × 4 × 6 = 48
///   query 2 × 4 × 6 = 48, output 2 × 6 × 4 = 48, gate, up and down 3 × (2 × 4 × 5) = 120: together 216
/// and by (query, key) pair, one product of all heads: 2 × 6 = 12.
Architecture small() {
  Architecture a = tiny_architecture(Kind::llama, 2);
  a.d_model = 4;
  a.heads = 2;
  a.kv_heads = 1;
  a.d_head = 3;
  a.neurons = 5;
  return a;
}

TEST(Flops, OfABlockAreTheSumWrittenOut) {
  const BlockWork work{6, 2, 7};
  // 6 × 48 + 2 × 216 + 7 × 2 × 12
  EXPECT_EQ(forward_flops(small(), small().block(0), work), 288 + 432 + 168);
  // the same products, and attention's twice: 7 × 4 × 12
  EXPECT_EQ(backward_flops(small(), small().block(0), work), 288 + 432 + 336);
  BlockSpec plain = small().block(0);
  plain.mlp.kind = MlpKind::plain;  // 2 × (2 × 4 × 5) = 80 in place of 120
  EXPECT_EQ(forward_flops(small(), plain, work), 288 + 2 * 176 + 168);
}

TEST(Flops, PairsThatAttendAreCounted) {
  EXPECT_EQ(attended_pairs(5, 5, 0), 1 + 2 + 3 + 4 + 5);
  EXPECT_EQ(attended_pairs(5, 1, 0), 5);
  EXPECT_EQ(attended_pairs(5, 2, 0), 4 + 5);
  EXPECT_EQ(attended_pairs(5, 5, 2), 1 + 2 + 2 + 2 + 2);
  EXPECT_EQ(attended_pairs(5, 1, 2), 2);
  EXPECT_EQ(attended_pairs(7, 4, 5), 4 + 5 + 5 + 5);
}

/// Prompts of 4 tokens, the first two shared by sequences 0 and 2.
Batch shared_batch(const Transformer& model) {
  const at::Tensor e = model.embed(tiny_prompts(3, 4).clean);
  Batch batch;
  batch.length = 4;
  batch.suffix = 2;
  batch.entries = {{0, e.narrow(1, 2, 2)}};
  batch.pairs = at::tensor({0, 1, 0}, at::kLong);
  batch.prefix_embeddings = e.narrow(0, 0, 2).narrow(1, 0, 2);
  return batch;
}

TEST(Flops, OfAPassThatComputesItsPrefix) {
  const Transformer model(small(), tiny_weights(small()));
  const LogitDirections directions = model.logit_directions(tiny_prompts(3, 4).tokens);
  const EngineRun run = engine_run(model, shared_batch(model), directions);
  // Block 0, rows: prefix 2 × 2, sequences 3 × 2; all go on; pairs: prefix 2 × (1 + 2), sequences 3 × (3 + 4).
  const double first = 10 * 48 + 10 * 216 + (6 + 21) * 24;
  // Block 1, rows: the same 10; 3 last positions go on; pairs: 3 × 4.
  const double second = 10 * 48 + 3 * 216 + 12 * 24;
  EXPECT_EQ(run.forward_flops.count, first + second);
  // Backward the prefix has no part.
  EXPECT_EQ(run.backward_flops.count, (6 * 48 + 6 * 216 + 21 * 48) + (6 * 48 + 3 * 216 + 12 * 48));
}

TEST(Flops, OfAWavefrontOnAGivenPrefix) {
  const Transformer model(small(), tiny_weights(small()));
  const LogitDirections directions = model.logit_directions(tiny_prompts(3, 4).tokens);
  const EngineRun whole = engine_run(model, shared_batch(model), directions);
  Batch batch;
  batch.length = 4;
  batch.suffix = 2;
  batch.entries = {{0, whole.streams[0].narrow(0, 0, 1)},
                   {1, whole.streams[1].narrow(0, 0, 2)},
                   {2, whole.streams[2].narrow(0, 0, 1).expand({1, 2, 4})}};
  batch.pairs = at::tensor({0, 0, 1, 0}, at::kLong);
  batch.prefix = &whole.prefix;
  const EngineRun run = engine_run(model, batch, directions.select(batch.pairs));
  // Block 0: one sequence, 2 rows, pairs 3 + 4. Block 1: three, 6 rows, 3 last positions, pairs 3 × 4. The fourth
  // enters above and costs nothing.
  EXPECT_EQ(run.forward_flops.count, (2 * 48 + 2 * 216 + 7 * 24) + (6 * 48 + 3 * 216 + 12 * 24));
  EXPECT_EQ(run.backward_flops.count, (2 * 48 + 2 * 216 + 7 * 48) + (6 * 48 + 3 * 216 + 12 * 48));
}

TEST(Flops, OfSequencesThatEnterBetweenTheHalvesOfABlockAreItsMlps) {
  const Transformer model(small(), tiny_weights(small()));
  const LogitDirections directions = model.logit_directions(tiny_prompts(3, 4).tokens);
  const EngineRun whole = engine_run(model, shared_batch(model), directions);
  Batch batch;
  batch.length = 4;
  batch.suffix = 2;
  batch.entries = {{0, whole.streams[0].narrow(0, 0, 1)},
                   {0, whole.mids[0].narrow(0, 0, 2), Before::mlp},
                   {1, whole.streams[1].narrow(0, 0, 1)},
                   {1, whole.mids[1].narrow(0, 0, 1).expand({1, 2, 4}), Before::mlp}};
  batch.pairs = at::tensor({0, 0, 1, 0, 0}, at::kLong);
  batch.prefix = &whole.prefix;
  const EngineRun run = engine_run(model, batch, directions.select(batch.pairs));
  // Block 0: one sequence through all of it, two with 2 rows each through the MLP alone. Block 1: four through all of
  // it, and the last position of one through the MLP.
  const double first = 2 * 48 + 2 * 216 + 2 * 2 * 120;
  const double second = 8 * 48 + 4 * 216 + 1 * 120;
  EXPECT_EQ(run.forward_flops.count, first + 7 * 24 + second + 16 * 24);
  EXPECT_EQ(run.backward_flops.count, first + 7 * 48 + second + 16 * 48);
}

TEST(Flops, OfAWindowAreOfThePairsInIt) {
  Architecture a = small();
  for (BlockSpec& block : a.blocks) block.attention.window = 2;
  const Transformer model(a, tiny_weights(a));
  const Prompts prompts = tiny_prompts(1, 5);
  const EngineRun run =
      engine_run(model, whole_batch(model.embed(prompts.clean)), model.logit_directions(prompts.tokens));
  EXPECT_EQ(run.forward_flops.count, (5 * 48 + 5 * 216 + 9 * 24) + (5 * 48 + 216 + 2 * 24));
}

TEST(Flops, AreCountedByEachBlocksOwnSpec) {
  Architecture a = small();
  a.blocks[0].attention.window = 2;
  a.blocks[1].mlp.kind = MlpKind::plain;
  const Transformer model(a, tiny_weights(a));
  const Prompts prompts = tiny_prompts(1, 5);
  const EngineRun run =
      engine_run(model, whole_batch(model.embed(prompts.clean)), model.logit_directions(prompts.tokens));
  EXPECT_EQ(run.forward_flops.count, (5 * 48 + 5 * 216 + 9 * 24) + (5 * 48 + 176 + 5 * 24));
  EXPECT_EQ(run.backward_flops.count, (5 * 48 + 5 * 216 + 9 * 48) + (5 * 48 + 176 + 5 * 48));
}

}  // namespace
}  // namespace tributary::testing
