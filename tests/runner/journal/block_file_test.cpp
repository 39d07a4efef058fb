// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/block_file.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/errors.h"
#include "runner/cluster/block_codec.h"

namespace tributary {
namespace {

BlockResult some_block() {
  BlockResult block;
  block.block = 7;
  block.nodes.push_back({2, 1, 3, {1.5, -0.0, std::numeric_limits<double>::quiet_NaN()}});
  block.rows.push_back({11, {0.1, 0.2}});
  block.seconds = 3.25;
  return block;
}

std::string damage_of(const std::string& file) {
  try {
    read_block_file(file);
  } catch (const DamagedBlock& damage) {
    return damage.what();
  }
  return "";
}

TEST(BlockFile, GivesBackWhatWasStored) {
  const StoredBlock stored = read_block_file(block_file({"stage", "cpu"}, some_block()));
  EXPECT_EQ(stored.label.stage, "stage");
  EXPECT_EQ(stored.label.processor, "cpu");
  EXPECT_EQ(encode(stored.result), encode(some_block()));
}

TEST(BlockFile, KnowsThatItIsEmptyOrCutShort) {
  const std::string file = block_file({"stage", "cpu"}, some_block());
  EXPECT_EQ(damage_of(""), "it is empty");
  for (std::size_t size = 1; size < file.size(); ++size) EXPECT_NE(damage_of(file.substr(0, size)), "") << size;
  EXPECT_NE(damage_of(file + "x"), "");
}

TEST(BlockFile, KnowsEveryFlippedBit) {
  const std::string file = block_file({"stage", "cpu"}, some_block());
  for (std::size_t byte = 0; byte < file.size(); ++byte) {
    if (byte >= 12 && byte < 16) continue;  // said to be zero, and read by nobody
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = file;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
      EXPECT_NE(damage_of(flipped), "") << byte << '.' << bit;
    }
  }
}

TEST(BlockFile, RefusesASoundFileOfAnotherForm) {
  // A file of form 2, made by hand: only its header is known, which stays the same in all forms.
  const std::string file = block_file({"stage", "cpu"}, some_block(), 2);
  EXPECT_THROW(read_block_file(file), UserError);
}

}  // namespace
}  // namespace tributary
