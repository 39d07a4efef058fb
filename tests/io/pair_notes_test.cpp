// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What is odd about pairs that can be used: spaces forgotten or doubled, pairs that repeat, prompts that many share.
#include "io/pair_notes.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/detail/pairs/spacing.h"
#include "tests/io/temporary_folder.h"
#include "tests/io/tiny_tokenizer.h"

namespace tributary {
namespace {

using detail::pairs::Spacing;
using detail::pairs::spacing_between;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Spacing, AWordAfterAWordLacksASpace) {
  for (const auto& [prompt, answer] : std::vector<std::pair<const char*, const char*>>{
           {"The capital of France is", "Paris"},
           {"Η πρωτεύουσα είναι", "η"},
           {"Столица Франции —\u00A0это", "Париж"},
           {"caf\u0065\u0301", "noir"},  // an accent of its own ends no word
           {"In the year", "1984"},
           {"In 1984", "he"},
           {"Question: who? Answer:", "Paris"},
           {"He said \"no\"", "and"},
           {"(as it was)", "then"},
           {"Why ?", "Because"},
           {"It costs 5 %", "less"},
           {"of 3,", "so"},
           {"The end.", "A"},
       }) {
    EXPECT_EQ(spacing_between(prompt, answer), Spacing::missing) << prompt << "|" << answer;
  }
}

TEST(Spacing, WhatNeedsNoSpaceIsNotDoubted) {
  for (const auto& [prompt, answer] : std::vector<std::pair<const char*, const char*>>{
           {"The capital of France is", " Paris"},
           {"Paris\n", "The"},
           {"法国的首都是", "巴黎"},
           {"フランスの首都は", "パリ"},
           {"เมืองหลวงของฝรั่งเศสคือ", "ปารีส"},
           {"프랑스의 수도는", "파리"},
           {"法国的首都是", "Paris"},
           {"法国的首都是:", "Paris"},  // an ASCII colon between Chinese words
           {"他出生于2008年。", "A"},
           {"公元", "2008"},
           {"In 2008", "年"},
           {"The war lasted from 1732 to 17", "45"},
           {"Pi is 3.", "14"},
           {"It is 12:", "30"},
           {"He said \"", "no"},
           {"(", "a"},
           {"well-", "known"},
           {"It doesn'", "t"},
           {"It doesn\u2019", "t"},
           {"The cat", ","},
           {"...", "A"},
       }) {
    EXPECT_EQ(spacing_between(prompt, answer), Spacing::plausible) << prompt << "|" << answer;
  }
}

TEST(Spacing, ASpaceAfterWhiteSpaceIsOneTooMany) {
  EXPECT_EQ(spacing_between("The capital is ", " Paris"), Spacing::doubled);
  EXPECT_EQ(spacing_between("The capital is\t", " Paris"), Spacing::doubled);
  EXPECT_EQ(spacing_between("The capital is\u00A0", " Paris"), Spacing::doubled);
  EXPECT_EQ(spacing_between("首都是\u3000", " Paris"), Spacing::doubled);
  EXPECT_EQ(spacing_between("The capital is ", "Paris"), Spacing::plausible);
}

TokenPair pair_of(int line, const std::string& clean, const std::string& patch, const std::string& y,
                  const std::string& other) {
  TokenPair pair;
  pair.text = {clean, patch, y, other, "", "p.jsonl", line};
  return pair;
}

/// A set with the counts that a set has.
PairSet set_of(std::vector<TokenPair> train, std::vector<TokenPair> test = {}) {
  PairSet set;
  set.train = std::move(train);
  set.test = std::move(test);
  return set;
}

TEST(PairNotes, SaysHowManyPairsLackASpaceAndShowsOne) {
  const PairSet set = set_of({pair_of(1, "France has", "Japan has", " Paris", " Tokyo"),
                              pair_of(2, "So France is", "So Japan is", "Paris", "Tokyo")},
                             {pair_of(3, "Italy:", "Spain\n", "Rome", " Madrid")});
  EXPECT_THAT(notes_on_texts(set),
              ElementsAre(AllOf(HasSubstr("in 2 of 3 pairs"), HasSubstr("p.jsonl:2: 'is' + 'Paris' reads 'isParis'"),
                                HasSubstr("is a space missing?")),
                          AllOf(HasSubstr("in 1 of 3 pairs"), HasSubstr("'Spain\\n' + ' Madrid'"))));
  // The second answer and the second prompt count as the first ones do.
  EXPECT_THAT(notes_on_texts(set_of({pair_of(1, "(", "Japan", " a", "b")})),
              ElementsAre(HasSubstr("'Japan' + 'b' reads 'Japanb'")));
}

class PairNotesOfTokens : public TemporaryFolder {};

TEST_F(PairNotesOfTokens, NoSpaceIsMissingWhereItWouldBeATokenByItself) {
  const Tokenizer words =
      Tokenizer::load(write("tokenizer.json", TinyVocabulary().json(TinyVocabulary::Template::none)));
  const PairSet letters = set_of({pair_of(1, "The cat", "The cats", "is", "are")});
  EXPECT_THAT(notes_on_texts(letters, words), ElementsAre(HasSubstr("is a space missing?")));
  // " is" is a word, " 2" a space and a digit.
  const PairSet numbers = set_of({pair_of(1, "The cat", "The cats", "is", "2")});
  EXPECT_THAT(notes_on_texts(numbers, words), IsEmpty());
  EXPECT_THAT(notes_on_texts(numbers), ElementsAre(HasSubstr("is a space missing?")));
}

TEST(PairNotes, CountsPairsThatRepeatOnTheirSide) {
  const TokenPair one = pair_of(1, "France is", "Japan is", " Paris", " Tokyo");
  const TokenPair again = pair_of(2, "France is", "Japan is", " Paris", " Tokyo");
  const TokenPair other = pair_of(3, "Italy is", "Spain is", " Rome", " Madrid");
  const TokenPair reversed = pair_of(4, "Japan is", "France is", " Tokyo", " Paris");
  EXPECT_THAT(notes_on_texts(set_of({one, again, other}, {other, one, again, again})),
              ElementsAre(AllOf(HasSubstr("1 of 3 training pairs"), HasSubstr("p.jsonl:2 repeats p.jsonl:1")),
                          HasSubstr("2 of 4 held-out pairs")));
  EXPECT_THAT(notes_on_texts(set_of({one, other, reversed}, {one})), IsEmpty());
}

TEST(PairNotes, FewPromptsInManyPairsMakeIntervalsTooNarrow) {
  // All pairs of four prompts: six, of which each prompt is in three.
  const std::vector<std::string> prompts = {"France is", "Japan is", "Italy is", "Spain is"};
  std::vector<TokenPair> all;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    for (std::size_t j = i + 1; j < prompts.size(); ++j) all.push_back(pair_of(1, prompts[i], prompts[j], " a", " b"));
  }
  const TokenPair apart = pair_of(2, "a", "b", " c", " d");
  EXPECT_THAT(notes_on_texts(set_of({apart}, all)),
              ElementsAre(AllOf(HasSubstr("6 held-out pairs are made of 4 prompts"), HasSubstr("too narrow"))));
  EXPECT_THAT(notes_on_texts(set_of(all, {apart})), ElementsAre(HasSubstr("6 training pairs are made of 4 prompts")));
  all.resize(4);
  EXPECT_THAT(notes_on_texts(set_of({apart}, all)), IsEmpty());
  // Pairs with the same two prompts are drawn together: their intervals are none too narrow.
  EXPECT_THAT(notes_on_texts(set_of({apart}, {pair_of(1, "France is", "Japan is", " a", " b"),
                                              pair_of(2, "France is", "Japan is", " c", " d"),
                                              pair_of(3, "Japan is", "France is", " e", " f")})),
              IsEmpty());
}

}  // namespace
}  // namespace tributary
