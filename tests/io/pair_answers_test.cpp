// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Ways out for pairs that do not fit as they are: the first token of an answer, another prompt of the same length, and
// fewer pairs than were asked for.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "io/pairs.h"
#include "tests/io/temporary_folder.h"
#include "tests/io/tiny_tokenizer.h"

namespace tributary {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string pair_line(const std::string& clean, const std::string& patch, const std::string& y,
                      const std::string& other) {
  return nlohmann::json{{"clean_prefix", clean}, {"patch_prefix", patch}, {"clean_answer", y}, {"patch_answer", other}}
             .dump() +
         "\n";
}

class PairWaysOutTest : public TemporaryFolder {
 protected:
  [[nodiscard]] PairSet prepared(const PairOptions& options) const {
    return prepare_pairs(options,
                         Tokenizer::load(write("tokenizer.json", vocabulary_.json(TinyVocabulary::Template::none))));
  }
  [[nodiscard]] std::string refusal_of(const PairOptions& options) const {
    return message_of([&] { (void)prepared(options); });
  }
  [[nodiscard]] PairOptions in_order(const std::string& content) const {
    PairOptions options;
    options.train_file = write("train.jsonl", content);
    return options;
  }
  [[nodiscard]] PairOptions skipping(const std::string& content) const {
    PairOptions options;
    options.file = write("all.jsonl", content);
    options.unfit = Unfit::skip;
    return options;
  }

