// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Blocks as bytes: everything comes back, damage is noticed.

#include "runner/cluster/block_codec.h"

#include <gtest/gtest.h>

#include "common/errors.h"

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
