// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Where training and held-out pairs come from: files, one shuffled file, and prompts that stay together.
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/pairs.h"
#include "tests/io/pair_set_fixture.h"

namespace tributary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(PreparePairsTest, SourcesMustBeOneFormOrTheOther) {
  PairOptions options;
  EXPECT_THAT(refusal_of(options), HasSubstr("no pairs are given"));
  options = one_file(good_);
  options.train_file = options.file;
  EXPECT_THAT(refusal_of(options), HasSubstr("exclude each other"));
  options = one_file(good_);
  options.test_file = options.file;
  EXPECT_THAT(refusal_of(options), HasSubstr("goes with pairs.train_file"));
  options = in_order(good_);
  options.test = 3;
  EXPECT_THAT(refusal_of(options), HasSubstr("no pairs.test_file"));
}

/// Six pairs with different prompts, told apart by their clean prompts 0 … 5.
std::string six_pairs() {
  std::string content;
  for (const char* const word : {"0", "1", "2", "3", "4", "5"}) {
    content += line(std::string(word) + " cat", std::string(word) + " cats", " is", " are");
  }
  return content;
}

TEST_F(PreparePairsTest, OneFileIsShuffledByTheSeed) {
  // Orders from an independent implementation of MT19937-64 and Fisher–Yates.
  const std::vector<std::vector<std::string>> orders = {{"3 cat", "4 cat", "5 cat", "1 cat", "2 cat", "0 cat"},
                                                        {"1 cat", "3 cat", "0 cat", "4 cat", "5 cat", "2 cat"}};
  PairOptions options = one_file(six_pairs());
  for (std::uint64_t seed = 0; seed < orders.size(); ++seed) {
    options.seed = seed;
    const std::vector<std::string>& order = orders[seed];
    EXPECT_EQ(clean_prompts(prepare_pairs(options, tokenizer()).train), order);

    options.train = 3;
    options.test = 2;
    PairSet set = prepare_pairs(options, tokenizer());
    EXPECT_THAT(clean_prompts(set.train), ElementsAre(order[0], order[1], order[2]));
    EXPECT_THAT(clean_prompts(set.test), ElementsAre(order[3], order[4]));

    options.test.reset();
    EXPECT_THAT(clean_prompts(prepare_pairs(options, tokenizer()).test), ElementsAre(order[3], order[4], order[5]));

    options.train.reset();
    options.test = 2;
    set = prepare_pairs(options, tokenizer());
    EXPECT_THAT(clean_prompts(set.train), ElementsAre(order[0], order[1], order[2], order[3]));
    EXPECT_THAT(clean_prompts(set.test), ElementsAre(order[4], order[5]));
    options.test.reset();
  }
  options.train = 5;
  options.test = 2;
  EXPECT_EQ(prepare_pairs(options, tokenizer()).test.size(), 1U);  // what training left
  options.train = 6;
  EXPECT_THAT(refusal_of(options), HasSubstr("pairs.test asks for 2 pairs, and all that fit (6) are training pairs"));
}

TEST_F(PreparePairsTest, PairsThatShareTheirPromptsStayTogether) {
  std::string content;
  for (const char* const word : {"0", "1", "2", "3"}) {
    const std::string singular = std::string(word) + " cat";
    content += line(singular, singular + "s", " is", " are") + line(singular + "s", singular, " are", " is") +
               line(singular, singular + "s", " by", " the");
  }
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    PairOptions options = one_file(content);
    options.seed = seed;
    options.test = 2;
    if (seed % 2 == 0) options.train = 4;  // cuts a group of three: its rest must not become test pairs
    const PairSet set = prepare_pairs(options, tokenizer());
    EXPECT_EQ(set.train.size(), seed % 2 == 0 ? 4U : 9U);
    EXPECT_EQ(set.test.size(), 2U);
    EXPECT_EQ(set.overlapping, 0);
    std::set<char> trained;
    for (const TokenPair& pair : set.train) trained.insert(pair.text.clean_prefix[0]);
    for (const TokenPair& pair : set.test) EXPECT_FALSE(trained.contains(pair.text.clean_prefix[0]));
  }
}

}  // namespace
}  // namespace tributary
