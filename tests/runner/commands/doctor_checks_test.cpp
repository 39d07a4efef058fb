// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/doctor_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "runner/commands/doctor_units.h"
#include "runner/machine/memory_limits.h"
#include "tests/io/temporary_folder.h"
#include "tests/io/tiny_tokenizer.h"
#include "tests/runner/commands/examined.h"

namespace tributary::testing {
namespace {

using ::testing::HasSubstr;

class DoctorTokenizer : public TemporaryFolder {
 protected:
  /// A job whose model has so many tokens, and whose pairs have these texts.
  [[nodiscard]] Job job(std::int64_t vocabulary, TinyVocabulary::Template form = TinyVocabulary::Template::bos_first,
                        const std::string& text = "The cat is") const {
    Architecture architecture = tiny_architecture(Kind::llama);
    architecture.vocabulary = vocabulary;
    Weights weights = tiny_weights(architecture, at::kFloat);
    Job job = examined(Transformer(std::move(architecture), std::move(weights)));
    write("tokenizer.json", words_.json(form));
    job.tokenizer = Tokenizer::load(folder_ / "tokenizer.json");
    job.pairs.train.front().text.clean_prefix = text;
    return job;
  }
  TinyVocabulary words_;
};

TEST_F(DoctorTokenizer, FitsTheModel) {
  const Finding found = check_tokenizer({{"bos_token_id", words_.bos()}}, job(words_.bos() + 1));
  EXPECT_EQ(found.verdict, Verdict::ok) << found.measured;
  EXPECT_THAT(found.measured, HasSubstr("<bos>"));
}

TEST_F(DoctorTokenizer, IdsBeyondTheVocabularyFail) {
  const Finding found = check_tokenizer(nlohmann::json::object(), job(40));
  EXPECT_EQ(found.verdict, Verdict::fail);
  EXPECT_THAT(found.measured, HasSubstr("outside the model's vocabulary"));
  EXPECT_EQ(check_tokenizer(nlohmann::json::object(), job(words_.bos())).verdict, Verdict::fail)
      << "only what stands before a prompt is outside";
}

TEST_F(DoctorTokenizer, TokensThatNoPromptMayUseAreAWarning) {
  const Finding found = check_tokenizer(nlohmann::json::object(), job(words_.bos(), TinyVocabulary::Template::none));
  EXPECT_EQ(found.verdict, Verdict::warn);
  EXPECT_THAT(found.measured, HasSubstr("no prompt may use"));
}

TEST_F(DoctorTokenizer, AnotherBosThanConfigsIsAWarning) {
  const Finding found = check_tokenizer({{"bos_token_id", 1}}, job(words_.bos() + 1));
  EXPECT_EQ(found.verdict, Verdict::warn);
  EXPECT_THAT(found.measured, HasSubstr("bos_token_id is 1"));
}

TEST_F(DoctorTokenizer, APromptThatReadsBackOtherwiseIsAWarning) {
  const Finding found =
      check_tokenizer(nlohmann::json::object(), job(words_.bos() + 1, TinyVocabulary::Template::none, "caf\u00e9"));
  EXPECT_EQ(found.verdict, Verdict::warn) << found.measured;
  EXPECT_THAT(found.measured, HasSubstr("reads back as"));
}

TEST(DoctorTokenizerFile, MayBeAbsent) {
  EXPECT_EQ(check_tokenizer(nlohmann::json::object(), examined(Kind::llama)).verdict, Verdict::skipped);
}

TEST(DoctorPrecision, AnotherOrderOfTheFirstNodesIsAWarning) {
  UnitScores fine;
  fine.metric = at::ones({2, 2}, at::kDouble);
  fine.scores = at::arange(1000, at::kDouble).view({2, 5, 100});
  EXPECT_EQ(compare_precisions(fine, fine).verdict, Verdict::ok);
  UnitScores rough = fine;
  rough.scores = fine.scores.flip({0, 1, 2});
  const Finding found = compare_precisions(fine, rough);
  EXPECT_EQ(found.verdict, Verdict::warn);
  EXPECT_THAT(found.measured, HasSubstr("0 of the first 100"));
}

TEST(DoctorPrecision, NumbersThatAreNotFiniteAreAWarning) {
  UnitScores fine;
  fine.metric = at::ones({2, 2}, at::kDouble);
  fine.scores = at::arange(1000, at::kDouble).view({2, 5, 100});
  UnitScores rough = fine;
  rough.scores = fine.scores.clone();
  rough.scores[1][4][99] = std::numeric_limits<double>::infinity();
  const Finding found = compare_precisions(fine, rough);
  EXPECT_EQ(found.verdict, Verdict::warn);
  EXPECT_THAT(found.measured, HasSubstr("not finite"));
}

TEST(DoctorMemory, MoreThanPlannedFails) {
  EXPECT_EQ(judge_peak(1 << 30, 1 << 30).verdict, Verdict::ok);
  const Finding found = judge_peak((1 << 30) + (1 << 27), 1 << 30);
  EXPECT_EQ(found.verdict, Verdict::fail);
  EXPECT_EQ(found.measured, "1.1 GiB");
}

TEST(DoctorMemory, MemoryThatIsHeldFromTheBeginningOnCounts) {
  const Job job = examined(Kind::llama);
  const MemoryCheck check(job);
  EXPECT_EQ(check.end().verdict, Verdict::ok);
  const at::Tensor held = at::ones({1 << 26});  // 256 MiB, all of it written
  EXPECT_EQ(check.end().verdict, Verdict::fail);
}

}  // namespace
}  // namespace tributary::testing
