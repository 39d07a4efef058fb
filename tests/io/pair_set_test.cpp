// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Preparing pairs: ids by hand-made vocabulary, every reason for leaving a pair out, overlap, identity.
#include <cstdint>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "io/pair_notes.h"
#include "io/pairs.h"
#include "tests/io/pair_set_fixture.h"

namespace tributary {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST_F(PreparePairsTest, GivesIdsInPlace) {
  const PairSet set = prepare_pairs(in_order(good_), tokenizer());
  ASSERT_EQ(set.train.size(), 1U);
  const TokenPair& pair = set.train[0];
  EXPECT_THAT(pair.clean, ElementsAre(vocabulary_.id("The"), vocabulary_.id("Ġcat")));
  EXPECT_THAT(pair.counterfactual, ElementsAre(vocabulary_.id("The"), vocabulary_.id("Ġcats")));
  EXPECT_EQ(pair.clean_answer, vocabulary_.id("Ġis"));
  EXPECT_EQ(pair.patch_answer, vocabulary_.id("Ġare"));
  EXPECT_EQ(pair.length(), 2);
  EXPECT_THAT(set.test, IsEmpty());
  EXPECT_THAT(set.skipped, IsEmpty());
  EXPECT_EQ(set.overlapping, 0);
}

TEST_F(PreparePairsTest, AnAnswerIsTheTokenThatFollowsThePromptNotTheOneItIsAlone) {
  nlohmann::json description = nlohmann::json::parse(vocabulary_.json(TinyVocabulary::Template::none));
  description["pre_tokenizer"]["add_prefix_space"] = true;  // alone, "hot" is " hot"
  const Tokenizer spacing = Tokenizer::load(write("tokenizer.json", description.dump()));
  const PairSet set = prepare_pairs(in_order(line(" cat.", " dog.", "hot", "a")), spacing);
  EXPECT_EQ(set.train.at(0).clean_answer, vocabulary_.id("hot"));
  EXPECT_EQ(set.train.at(0).patch_answer, vocabulary_.id("a"));
  EXPECT_THAT(spacing.encode("hot", SpecialTokens::omit), ElementsAre(vocabulary_.id("Ġhot")));
}

TEST_F(PreparePairsTest, SpecialsAreAddedOnceAndADoubledOneIsRefused) {
  const Tokenizer with_bos = tokenizer(TinyVocabulary::Template::bos_first);
  const PairSet set = prepare_pairs(in_order(good_), with_bos);
  EXPECT_THAT(set.train[0].clean, ElementsAre(vocabulary_.bos(), vocabulary_.id("The"), vocabulary_.id("Ġcat")));
  EXPECT_EQ(set.train[0].clean_answer, vocabulary_.id("Ġis"));

  PairOptions doubled = in_order(good_ + line("<bos>The cat", "<bos>The cats", " is", " are"));
  doubled.unfit = Unfit::skip;
  EXPECT_THAT(message_of([&] { prepare_pairs(doubled, with_bos); }),
              AllOf(HasSubstr("train.jsonl:2: the prompt begins with '<bos>'"), HasSubstr("twice")));
  // A tokenizer that adds none leaves the user's own alone.
  doubled.one_length = false;
  EXPECT_EQ(prepare_pairs(doubled, tokenizer()).train.size(), 2U);
}

TEST_F(PreparePairsTest, ATokenizerThatClosesEveryTextIsRefused) {
  const Tokenizer closing = tokenizer(TinyVocabulary::Template::bos_last);
  EXPECT_THAT(message_of([&] { prepare_pairs(in_order(good_), closing); }), HasSubstr("after every text"));
}

TEST_F(PreparePairsTest, EveryReasonNamesTheTroubleAndTheWayOut) {
  EXPECT_THAT(reason_for(line("The cat", "The cats by", " is", " are")),
              AllOf(HasSubstr("clean has 2 tokens, counterfactual 3"), HasSubstr("' cat' against ' cats'|' by'")));
  EXPECT_THAT(reason_for(line("The by cat", "The by by cat", " is", " are")), HasSubstr("nothing against ' by'"));
  EXPECT_THAT(reason_for(line("The cat by", "The cats by", " is", " are")),
              AllOf(HasSubstr("3 tokens where this run takes 2 (positions: keep)"), HasSubstr("positions: sum")));
  EXPECT_THAT(reason_for(line("The cat", "The cats", " seven", " are")),
              HasSubstr("the answer ' seven' is 6 tokens after 'The cat' (one is needed)"));
  EXPECT_THAT(reason_for(line("The cat", "The cats", " is", " are hot")),
              AllOf(HasSubstr("the answer ' are hot' is 2 tokens after 'The cat' (one is needed): ' are'|' hot'"),
                    HasSubstr("pairs.answer: first-token")));
  EXPECT_THAT(reason_for(line("The ", "The\n", "hot", " cold")),
              AllOf(HasSubstr("the answer 'hot' merges with the end of the prompt 'The '"),
                    HasSubstr("end the prompt without the space and begin the answer with it")));
  EXPECT_THAT(reason_for(line("The dog", "The cat", "s", " is")),
              AllOf(HasSubstr("the answer 's' merges with the end of the prompt 'The dog'"),
                    HasSubstr("begin the answer with a space")));
  // The clean prompt takes the answer as one token; only the counterfactual does not.
  EXPECT_THAT(reason_for(line("The\n", "The ", "hot", "hot")), HasSubstr("merges with the end of the prompt 'The '"));
  EXPECT_THAT(reason_for(line("The cat", "The cat", " is", " are")), HasSubstr("are the same"));
  EXPECT_THAT(reason_for(line("The cat", "The cats", " is", " is")),
              HasSubstr("both answers are the token ' is' (their difference is always 0)"));
  EXPECT_THAT(reason_for(R"({"clean_prefix": "The cat", "clean_answer": " is", "patch_answer": " are"})"),
              AllOf(HasSubstr("no \"patch_prefix\""), HasSubstr("baseline: zero or mean")));
  EXPECT_THAT(reason_for(R"({"clean_prefix": "The cat", "patch_prefix": "The cats", "clean_answer": " is"})"),
              AllOf(HasSubstr("no \"patch_answer\""), HasSubstr("metric: logit")));
}

TEST_F(PreparePairsTest, TheModelBoundsVocabularyAndLength) {
  PairOptions options;
  options.vocabulary = vocabulary_.id("hot");
  EXPECT_THAT(reason_for(line("hot cat", "hot cats", " is", " are"), options),
              HasSubstr("token " + std::to_string(vocabulary_.id("hot")) +
                        " ('hot') is outside the model's vocabulary of " + std::to_string(vocabulary_.id("hot"))));
  options.vocabulary = vocabulary_.id("hot") + 1;
  EXPECT_EQ(reason_for(line("hot cat", "hot cats", " is", " are"), options), "not skipped");

  // Where the largest token is in the counterfactual prompt alone, and where it is an answer.
  options.vocabulary = vocabulary_.id("Ġfire");
  EXPECT_THAT(reason_for(line("The cold", "The fire", " cat", " cats"), options), HasSubstr("(' fire') is outside"));
  EXPECT_THAT(reason_for(line("The cat", "The cats", " is", " fire"), options), HasSubstr("(' fire') is outside"));

  PairOptions longest;
  longest.one_length = false;
  longest.max_length = 2;
  EXPECT_THAT(reason_for(line("The cat by", "The cats by", " is", " are"), longest),
              HasSubstr("3 tokens where the model takes 2"));
}

TEST_F(PreparePairsTest, WhatARunDoesNotNeedMayBeMissing) {
  PairOptions options = in_order(R"({"clean_prefix": "The cat", "clean_answer": " is"})");
  options.counterfactual = Needs::nothing;
  options.patch_answer = Needs::nothing;
  const PairSet set = prepare_pairs(options, tokenizer());
  ASSERT_EQ(set.train.size(), 1U);
  EXPECT_THAT(set.train[0].counterfactual, IsEmpty());
  EXPECT_EQ(set.train[0].clean_answer, vocabulary_.id("Ġis"));
  EXPECT_EQ(set.train[0].patch_answer, -1);
}

TEST_F(PreparePairsTest, UnfitPairsAreRefusedAllAtOnceByDefault) {
  PairOptions options =
      in_order(good_ + line("The dog", "The cats by", " is", " are") + good_ +
               line("The cat", "The cats", " seven", " are") + line("The cat by", "The dog by", " is", " are"));
  options.train = 1;
  EXPECT_THAT(refusal_of(options), AllOf(HasSubstr("3 of 5 pairs cannot be used"), HasSubstr("pairs.unfit: skip"),
                                         HasSubstr("train.jsonl:2: clean has"), HasSubstr("train.jsonl:4: the answer"),
                                         HasSubstr("train.jsonl:5: 3 tokens")));
}

TEST_F(PreparePairsTest, SkippingStopsWhenEnoughAreFound) {
  PairOptions options =
      in_order(line("The dog", "The cats by", " is", " are") + good_ + line("The dog", "The dogs", " is", " are") +
               line("The cat", "The dog by", " is", " are"));
  options.unfit = Unfit::skip;
  options.train = 2;
  const PairSet set = prepare_pairs(options, tokenizer());
  EXPECT_THAT(clean_prompts(set.train), ElementsAre("The cat", "The dog"));
  ASSERT_EQ(set.skipped.size(), 1U);  // the fourth pair was never looked at
  EXPECT_EQ(set.skipped[0].line, 1);
  EXPECT_EQ(set.skipped[0].file, options.train_file.string());
}

TEST_F(PreparePairsTest, FewerPairsThanTheLimitAreTakenButNoneIsRefusedWithReasons) {
  PairOptions options = in_order(good_ + line("The dog", "The cats by", " is", " are"));
  options.unfit = Unfit::skip;
  options.train = 2;
  EXPECT_EQ(prepare_pairs(options, tokenizer()).train.size(), 1U);
  options = in_order(line("The dog", "The cats by", " is", " are"));
  options.unfit = Unfit::skip;
  EXPECT_THAT(refusal_of(options), AllOf(HasSubstr("pairs.train needs 1 pair, and none fits (1 were skipped)"),
                                         HasSubstr("train.jsonl:1: skipped: clean has")));
}

TEST_F(PreparePairsTest, TheFirstFittingTrainingPairSetsTheLength) {
  PairOptions options = in_order(line("The dog", "The cats by", " is", " are") +
                                 line("The cat by", "The cats by", " is", " are") + good_);
  options.test_file = write(
      "test.jsonl", line("The dog", "The dogs", " is", " are") + line("The dog by", "The dogs by", " is", " are"));
  options.unfit = Unfit::skip;
  PairSet set = prepare_pairs(options, tokenizer());
  EXPECT_THAT(clean_prompts(set.train), ElementsAre("The cat by"));
  EXPECT_THAT(clean_prompts(set.test), ElementsAre("The dog by"));
  EXPECT_EQ(set.skipped.size(), 3U);

  options.length = 2;
  set = prepare_pairs(options, tokenizer());
  EXPECT_THAT(clean_prompts(set.train), ElementsAre("The cat"));
  EXPECT_THAT(clean_prompts(set.test), ElementsAre("The dog"));

  options.one_length = false;
  set = prepare_pairs(options, tokenizer());
  EXPECT_THAT(clean_prompts(set.train), ElementsAre("The cat by", "The cat"));
  EXPECT_THAT(clean_prompts(set.test), ElementsAre("The dog", "The dog by"));
}

TEST_F(PreparePairsTest, SaysWhichLengthIsTakenAndWhatHasDecidedIt) {
  const std::string three = line("The cat by", "The cats by", " is", " are");
  const std::string two =
      good_ + line("The dog", "The dogs", " is", " are") + line("The cat", "The dogs", " is", " are");
  PairOptions options = one_file(two + three);
  options.unfit = Unfit::skip;
  std::set<std::int64_t> taken;
  for (options.seed = 0; options.seed < 20; ++options.seed) {
    const PairSet set = prepare_pairs(options, tokenizer());
    const std::int64_t length = set.train.front().length();
    taken.insert(length);
    EXPECT_EQ(set.lengths.taken, length);
    EXPECT_EQ(set.lengths.others(), length == 2 ? 1 : 3);
    EXPECT_EQ(set.lengths.line, set.train.front().text.line);
    const std::string said = note_on_lengths(set, options);
    EXPECT_THAT(said, HasSubstr(length == 2 ? "1 pair that fits otherwise is skipped" : "3 pairs that fit otherwise"));
    EXPECT_THAT(said, HasSubstr("after the shuffle by pairs.seed"));
    EXPECT_THAT(said, HasSubstr("there are 3 of 2, 1 of 3 tokens"));
    EXPECT_EQ(said.find("pairs.length: 2 takes most") != std::string::npos, length == 3);
  }
  EXPECT_THAT(taken, ElementsAre(2, 3));  // so it is worth saying
  options.length = 2;
  EXPECT_EQ(note_on_lengths(prepare_pairs(options, tokenizer()), options), "");
  EXPECT_EQ(note_on_lengths(prepare_pairs(one_file(two), tokenizer()), one_file(two)), "");

  options = one_file(two + three);
  EXPECT_THAT(refusal_of(options), AllOf(HasSubstr("the first pair that fits after the shuffle by pairs.seed"),
                                         HasSubstr("all.jsonl:"), Not(HasSubstr("first one that fits)"))));
  options = in_order(two + three);
  EXPECT_THAT(refusal_of(options), HasSubstr("here 2 (that of " + options.train_file.string() +
                                             ":1, the first pair that fits); by themselves there are 3 of 2, 1 of 3"));
}

TEST_F(PreparePairsTest, OverlapIsRefusedOrCounted) {
  PairOptions options = in_order(good_ + line("The dog", "The dogs", " is", " are"));
  // The same prompts with other answers, the same reversed, and a pair that only shares one prompt.
  options.test_file =
      write("test.jsonl", line("The cat", "The cats", " by", " the") + line("The dogs", "The dog", " are", " is") +
                              line("The cat", "The dog", " is", " are"));
  EXPECT_THAT(refusal_of(options),
              AllOf(HasSubstr("test.jsonl:1: this test pair has the prompts of the training pair " +
                              options.train_file.string() + ":1"),
                    HasSubstr("test.jsonl:2: "), HasSubstr("train.jsonl:2"), Not(HasSubstr("test.jsonl:3")),
                    HasSubstr("pairs.overlap: allow")));
  options.overlap = Overlap::allow;
  const PairSet set = prepare_pairs(options, tokenizer());
  EXPECT_EQ(set.overlapping, 2);
  EXPECT_EQ(set.test.size(), 3U);
}

TEST_F(PreparePairsTest, PromptsThatBothSidesHaveAreCountedAlsoWhereNoPairIsShared) {
  PairOptions options;
  options.train_file =
      write("train.jsonl", line("The cat", "The cats", " is", " are") + line("The dog", "The dogs", " is", " are"));
  // Known: the cat as a clean prompt, the dogs as a counterfactual one. New: a cat, the birds.
  options.test_file =
      write("test.jsonl", line("The cat", "A cat", " is", " by") + line("A cat", "The dogs", " is", " are"));
  const PairSet set = prepare_pairs(options, tokenizer());
  EXPECT_EQ(set.overlapping, 0);
  EXPECT_EQ(set.test_prompts, 3);
  EXPECT_EQ(set.shared_prompts, 2);
}

TEST_F(PreparePairsTest, AChoiceOfPairsIsASetOfItsOwn) {
  PairOptions options = in_order(line("0 cat", "0 cats", " is", " are") + line("1 cat", "1 cats", " is", " are") +
                                 line("2 cat", "2 cats", " is", " are"));
  options.test_file =
      write("test.jsonl", line("1 cat", "3 cats", " is", " are") + line("4 cat", "4 cats", " is", " are"));
  const PairSet whole = prepare_pairs(options, tokenizer());
  EXPECT_EQ(whole.shared_prompts, 1);
  const PairSet chosen = chosen_pairs(whole, {1, 0, 1, 1, 1}, "not solved");
  EXPECT_THAT(clean_prompts(chosen.train), ElementsAre("0 cat", "2 cat"));
  EXPECT_THAT(clean_prompts(chosen.test), ElementsAre("1 cat", "4 cat"));
  EXPECT_EQ(chosen.shared_prompts, 0);
  EXPECT_NE(chosen.hash, whole.hash);
  ASSERT_EQ(chosen.skipped.size(), 1U);
  EXPECT_EQ(chosen.skipped[0].line, 2);
  EXPECT_EQ(chosen.skipped[0].reason, "not solved");
  EXPECT_EQ(chosen_pairs(whole, {1, 1, 1, 1, 1}, "").hash, whole.hash);
}

TEST_F(PreparePairsTest, IdentityIsTheDataNotItsPlace) {
  const std::string dog = line("The dog", "The dogs", " is", " are");
  const std::string base = prepare_pairs(in_order(good_ + dog), tokenizer()).hash;
  EXPECT_EQ(base.size(), 32U);
  EXPECT_EQ(base.find_first_not_of("0123456789abcdef"), std::string::npos);

  PairOptions moved;
  moved.train_file = write("elsewhere.jsonl", "\n\n" + good_ + "\n" + dog);
  EXPECT_EQ(prepare_pairs(moved, tokenizer()).hash, base);

  EXPECT_NE(prepare_pairs(in_order(dog + good_), tokenizer()).hash, base);
  EXPECT_NE(prepare_pairs(in_order(good_), tokenizer()).hash, base);
  EXPECT_NE(prepare_pairs(in_order(good_ + line("The dog", "The dogs", " is", " by")), tokenizer()).hash, base);
  // The same texts under another tokenizer are other data.
  EXPECT_NE(prepare_pairs(in_order(good_ + dog), tokenizer(TinyVocabulary::Template::bos_first)).hash, base);
  // What is a training pair and what a test pair matters.
  PairOptions split = in_order(good_);
  split.test_file = write("test.jsonl", dog);
  EXPECT_NE(prepare_pairs(split, tokenizer()).hash, base);
}

}  // namespace
}  // namespace tributary
