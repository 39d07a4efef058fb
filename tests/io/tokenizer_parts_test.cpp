// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The parts of the tokenizer on their own: patterns, splitting, normalisation, the byte-level alphabet.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/errors.h"
#include "io/detail/tokenizer/byte_level.h"
#include "io/detail/tokenizer/normalizer.h"
#include "io/detail/tokenizer/pretokenizer.h"
#include "io/detail/tokenizer/regex_dialect.h"
#include "io/detail/tokenizer/split_rule.h"
#include "tests/io/temporary_folder.h"

namespace tributary::detail::tokenizer {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string_view> split(const std::string& regex, SplitBehavior behavior, std::string_view text,
                                    SplitOn on = SplitOn::matches) {
  return SplitRule{Pattern::from_regex(regex, "file"), behavior, on}.pieces(text);
}

// The example by which the documentation of the `tokenizers` package explains the five behaviours.
TEST(SplitRule, DoesWithMatchesWhatTheBehaviorSays) {
  const std::string_view text = "the-final--countdown";
  EXPECT_THAT(split("-", SplitBehavior::removed, text), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(split("-", SplitBehavior::isolated, text), ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(split("-", SplitBehavior::merged_with_previous, text), ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(split("-", SplitBehavior::merged_with_next, text), ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(split("-", SplitBehavior::contiguous, text), ElementsAre("the", "-", "final", "--", "countdown"));
  EXPECT_THAT(split("[a-z]+", SplitBehavior::removed, text, SplitOn::gaps), ElementsAre("the", "final", "countdown"));
}

TEST(SplitRule, EmptyMatchesSplitButDoNotLoop) {
  EXPECT_THAT(split("(?=é)", SplitBehavior::isolated, "aéé"), ElementsAre("a", "é", "é"));
  EXPECT_THAT(split("x*", SplitBehavior::isolated, "axxb"), ElementsAre("a", "xx", "b"));
}

TEST(Pattern, AnchorsMatchAtEveryLineAndTheDotStopsThere) {
  EXPECT_THAT(split("^a", SplitBehavior::isolated, "ab\nab"), ElementsAre("a", "b\n", "a", "b"));
  EXPECT_THAT(split(".+", SplitBehavior::removed, "ab\r\nc", SplitOn::gaps), ElementsAre("ab\r", "c"));
}

TEST(Pattern, ClassesAreThoseOfOnigurumaAlsoWherePcreIsOlder) {
  // The Mongolian vowel separator is no space; a letter and a digit of Unicode 16 are letter and digit.
  EXPECT_THAT(split("\\s", SplitBehavior::removed, "a\u180Eb\u3000c\u0085d"), ElementsAre("a\u180Eb", "c", "d"));
  EXPECT_THAT(split("\\p{L}+", SplitBehavior::isolated, "-\u1C89a-"), ElementsAre("-", "\u1C89a", "-"));
  EXPECT_THAT(split("\\p{Nd}+", SplitBehavior::isolated, "-\U00010D40\U00010D41"),
              ElementsAre("-", "\U00010D40\U00010D41"));
}

TEST(Pattern, LiteralsAndRangesMatchWhatTheyNameAlsoWherePcreIsOlder) {
  // Each of the characters younger than PCRE2's tables stands beside one that has its place in the classes.
  const std::string_view text = "\u180E\uFFF9\u200B\U0001FAE8\U0001D000\U0001F300\U00031350\U00010280\U00020000";
  const auto matches = [&text](const Pattern& pattern) {
    std::string found;
    for (const Span& span : pattern.spans(text)) {
      if (span.kind == Span::Kind::match) found += text.substr(span.begin, span.end - span.begin);
    }
    return found;
  };
  for (const char* const one : {"\u180E", "\u200B", "\uFFF9", "\U0001FAE8", "\U0001D000", "\U00010280", "\U00031350"}) {
    EXPECT_EQ(matches(Pattern::from_text(one, "file")), one);
    EXPECT_EQ(matches(Pattern::from_regex(one, "file")), one);
    EXPECT_EQ(matches(Pattern::from_regex("[" + std::string(one) + "]", "file")), one);
  }
  EXPECT_EQ(matches(Pattern::from_regex(R"([\x{1F300}-\x{1F5FF}])", "file")), "\U0001F300");
  EXPECT_EQ(matches(Pattern::from_regex(R"([\x{1F900}-\x{1FAFF}])", "file")), "\U0001FAE8");
  EXPECT_EQ(matches(Pattern::from_regex(R"([\x{30000}-\x{323AF}])", "file")), "\U00031350");
  EXPECT_EQ(matches(Pattern::from_regex(R"([\x{20000}-\x{2A6DF}]|\p{Lt}|\s)", "file")), "\U00020000");
  EXPECT_EQ(matches(Pattern::from_regex(R"([\x{10280}-\x{20000}]\s?)", "file")),
            "\U0001FAE8\U0001D000\U0001F300\U00010280\U00020000");
  EXPECT_EQ(matches(Pattern::from_regex(R"([\x{80}-\x{10FFFF}]|\p{L})", "file")), text);
}

TEST(Pattern, FailsLoudlyWhenMatchingTakesForEver) {
  const std::string text = std::string(60, 'a') + "cb";
  EXPECT_THROW(split("(a+)+b", SplitBehavior::isolated, text), UserError);
}

TEST(Pattern, FailsLoudlyWhenMatchingTakesAllMemory) {
  // Each of the thousand rounds keeps the places of all groups: 160 MB.
  std::string groups;
  for (int i = 0; i < 5000; ++i) groups += "()";
  const auto refusal =
      message_of([&] { split("(?:" + groups + "a|b)*c", SplitBehavior::isolated, std::string(2000, 'a') + "c"); });
  EXPECT_THAT(refusal, AllOf(HasSubstr("heap limit"), HasSubstr("more work than tokenizers' patterns")));
}

TEST(Pattern, MatchesTextsTooDeepForTheCompiledMatcher) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += i % 3 == 0 ? "ab" : "c";
  EXPECT_THAT(split("(?:(a)b|c)+", SplitBehavior::isolated, text + "-" + text), ElementsAre(text, "-", text));
}

TEST(RegexDialect, LetsThroughWhatMeansTheSame) {
  for (const char* pattern : {R"((?i:'s|'re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}?|\s+(?!\S)|(?<=a)b(?<!c)(?>d))",
                              R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)", R"(a{2}b{2,}\x{1F600}\x7F)",
                              R"(s(?i:'s|'t|'re|'ve|'m|'ll|'d)s|ss|(?i:[^a-z]\p{L}s|[sdmt]|é)|[ß\p{L}])"}) {
    EXPECT_EQ(onig_to_pcre2(pattern, "file").pattern, pattern);
  }
  EXPECT_EQ(onig_to_pcre2(R"([\u4E00-\u9fa5])", "file").pattern, R"([\x{4E00}-\x{9fa5}])");
}

TEST(RegexDialect, RefusesWhatTheTwoEnginesReadDifferently) {
  const std::pair<const char*, const char*> cases[] = {{"\\w+", "\\w"},
                                                       {"a\\b", "\\b"},
                                                       {"\\h", "\\h"},
                                                       {"(a)\\1", "\\1"},
                                                       {"\\p{Han}", "\\p{Han}"},
                                                       {"\\pL", "\\pL"},
                                                       {"\\p{^L}", "{^L}"},
                                                       {"[a[bc]]", "class inside"},
                                                       {"[[:alpha:]]", "inside"},
                                                       {"[a-z&&[^b]]", "&&"},
                                                       {"[]a]", "[]"},
                                                       {"[a", "never closed"},
                                                       {"a{,3}", "{,3"},
                                                       {"a{3", "{3"},
                                                       {"a{1,2}+", "{1,2}+"},
                                                       {"a{2}?", "{2}?"},
                                                       {"a(?i)b", "(?i)"},
                                                       {"(?<n>a)", "(?<n"},
                                                       {"(*ACCEPT)", "(*AC"},
                                                       {"\\xE9", "\\xE9"},
                                                       {"\\u12", "hexadecimal"},
                                                       {"a\\", "escape"},
                                                       {"[\\p{L}\U0001FAE8]", "'\U0001FAE8', which beside classes"},
                                                       {"\\p{L}\\x{10280}", "'\\x{10280}', which beside"},
                                                       {"[\\p{L}\\x{20000}-\\x{31360}]", "{20000}-\\x{31360}', which"},
                                                       {"\\s\u180E", "which beside"},
                                                       {"(?i:ss)", "'ss', which holds letters"},
                                                       {"(?i:aſS)", "where case is ignored"},
                                                       {"(?i:a(?:s|(s)?\\x73))", "'ss'"},
                                                       {"(?i:fi)", "'fi'"},
                                                       {"(?i:oFFi)", "'oFF'"},
                                                       {"(?i:st)", "'st'"},
                                                       {"(?i:\u00DF)", "'\u00DF', which holds letters"},
                                                       {"(?i:\u02BCn)", "'\u02BCn'"},
                                                       {"(?i:[^a\u00DF])", "'\u00DF', which holds letters"},
                                                       {"(?i:[\u00C0-\u00FF])", "'\u00C0-\u00FF'"},
                                                       {"(?i:[\\p{Ll}])", "inside a class where case"},
                                                       {"(?i:[\\S])", "inside a class where case"},
                                                       {"(?i:\u0264)", "both cases"},
                                                       {"(a", "not a regular expression"}};
  for (const auto& [pattern, named] : cases) {
    try {
      Pattern::from_regex(pattern, "tokenizer.json");
      ADD_FAILURE() << pattern << " was accepted";
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr(named)) << pattern;
      EXPECT_EQ(error.problems().at(0).where, "tokenizer.json");
    }
  }
}

TEST(RegexDialect, APatternBeyondOurLimitsIsNotCalledWrong) {
  const std::string deep = std::string(300, '(') + "a" + std::string(300, ')');
  try {
    Pattern::from_regex(deep, "tokenizer.json");
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("beyond what this program's regular expressions can hold"));
    EXPECT_THAT(error.what(), Not(HasSubstr("correct it")));
  }
}

TEST(RegexDialect, EscapedTextMatchesItselfOnly) {
  const std::string text = R"(a.b*[c]\d{2}(?:é|^$) #-)";
  const SplitRule rule{Pattern::from_text(text, "file"), SplitBehavior::isolated, SplitOn::matches};
  const std::string subject = "x" + text + "y";
  EXPECT_THAT(rule.pieces(subject), ElementsAre("x", text, "y"));
}

std::vector<std::string> words(const char* description, std::string_view text) {
  const JsonDocument document = parse_json({description, "file"});
  std::vector<std::string> bytes;
  for (const std::string& word : PreTokenizer(JsonView(document)).words(text, 1)) {
    bytes.push_back(from_byte_level(word).value_or("not byte-level"));
  }
  return bytes;
}

TEST(PreTokenizer, Gpt2Words) {
  const char* gpt2 = R"({"type": "ByteLevel", "add_prefix_space": false})";
  EXPECT_THAT(
      words(gpt2, "They'll say  I'VE\n\n 3½ ideas…\u00A0ok "),
      ElementsAre("They", "'ll", " say", " ", " I", "'", "VE", "\n\n", " 3½", " ideas", "…", "\u00A0", "ok", " "));
  EXPECT_THAT(words(gpt2, ""), ElementsAre());
  EXPECT_THAT(words(R"({"type": "ByteLevel", "add_prefix_space": true})", "a b"), ElementsAre(" a", " b"));
  EXPECT_THAT(words(R"({"type": "ByteLevel", "add_prefix_space": true})", " a"), ElementsAre(" a"));
}

TEST(PreTokenizer, DigitsOneByOneOrTogether) {
  const auto with_digits = [](const std::string& individual) {
    return R"({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": )" + individual +
           R"(}, {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})";
  };
  EXPECT_THAT(words(with_digits("true").c_str(), "ab12½ ٣c"), ElementsAre("ab", "1", "2", "½", " ", "٣", "c"));
  EXPECT_THAT(words(with_digits("false").c_str(), "ab12½ ٣c"), ElementsAre("ab", "12½", " ", "٣", "c"));
}

