// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "common/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/errors.h"

namespace tributary {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

class ReadFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "tributary-text-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static std::string problem_of(const std::filesystem::path& file) {
    try {
      read_file(file.string());
    } catch (const UserError& error) {
      EXPECT_EQ(error.problems().at(0).where, file.string());
      return error.what();
    }
    return "no error";
  }

  std::filesystem::path folder_;
};

TEST_F(ReadFile, GivesEveryByte) {
  std::string bytes(200'000, 'x');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i % 251);
  std::ofstream(folder_ / "data", std::ios::binary) << bytes;
  EXPECT_EQ(read_file((folder_ / "data").string()), bytes);
}

TEST_F(ReadFile, AnEmptyFileIsEmptyText) {
  std::ofstream(folder_ / "empty").flush();
  EXPECT_EQ(read_file((folder_ / "empty").string()), "");
}

TEST_F(ReadFile, RefusesAMissingFileAndAFolder) {
  EXPECT_THAT(problem_of(folder_ / "missing"), HasSubstr("No such file"));
  EXPECT_THAT(problem_of(folder_), HasSubstr("folder"));
  std::ofstream(folder_ / "file").flush();
  EXPECT_THAT(problem_of(folder_ / "file" / "below"), HasSubstr("Not a directory"));
}

TEST_F(ReadFile, RefusesAFileWithoutReadPermission) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  std::ofstream(folder_ / "secret") << "x";
  std::filesystem::permissions(folder_ / "secret", std::filesystem::perms::none);
  EXPECT_THAT(problem_of(folder_ / "secret"), HasSubstr("Permission denied"));
}

TEST_F(ReadFile, NamesALinkThatLeadsNowhere) {
  std::filesystem::create_symlink("../../blobs/1f3a", folder_ / "config.json");
  EXPECT_THAT(problem_of(folder_ / "config.json"), HasSubstr("it is a link to ../../blobs/1f3a, which is missing"));
  EXPECT_EQ(about_dangling_link((folder_ / "nothing").string()), "");
}

TEST_F(ReadFile, RefusesAFileWhoseReadingFails) {
  // Opening this one succeeds, reading address 0 of the process does not.
  if (!std::filesystem::exists("/proc/self/mem")) GTEST_SKIP() << "needs /proc";
  EXPECT_THAT(problem_of("/proc/self/mem"), HasSubstr("Input/output error"));
}

TEST(FirstInvalidUtf8, AcceptsTheEdgesOfEveryLength) {
  const std::string nul(1, '\0');
  for (const std::string& text :
       {std::string(), nul, std::string("\x7F"), std::string("\xC2\x80"), std::string("\xDF\xBF"),
        std::string("\xE0\xA0\x80"), std::string("\xED\x9F\xBF"), std::string("\xEE\x80\x80"),
        std::string("\xEF\xBF\xBF"), std::string("\xF0\x90\x80\x80"), std::string("\xF4\x8F\xBF\xBF"),
        std::string("aé中😀z")}) {
    EXPECT_EQ(first_invalid_utf8(text), std::nullopt) << ::testing::PrintToString(text);
  }
}

TEST(FirstInvalidUtf8, FindsEveryKindOfFault) {
  const struct {
    const char* what;
    std::string bytes;
  } faults[] = {
      {"lone continuation", "\x80"},
      {"overlong slash", "\xC0\xAF"},
      {"overlong of two bytes", "\xC1\xBF"},
      {"overlong of three bytes", "\xE0\x9F\xBF"},
      {"overlong of four bytes", "\xF0\x8F\xBF\xBF"},
      {"lowest surrogate", "\xED\xA0\x80"},
      {"highest surrogate", "\xED\xBF\xBF"},
      {"above U+10FFFF", "\xF4\x90\x80\x80"},
      {"lead byte of five", "\xF8\x88\x80\x80\x80"},
      {"0xFF", "\xFF"},
      {"cut after one of two", "\xC3"},
      {"cut after three of four", "\xF0\x9F\x98"},
      {"continuation replaced", "\xE4\xB8z"},
  };
  for (const auto& fault : faults) {
    EXPECT_THAT(first_invalid_utf8(fault.bytes), Optional(0u)) << fault.what;
    EXPECT_THAT(first_invalid_utf8("aé" + fault.bytes), Optional(3u)) << fault.what;
  }
}

const std::vector<std::string> kKeys = {"steps", "step", "model", "quadrature", "ig-acts"};

