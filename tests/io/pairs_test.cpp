// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Reading pairs files: what is read, and where every kind of mistake is found.
#include "io/pairs.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ReadPairsTest : public TemporaryFolder {
 protected:
  [[nodiscard]] std::string refusal_of(const std::string& content) const {
    const fs::path file = write("p.jsonl", content);
    return message_of([&] { read_pairs(file); });
  }
};

const std::string good =
    R"({"clean_prefix": "The cat", "patch_prefix": "The cats", "clean_answer": " is", "patch_answer": " are"})";

TEST_F(ReadPairsTest, ReadsEveryKeyAndRemembersTheLine) {
  const fs::path file = write(
      "p.jsonl", "\n" + good + "\n   \t\n" +
                     R"({"case": "é\n\u00e9\ud83d\ude00", "clean_answer": " x", "clean_prefix": "a \"b\""})" + "\n");
  const std::vector<PromptPair> pairs = read_pairs(file);
  ASSERT_EQ(pairs.size(), 2U);
  EXPECT_EQ(pairs[0].clean_prefix, "The cat");
  EXPECT_EQ(pairs[0].patch_prefix, "The cats");
  EXPECT_EQ(pairs[0].clean_answer, " is");
  EXPECT_EQ(pairs[0].patch_answer, " are");
  EXPECT_EQ(pairs[0].case_label, "");
  EXPECT_EQ(pairs[0].file, file.string());
  EXPECT_EQ(pairs[0].line, 2);
  EXPECT_EQ(pairs[1].clean_prefix, "a \"b\"");
  EXPECT_EQ(pairs[1].patch_prefix, std::nullopt);
  EXPECT_EQ(pairs[1].patch_answer, std::nullopt);
  EXPECT_EQ(pairs[1].case_label, "\xC3\xA9\n\xC3\xA9\xF0\x9F\x98\x80");
  EXPECT_EQ(pairs[1].line, 4);
}

TEST_F(ReadPairsTest, ByteOrderMarkAndWindowsLineEndsAreTolerated) {
  const std::vector<PromptPair> pairs = read_pairs(write("p.jsonl", "\xEF\xBB\xBF" + good + "\r\n\r\n" + good));
  ASSERT_EQ(pairs.size(), 2U);
  EXPECT_EQ(pairs[0].clean_prefix, "The cat");
  EXPECT_EQ(pairs[1].patch_answer, " are");
  EXPECT_EQ(pairs[1].line, 3);
}

TEST_F(ReadPairsTest, MistakesAreFoundAtLineAndColumn) {
  struct Case {
    std::string line;
    std::string where;
    std::string says;
  };
  const std::vector<Case> cases = {
      {R"({"clean_prefix": "a" "clean_answer": "b"})", ":2:22: ", "expected '}'"},
      {R"({"clean_prefix": "a", "clean_answer": "b"} {})", ":2:44: ", "expected end of input"},
      {R"({"clean_prefix": "a", "clean_answer": "\x"})", ":2:41: ", "forbidden character after backslash"},
      {R"({"clean_prefix": "a", "clean_answer": "\ud800"})", ":2:46: ", "surrogate"},
      {R"({"clean_prefix": "a", "clean_answer": "b")", ":2:42: ", "unexpected end of input"},
      {R"(["a", "b"])", ":2:1: ", "is array (every line is one object"},
      {R"({"clean_prefix": "é", "pach_prefix": "c", "clean_answer": "b"})",
       ":2:23: ", "unknown key \"pach_prefix\" (did you mean 'patch_prefix'?)"},
      {R"({"clean_prefix": "a"})", ":2:1: ", "\"clean_answer\" is missing"},
      {R"({"clean_answer": "a"})", ":2:1: ", "\"clean_prefix\" is missing"},
      {R"({"clean_prefix": "a", "clean_answer": "b", "clean_answer": "c"})",
       ":2:44: ", "\"clean_answer\" is given twice"},
      {R"({"clean_prefix": "a", "clean_answer": ["b"]})",
       ":2:23: ", "\"clean_answer\" is array (every value is a text)"},
      {R"({"clean_prefix": 7, "clean_answer": "b"})", ":2:2: ", "\"clean_prefix\" is number"},
      {R"({"clean_prefix": "a", "clean_answer": "b", "patch_prefix": null})", ":2:44: ", "leave the key out"},
      {R"({"clean_prefix": "", "clean_answer": "b"})", ":2:2: ", "\"clean_prefix\" is empty; give it a text"},
      {R"({"clean_prefix": "a", "clean_answer": ""})", ":2:23: ", "\"clean_answer\" is empty"},
      {R"({"clean_prefix": "a", "clean_answer": "b", "patch_answer": ""})", ":2:44: ", "\"patch_answer\" is empty"},
      {R"({"clean_prefix": "a\u0000", "clean_answer": "b"})", ":2:2: ", "U+0000"},
      {"{\"clean_prefix\": \"a\xFF\", \"clean_answer\": \"b\"}", ":2:20: ", "byte 0xFF is not valid UTF-8"},
      {"{\"clean_prefix\": \"\xED\xA0\x80\", \"clean_answer\": \"b\"}", ":2:19: ", "not valid UTF-8"},
      {std::string(5000, '['), ":2:65: ", "nested more than 64 deep"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(refusal_of(std::string(good).append("\n").append(c.line).append("\n").append(good)),
                AllOf(HasSubstr("p.jsonl" + c.where), HasSubstr(c.says), Not(HasSubstr("\n"))))
        << c.line.substr(0, 80);
  }
}

TEST_F(ReadPairsTest, AllMistakesAreReportedTogether) {
  const std::string message = refusal_of("{\n" + good + "\n" + R"({"clean_prefx": "a", "clean_answer": 1})" + "\n7\n");
  EXPECT_THAT(message, AllOf(HasSubstr(":1:2: "), HasSubstr(":3:2: unknown key"), HasSubstr(":3:22: \"clean_answer\""),
                             Not(HasSubstr("is missing")), HasSubstr(":4:1: is number")));
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 3);
}

