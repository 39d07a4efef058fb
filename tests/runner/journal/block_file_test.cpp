// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/block_file.h"

#include <gtest/gtest.h>
#include <xxhash.h>

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

std::string block_file(const BlockLabel& label, const BlockResult& result, std::uint32_t form = block_form) {
  std::string file;
  put_block_file(
      label, view_of(result), [&file](std::string_view bytes) { file += bytes; }, form);
  return file;
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

TEST(BlockFile, GivesBackSparseSums) {
  BlockResult block = some_block();
  block.nodes.push_back({2, 0, 9, {}, {2, {5, 70'000'000'000}, {1, 2, 3, -0.0}}});
  const std::string file = block_file({"stage", "cpu"}, block);
  const StoredBlock stored = read_block_file(file);
  EXPECT_EQ(encode(stored.result), encode(block));
  EXPECT_EQ(stored.result.nodes[1].sparse, block.nodes[1].sparse);
  for (std::size_t size = 1; size < file.size(); ++size) EXPECT_NE(damage_of(file.substr(0, size)), "") << size;
}

/// Put together by hand from the form that the header file describes: what earlier versions wrote stays readable.
TEST(BlockFile, HasTheFormItSays) {
  const auto number = [](auto value) { return std::string(reinterpret_cast<const char*>(&value), sizeof value); };
  const std::vector<std::byte> block = encode(some_block());
  const std::string payload = number(std::uint64_t{5}) + "stage" + number(std::uint64_t{3}) + "cpu" +
                              std::string(reinterpret_cast<const char*>(block.data()), block.size());
  const XXH128_hash_t sum = XXH3_128bits_withSeed(payload.data(), payload.size(), 1);
  EXPECT_EQ(block_file({"stage", "cpu"}, some_block()),
            "tribblok" + number(std::uint32_t{1}) + number(std::uint32_t{0}) +
                number(static_cast<std::uint64_t>(payload.size())) + number(sum.high64) + number(sum.low64) + payload);
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