  TinyVocabulary vocabulary_;
};

/// So many pairs of two tokens, and of three.
std::string pairs_of(int two, int three) {
  std::string content;
  for (int i = 0; i < two; ++i)
    content += pair_line(std::to_string(i) + " cat", std::to_string(i) + " cats", " is", " are");
  for (int i = 0; i < three; ++i) {
    content += pair_line(std::to_string(i) + " cat by", std::to_string(i) + " cats by", " is", " are");
  }
  return content;
}

TEST_F(PairWaysOutTest, TheFirstTokenOfAnAnswerStandsForIt) {
  PairOptions options = in_order(pair_line("The cat", "The cats", " is hot", " are cold by"));
  EXPECT_THAT(refusal_of(options), HasSubstr("' is'|' hot'"));
  options.answer = Answer::first_token;
  const PairSet set = prepared(options);
  ASSERT_EQ(set.train.size(), 1U);
  EXPECT_EQ(set.train[0].clean_answer, vocabulary_.id("Ġis"));
  EXPECT_EQ(set.train[0].patch_answer, vocabulary_.id("Ġare"));
  // Answers of one token are what they were.
  PairOptions whole = in_order(pair_line("The cat", "The cats", " is", " are"));
  const std::string hash = prepared(whole).hash;
  whole.answer = Answer::first_token;
  EXPECT_EQ(prepared(whole).hash, hash);
}

TEST_F(PairWaysOutTest, ASpaceThatIsATokenByItselfIsNoAnswer) {
  PairOptions options = in_order(pair_line("The cat", "The cats", " is", " 2"));
  EXPECT_THAT(refusal_of(options),
              AllOf(HasSubstr("the answer ' 2' is 2 tokens after 'The cat' (one is needed): ' '|'2'"),
                    HasSubstr("write both without the space in front"), Not(HasSubstr("first-token"))));
  for (const Answer answer : {Answer::first_token, Answer::alone}) {
    options.answer = answer;
    EXPECT_THAT(refusal_of(options), AllOf(HasSubstr("the answer ' 2' begins with a space that is a token by itself: "
                                                     "' '|'2'"),
                                           HasSubstr("write both answers without the space in front")));
  }
}

TEST_F(PairWaysOutTest, AnAnswerAloneIsTheFirstTokenOfItsOwnText) {
  // " ca" and "t" are the word " cat": behind the prompt there is no such answer, alone it is the token "t".
  PairOptions options = in_order(pair_line("The ca", "The do", "t", "s"));
  EXPECT_THAT(refusal_of(options), HasSubstr("merges with the end of the prompt"));
  options.answer = Answer::first_token;
  EXPECT_THAT(refusal_of(options), HasSubstr("merges with the end of the prompt"));
  options.answer = Answer::alone;
  const PairSet set = prepared(options);
  ASSERT_EQ(set.train.size(), 1U);
  EXPECT_EQ(set.train[0].clean_answer, vocabulary_.id("t"));
  EXPECT_EQ(set.train[0].patch_answer, vocabulary_.id("s"));
  // Without what the tokenizer puts before every text, and of several tokens the first.
  const auto token_of = [&](const std::string& answer, TinyVocabulary::Template beginning) {
    PairOptions one = in_order(pair_line("The cat", "The cats", answer, " are"));
    one.answer = Answer::alone;
    return prepare_pairs(one, Tokenizer::load(write("other.json", vocabulary_.json(beginning))))
        .train.at(0)
        .clean_answer;
  };
  EXPECT_EQ(token_of(" is hot", TinyVocabulary::Template::bos_first), vocabulary_.id("Ġis"));
  EXPECT_EQ(token_of("hot", TinyVocabulary::Template::none), vocabulary_.id("hot"));
  PairOptions alike = in_order(pair_line("The cat", "The cats", " is hot", " is cold"));
  alike.answer = Answer::alone;
  EXPECT_THAT(refusal_of(alike), AllOf(HasSubstr("both answers begin with the token ' is'"),
                                       HasSubstr("pairs.answer: alone compares no other")));
}

TEST_F(PairWaysOutTest, AnAnswerThatIsOneTokenWithASpaceIsToldSoFirst) {
  const std::string message = refusal_of(in_order(pair_line("The cat", "The cats", "dogs", " are")));
  EXPECT_THAT(message, HasSubstr("the answer 'dogs' is 4 tokens after 'The cat' (one is needed): 'd'|'o'|'g'|'s'; with "
                                 "a space in front, ' dogs', it is one token; or else choose a shorter answer"));
  // Where it is not, or the space is there, or two would be, nothing is said of it.
  for (const auto& [end, answer] :
       std::vector<std::pair<std::string, std::string>>{{"", "fox"}, {"", " dogshot"}, {"\n", "dogs"}}) {
    EXPECT_THAT(refusal_of(in_order(pair_line("The cat" + end, "The cats" + end, answer, " are"))),
                AllOf(HasSubstr(" tokens after "), HasSubstr("; choose a shorter answer"), Not(HasSubstr("in front"))))
        << answer;
  }
}

TEST_F(PairWaysOutTest, EqualReasonsAreOneLine) {
  std::string content;
  for (const char* const other : {"0", "1", "2", "3"}) {
    const std::string prompt(other);
    content += pair_line(prompt + " cat", prompt + " cats", " seven", " are");
    content += pair_line(prompt + " dog", prompt + " cats", " is hot", " are");
  }
  content += pair_line("The cat", "The cats", " is", " is");
  const std::string message = refusal_of(in_order(content));
  EXPECT_THAT(message, AllOf(HasSubstr("9 of 9 pairs cannot be used"),
                             HasSubstr("train.jsonl:1: the answer ' seven' is 6 tokens after '0 cat'"),
                             HasSubstr("train.jsonl:2: the answer ' is hot' is 2 tokens after '0 dog'"),
                             HasSubstr("train.jsonl:9: both answers"), Not(HasSubstr("train.jsonl:3"))));
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 3);
  const std::string more = "(the same in 3 more pairs)";
  const auto found = message.find(more);
  ASSERT_NE(found, std::string::npos);
  EXPECT_NE(message.find(more, found + 1), std::string::npos);
}

TEST_F(PairWaysOutTest, ReasonsBeyondFortyNineAreCountedByTheirPairs) {
  std::string content;
  for (int i = 0; i < 60; ++i) {
    for (const char* const prompt : {"The cat", "The dog"}) {
      content += pair_line(prompt, "The cats", " is" + std::to_string(100 + i), " are");
    }
  }
  const std::string message = refusal_of(in_order(content));
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 50);
  EXPECT_THAT(message, AllOf(HasSubstr("120 of 120 pairs"), HasSubstr("' is148'"), Not(HasSubstr("' is149'")),
                             HasSubstr("… and 22 more")));
}