TEST_F(ReadPairsTest, FewLinesOfEachKindOfMistakeAreShown) {
  std::string content;
  for (int i = 0; i < 130; ++i) content += "not json\n";
  std::string message = refusal_of(content);
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 5);
  EXPECT_THAT(message,
              AllOf(HasSubstr(":5:"), Not(HasSubstr(":6:")), HasSubstr("… and 125 more: this is not valid JSON")));

  content = good + "\n";
  for (int i = 0; i < 20; ++i)
    content += R"({"clean_prefx": "a", "clean_answer": "b"})"
               "\n";
  message = refusal_of(content + "7\n");
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 6);
  EXPECT_THAT(message, AllOf(HasSubstr(":6:2: unknown key"), Not(HasSubstr(":7:")), HasSubstr(":22:1: is number"),
                             HasSubstr("… and 15 more: unknown key \"clean_prefx\"")));

  content = good + "\n";  // kinds without end
  for (int i = 0; i < 130; ++i) {
    content += R"({"clean_prefix": "a", "clean_answer": "b", ")" + std::string(static_cast<std::size_t>(i) + 20, 'x') +
               "\": \"c\"}\n";
  }
  message = refusal_of(content);
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 50);
  EXPECT_THAT(message, AllOf(HasSubstr(":51:"), Not(HasSubstr(":52:")), HasSubstr("… and 80 more")));
}

TEST_F(ReadPairsTest, AFileOfAnotherFormIsToldOnceWhatIsWanted) {
  const std::string form = R"(give one JSON object a line: {"clean_prefix": …, "patch_prefix": …, )";
  std::string csv = "\nclean_prefix,patch_prefix,clean_answer,patch_answer\r\n";
  for (int i = 0; i < 40; ++i) csv += "The capital of France is,The capital of Japan is, Paris, Tokyo\r\n";
  const std::string semicolons = "\xEF\xBB\xBF\"clean_prefix\";\"clean_answer\"\na;b\n";
  const std::string array = "[" + good + ",\n " + good + "]\n";
  const std::string indented = "[\n  {\n    \"clean_prefix\": \"a\",\n    \"clean_answer\": \"b\"\n  }\n]\n";
  const std::string objects = "{\n  \"clean_prefix\": \"a\",\n  \"clean_answer\": \"b\"\n}\n{\n}\n";
  struct Case {
    std::string content;
    const char* says;
  };
  for (const Case& c : {Case{csv, "p.jsonl: looks like a CSV file"}, Case{semicolons, "p.jsonl: looks like a CSV file"},
                        Case{"clean_prefix\tclean_answer\na\tb\n", "looks like a CSV file"},
                        Case{array, "p.jsonl: is a JSON array"}, Case{indented, "p.jsonl: is a JSON array"},
                        Case{objects, "p.jsonl: has JSON objects that go over several lines"}}) {
    EXPECT_THAT(refusal_of(c.content), AllOf(HasSubstr(c.says), HasSubstr(form), Not(HasSubstr("\n")))) << c.content;
  }
  // A stray first line, before objects, is that line's mistake.
  EXPECT_THAT(refusal_of("a,b\n" + good), HasSubstr("p.jsonl:1:1: this is not valid JSON"));
  EXPECT_THAT(refusal_of(""), HasSubstr(form));
}

TEST_F(ReadPairsTest, EmptyAndMissingFilesAreRefused) {
  EXPECT_THAT(refusal_of(""), HasSubstr("p.jsonl: holds no pairs"));
  EXPECT_THAT(refusal_of("\xEF\xBB\xBF \r\n\n"), HasSubstr("holds no pairs"));
  EXPECT_THAT(message_of([&] { read_pairs(folder_ / "nowhere.jsonl"); }), HasSubstr("nowhere.jsonl"));
}

/// The published agreement sets, where the machine has them.
std::optional<fs::path> published_sets() {
  const char* const given = std::getenv("TRIBUTARY_SHARED");
  const fs::path root = fs::path(__FILE__).parent_path().parent_path().parent_path();
  const fs::path folder = (given != nullptr ? fs::path(given) : root.parent_path() / "shared") / "data" / "sva";
  if (!fs::is_directory(folder)) return std::nullopt;
  return folder;
}

TEST(PublishedPairs, AreReadWhole) {
  const auto folder = published_sets();
  if (!folder)
    GTEST_SKIP() << "the published sets are not here (set TRIBUTARY_SHARED to the folder that holds data/sva)";
  EXPECT_EQ(read_pairs(*folder / "nounpp_train.json").size(), 1920U);
  EXPECT_EQ(read_pairs(*folder / "nounpp_test.json").size(), 480U);
  EXPECT_EQ(read_pairs(*folder / "simple_train.json").size(), 480U);
  const std::vector<PromptPair> simple = read_pairs(*folder / "simple_test.json");
  ASSERT_EQ(simple.size(), 120U);
  EXPECT_EQ(simple[0].clean_prefix, "The uncle");
  EXPECT_EQ(simple[0].patch_answer, " have");
  EXPECT_EQ(simple[119].case_label, "plural");
}

}  // namespace
}  // namespace tributary