TEST(Nearest, FindsEachKindOfEdit) {
  EXPECT_EQ(nearest("quadratur", kKeys), "quadrature");
  EXPECT_EQ(nearest("quadrarture", kKeys), "quadrature");
  EXPECT_EQ(nearest("quadrxture", kKeys), "quadrature");
  EXPECT_EQ(nearest("mdoel", kKeys), "model");
  EXPECT_EQ(nearest("ig_acts", kKeys), "ig-acts");
  EXPECT_EQ(nearest("MODEL", kKeys), "model");
}

TEST(Nearest, HyphensAndUnderscoresAreTheSame) {
  EXPECT_EQ(nearest_few("ig_acts", {"ig-act", "ig-acts", "ig-actz"}, 3), std::vector<std::string>{"ig-acts"});
  EXPECT_EQ(nearest("a_b_c_d", {"a-b-c-d"}), "a-b-c-d");
}

TEST(Nearest, ABeginningIsNear) {
  EXPECT_EQ(nearest("logit_diff", {"logit-difference", "logit", "sum-of-logits"}), "logit-difference");
  EXPECT_EQ(nearest("quad", kKeys), "quadrature");
  EXPECT_EQ(nearest("qua", kKeys), "") << "three letters begin too much";
  EXPECT_EQ(nearest_few("ig", {"atp", "ig-inputs", "ig-acts"}, 2), (std::vector<std::string>{"ig-inputs", "ig-acts"}));
}

TEST(Nearest, AFewAreThoseAboutAsNear) {
  EXPECT_EQ(nearest_few("steps", {"step", "steps"}, 2), std::vector<std::string>{"steps"}) << "nothing is as near";
  EXPECT_EQ(nearest_few("stepz", {"far", "steps", "stepp", "stepq"}, 2), (std::vector<std::string>{"steps", "stepp"}));
  EXPECT_EQ(did_you_mean("stepz", {"steps", "stepp"}), " (did you mean 'steps' or 'stepp'?)");
}

TEST(Nearest, ASwapIsOneEditNotTwo) {
  // Five letters allow one edit only.
  EXPECT_EQ(nearest("setps", {"steps"}), "steps");
  EXPECT_EQ(nearest("sxeps", {"stops"}), "");
}

TEST(Nearest, KeepsSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest("temperature", kKeys), "");
  EXPECT_EQ(nearest("k", {"n"}), "");
  EXPECT_EQ(nearest("", kKeys), "");
  EXPECT_EQ(nearest("model", {}), "");
}

TEST(Nearest, TiesGoToTheEarlierAndTheNearerWins) {
  EXPECT_EQ(nearest("stepz", {"stepa", "stepb"}), "stepa");
  EXPECT_EQ(nearest("stepsize", {"stepssizes", "step_size"}), "step_size");
}

TEST(DidYouMean, IsASuffixForAMessage) {
  EXPECT_EQ(did_you_mean("stpes", {"steps"}), " (did you mean 'steps'?)");
  EXPECT_EQ(did_you_mean("zzzzz", {"steps"}), "");
}

TEST(InRanges, NumbersThatFollowEachOtherAreOneRange) {
  EXPECT_EQ(in_ranges({0, 1, 2, 5, 7, 8}), "0 to 2, 5, 7 to 8");
  EXPECT_EQ(in_ranges({3}), "3");
  EXPECT_EQ(in_ranges({}), "");
}

TEST(Join, PutsSeparatorsOnlyBetween) {
  EXPECT_EQ(join({}), "");
  EXPECT_EQ(join({"a"}), "a");
  EXPECT_EQ(join({"a", "b", ""}), "a, b, ");
  EXPECT_EQ(join({"a", "b"}, "|"), "a|b");
}

TEST(DidYouMean, SynonymsLeadToWhatTheyMean) {
  const std::vector<std::string> names = {"ig-acts", "ig-inputs", "no-activation"};
  const std::vector<Synonym> synonyms = {
      {"ig-activations", "ig-acts"}, {"integrated-gradients", "ig-inputs"}, {"integrated-gradients", "ig-acts"}};
  EXPECT_EQ(did_you_mean("ig-activations", names, synonyms), " (did you mean 'ig-acts'?)");
  EXPECT_EQ(did_you_mean("IG_activation", names, synonyms), " (did you mean 'ig-acts' or 'no-activation'?)");
  EXPECT_EQ(did_you_mean("integrated_gradients", names, synonyms), " (did you mean 'ig-inputs' or 'ig-acts'?)");
  EXPECT_EQ(did_you_mean("no-activatoin", names, synonyms), " (did you mean 'no-activation'?)");
  EXPECT_EQ(did_you_mean("ig-act", names, synonyms), " (did you mean 'ig-acts'?)");
  EXPECT_EQ(did_you_mean("quite else", names, synonyms), "");
}

}  // namespace
}  // namespace tributary