TEST_F(PairWaysOutTest, AnswersThatBeginAlikeCannotBeToldApartByTheirFirstTokens) {
  PairOptions options = in_order(pair_line("The cat", "The cats", " is hot", " is cold"));
  options.answer = Answer::first_token;
  EXPECT_THAT(refusal_of(options),
              AllOf(HasSubstr("both answers begin with the token ' is': ' is'|' hot' and ' is'|' cold'"),
                    HasSubstr("begin differently")));
  options.patch_answer = Needs::nothing;  // where nothing is compared with the second answer it may be what it likes
  EXPECT_EQ(prepared(options).train.size(), 1U);
}

TEST_F(PairWaysOutTest, APromptOfEqualLengthIsOffered) {
  // The likest prompt with three tokens is that of the fourth line; that of the third has an answer that does not fit.
  const std::string message = refusal_of(in_order(pair_line("The cat by", "The cats", " is", " are") +
                                                  pair_line("hot fire ice", "hot ice ice", " is", " are") +
                                                  pair_line("The cat ice", "The cat fire", " is", " seven") +
                                                  pair_line("The cats by", "The dogs by", " are", " is")));
  EXPECT_THAT(message, HasSubstr("train.jsonl:1: clean has 3 tokens, counterfactual 2"));
  EXPECT_THAT(message, HasSubstr("or compare it with 'The cats by' and ' are' of"));
  EXPECT_THAT(message, HasSubstr("train.jsonl:4, which has 3 tokens too"));
  // None is offered where no other prompt is as long.
  EXPECT_THAT(refusal_of(in_order(pair_line("The cat by", "The cats", " is", " are"))),
              Not(HasSubstr("compare it with")));
}

TEST_F(PairWaysOutTest, WhatWasAskedForIsALimitUnderSkip) {
  PairOptions options = skipping(pairs_of(10, 0) + pair_line("The cat by", "The cats", " is", " are"));
  options.train = 24;
  options.test = 16;
  const PairSet set = prepared(options);
  EXPECT_EQ(set.train.size(), 6U);  // ten pairs as 24 to 16
  EXPECT_EQ(set.test.size(), 4U);
  EXPECT_EQ(set.overlapping, 0);
  options.train = 7;
  options.test = 3;
  EXPECT_EQ(prepared(options).train.size(), 7U);
  options.test = 5;  // what training leaves, as it always was
  EXPECT_EQ(prepared(options).test.size(), 3U);
}

TEST_F(PairWaysOutTest, PairsOfOnePromptPairAreNotTornApart) {
  std::string content;
  for (const char* const answer : {" hot", " cold", " by"}) content += pair_line("The cat", "The cats", " is", answer);
  PairOptions options = skipping(content);
  options.train = 8;
  options.test = 2;
  EXPECT_THAT(refusal_of(options), HasSubstr("all that fit (3) are training pairs"));
  options = skipping(content + pairs_of(1, 0));
  options.train = 8;
  options.test = 2;
  const PairSet set = prepared(options);
  EXPECT_EQ(set.overlapping, 0);
  EXPECT_EQ(set.train.size() + set.test.size(), 4U);
  EXPECT_GT(set.test.size(), 0U);
}

TEST_F(PairWaysOutTest, LengthsAreCountedAndTheRestOfTheReasonsToo) {
  PairOptions options = in_order(pairs_of(1, 8));
  options.test_file = write("test.jsonl", pairs_of(0, 8));
  options.unfit = Unfit::skip;
  options.test = 4;
  // The only pair of two tokens comes first and sets the length.
  EXPECT_THAT(
      refusal_of(options),
      AllOf(HasSubstr("pairs.test asks for 4 pairs, and none fits (16 were skipped)"),
            HasSubstr("train.jsonl:1, the first pair that fits); by themselves there are 1 of 2, 16 of 3 tokens"),
            HasSubstr("pairs.length: 3 takes most of them"), HasSubstr("(the same in 15 more pairs)")));
  options.length = 3;
  options.overlap = Overlap::allow;
  EXPECT_EQ(prepared(options).test.size(), 4U);
}

}  // namespace
}  // namespace tributary
