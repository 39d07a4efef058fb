// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Blocks as bytes: everything comes back, damage is noticed.

#include "runner/cluster/block_codec.h"

#include <gtest/gtest.h>

#include "common/errors.h"
#include "runner/cluster/sparse_sum.h"

namespace tributary {
namespace {

BlockResult sample() {
  BlockResult result;
  result.block = 12;
  result.nodes = {{3, 2, 5, {1.5, -0.0}}, {3, 0, 24, {}}};
  result.rows = {{7, {0.25}}, {9, {}}};
  result.failed = {{8, 2, "no, größer"}};
  result.unstarted = {10, 11};
  result.seconds = 0.125;
  return result;
}

BlockResult sparse_sample() {
  BlockResult result = sample();
  result.nodes.push_back({4, 0, 1, {}, {2, {-7, 0, std::int64_t{1} << 60}, {1, -0.0, 3, 4, 5, 6}}});
  result.nodes.push_back({4, 0, 5, {0.5}});
  result.nodes.push_back({4, 0, 6, {}, {1, {3}, {0.125}}});
  return result;
}

template <class T>
std::vector<std::byte> raw(T value) {
  const auto* first = reinterpret_cast<const std::byte*>(&value);
  return {first, first + sizeof value};
}

std::vector<std::byte> joined(const std::vector<std::vector<std::byte>>& parts) {
  std::vector<std::byte> all;
  for (const std::vector<std::byte>& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

std::vector<std::byte> count(std::uint64_t value) { return raw(value); }
std::vector<std::byte> number(std::int64_t value) { return raw(value); }

/// The sample's bytes and, behind them, sparse sums that are put together by hand.
std::vector<std::byte> with_sparse(const std::vector<std::vector<std::byte>>& parts) {
  return joined({encode(sample()), joined(parts)});
}

TEST(BlockCodec, GivesBackABlock) {
  const Block block = decode_block(encode(Block{1, 2, 48, 16}));
  EXPECT_EQ(block.id, 1);
  EXPECT_EQ(block.lane, 2);
  EXPECT_EQ(block.first, 48);
  EXPECT_EQ(block.count, 16);
}

TEST(BlockCodec, GivesBackAResult) {
  const BlockResult result = decode_block_result(encode(sample()));
  EXPECT_EQ(result.block, 12);
  ASSERT_EQ(result.nodes.size(), 2U);
  EXPECT_EQ(result.nodes[0].lane, 3);
  EXPECT_EQ(result.nodes[0].level, 2);
  EXPECT_EQ(result.nodes[0].index, 5);
  EXPECT_EQ(result.nodes[0].sum, (std::vector<double>{1.5, -0.0}));
  ASSERT_EQ(result.rows.size(), 2U);
  EXPECT_EQ(result.rows[0].unit, 7);
  EXPECT_EQ(result.rows[0].values, std::vector<double>{0.25});
  ASSERT_EQ(result.failed.size(), 1U);
  EXPECT_EQ(result.failed[0].unit, 8);
  EXPECT_EQ(result.failed[0].rank, 2);
  EXPECT_EQ(result.failed[0].text, "no, größer");
  EXPECT_EQ(result.unstarted, (std::vector<std::int64_t>{10, 11}));
  EXPECT_EQ(result.seconds, 0.125);
}

/// Put together by hand: what earlier versions wrote stays readable, and what has no sparse sums is written as they
/// did.
TEST(BlockCodec, HasTheBytesOfEarlierVersionsWhereNothingIsSparse) {
  BlockResult result;
  result.block = 12;
  result.seconds = 0.125;
  result.nodes = {{3, 2, 5, {1.5}}};
  result.rows = {{7, {0.25}}};
  result.failed = {{8, 2, "no"}};
  result.unstarted = {10};
  const std::vector<std::byte> text{std::byte{'n'}, std::byte{'o'}};
  EXPECT_EQ(encode(result), joined({number(12), raw(0.125),  //
                                    count(1),   number(3),  raw(std::int32_t{2}),
                                    number(5),  count(1),   raw(1.5),  //
                                    count(1),   number(7),  count(1),
                                    raw(0.25),  //
                                    count(1),   number(8),  raw(std::int32_t{2}),
                                    count(2),   text,  //
                                    count(1),   number(10), count(0)}));
}

TEST(BlockCodec, GivesBackSparseSums) {
  const BlockResult sent = sparse_sample();
  const BlockResult result = decode_block_result(encode(sent));
  ASSERT_EQ(result.nodes.size(), sent.nodes.size());
  for (std::size_t i = 0; i < sent.nodes.size(); ++i) EXPECT_EQ(result.nodes[i].sparse, sent.nodes[i].sparse);
  EXPECT_EQ(encode(result), encode(sent));
}

TEST(BlockCodec, PutsSparseSumsBehindEverythingElse) {
  BlockResult result = sample();
  result.nodes[1].sparse = {1, {9}, {2.5}};
  EXPECT_EQ(encode(result), with_sparse({count(1), count(1), number(1), count(1), number(9), count(1), raw(2.5)}));
}

TEST(BlockCodec, NoticesSparseSumsThatAreNone) {
  const std::vector<std::byte> width = number(1), keys = joined({count(2), number(4), number(9)}),
                               values = joined({count(2), raw(1.0), raw(2.0)});
  ASSERT_NO_THROW(decode_block_result(with_sparse({count(1), count(1), width, keys, values})));
  const std::vector<std::vector<std::vector<std::byte>>> wrong{
      {count(0)},
      {count(2), count(1), width, keys, values},                                 // one is missing
      {count(std::uint64_t{1} << 62), count(1), width, keys, values},            // so many that they cannot be
      {count(1), count(2), width, keys, values},                                 // of no node
      {count(1), count(std::uint64_t{1} << 63), width, keys, values},            //
      {count(2), count(1), width, keys, values, count(1), width, keys, values},  // twice of a node
      {count(2), count(1), width, keys, values, count(0), width, keys, values},  // nodes out of order
      {count(1), count(1), width, count(2), number(9), number(4), values},       // keys out of order
      {count(1), count(1), width, count(2), number(4), number(4), values},       // a key twice
      {count(1), count(1), number(2), keys, values},                             // too few values
      {count(1), count(1), number(0), keys, values},                             //
      {count(1), count(1), number(-1), keys, values},                            //
      {count(1), count(1), number(std::int64_t{1} << 62 | 1), keys, values},     // no size of anything
      {count(2), count(0), number(0), count(0), count(0), count(1), width, keys, values},  // of no keys
      {count(1), count(1), width, count(std::uint64_t{1} << 61), number(4), number(9), values},
      {count(1), count(1), width, keys, count(std::uint64_t{1} << 61), raw(1.0), raw(2.0)},
      {count(1), count(1), width, keys, values, {std::byte{0}}}};
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    EXPECT_THROW(decode_block_result(with_sparse(wrong[i])), RuntimeFailure) << i;
  }
}

/// Bytes that end before all sparse sums are those of a block without any; whatever else is cut away is noticed.
TEST(BlockCodec, NoticesSparseSumsCutShort) {
  const std::vector<std::byte> bytes = encode(sparse_sample());
  BlockResult dense = sparse_sample();
  for (TreeNode& node : dense.nodes) node.sparse = {};
  const std::size_t without = encode(dense).size();
  ASSERT_LT(without, bytes.size());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    if (size == without) continue;
    EXPECT_THROW(decode_block_result(std::span(bytes).first(size)), RuntimeFailure) << size;
  }
}

/// What changed bytes give is refused, or as good as any other result.
TEST(BlockCodec, GivesNoSparseSumThatIsNoneOfChangedBytes) {
  const std::vector<std::byte> bytes = encode(sparse_sample());
  int refused = 0, taken = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int change : {1, 2, 0x80, 0xff}) {
      std::vector<std::byte> changed = bytes;
      changed[at] ^= static_cast<std::byte>(change);
      try {
        const BlockResult result = decode_block_result(changed);
        for (const TreeNode& node : result.nodes) EXPECT_TRUE(is_sound(node.sparse)) << at;
        EXPECT_EQ(encode(result), changed) << at;
        ++taken;
      } catch (const RuntimeFailure&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(taken, 100);
}

TEST(BlockCodec, NoticesBytesCutShortOrAdded) {
  std::vector<std::byte> bytes = encode(sample());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(decode_block_result(std::span(bytes).first(size)), RuntimeFailure) << size;
  }
  bytes.push_back(std::byte{0});
  EXPECT_THROW(decode_block_result(bytes), RuntimeFailure);
}

TEST(BlockCodec, NoticesImpossibleLengths) {
  std::vector<std::byte> bytes = encode(sample());
  std::fill(bytes.begin() + 16, bytes.begin() + 24, std::byte{0xff});  // the number of nodes
  EXPECT_THROW(decode_block_result(bytes), RuntimeFailure);
}

}  // namespace
}  // namespace tributary