std::string normalized(const char* description, std::string_view text) {
  const JsonDocument document = parse_json({description, "file"});
  return Normalizer(JsonView(document)).normalize(text).text;
}

TEST(Normalizer, UnicodeForms) {
  EXPECT_EQ(normalized(R"({"type": "NFC"})", "e\u0301 ﬁ"), "é ﬁ");
  EXPECT_EQ(normalized(R"({"type": "NFD"})", "é"), "e\u0301");
  EXPECT_EQ(normalized(R"({"type": "NFKC"})", "e\u0301 ﬁ ①"), "é fi 1");
  EXPECT_EQ(normalized(R"({"type": "NFKD"})", "é ﬁ"), "e\u0301 fi");
  EXPECT_EQ(normalized(R"({"type": "NFC"})", std::string_view("\0a", 2)), std::string("\0a", 2));
}

TEST(Normalizer, CharactersYoungerThanThePeersTablesStayAsTheyAre) {
  EXPECT_EQ(normalized(R"({"type": "NFKC"})", "\u32FF"), "\u32FF");  // square era name Reiwa, Unicode 12.1
}

TEST(Normalizer, StepsFollowEachOther) {
  const char* steps =
      R"({"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"Regex": "b+"}, "content": "e"},
      {"type": "Prepend", "prepend": "_"}, {"type": "Replace", "pattern": {"String": "."}, "content": "\u0301"},
      {"type": "NFC"}]})";
  EXPECT_EQ(normalized(steps, "abb."), "_aé");
  EXPECT_EQ(normalized(steps, ""), "");
}

TEST(ByteLevel, IsTheAlphabetOfGpt2) {
  EXPECT_EQ(to_byte_level(" \n\t!~"), "ĠĊĉ!~");
  EXPECT_EQ(to_byte_level(std::string_view("\0\x7F\x80\xA0\xA1\xAD\xFF", 7)), "ĀġĢł¡Ńÿ");
  EXPECT_EQ(to_byte_level("é"), "Ã©");
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    EXPECT_EQ(from_byte_level(to_byte_level(text)), text);
  }
  EXPECT_EQ(from_byte_level("a b"), std::nullopt);
  EXPECT_EQ(from_byte_level("\u0144"), std::nullopt);
}

// Expected values are those of Python's bytes.decode("utf-8", "replace").
TEST(ReplaceInvalidUtf8, ReplacesLongestImpossiblePieces) {
  const std::pair<std::string, std::string> cases[] = {{"ab", "ab"},
                                                       {"\xE4\xB8", "\uFFFD"},
                                                       {"\xE4\xB8z", "\uFFFDz"},
                                                       {"\xB8\xAD", "\uFFFD\uFFFD"},
                                                       {"\xF0\x9F\x98", "\uFFFD"},
                                                       {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
                                                       {"\xC0\x80", "\uFFFD\uFFFD"},
                                                       {"\xF4\x90\x80", "\uFFFD\uFFFD\uFFFD"},
                                                       {"é\xC3", "é\uFFFD"}};
  for (const auto& [bytes, text] : cases) EXPECT_EQ(replace_invalid_utf8(bytes), text);
}

}  // namespace
}  // namespace tributary::detail::tokenizer
