// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/errors.h"

namespace tributary {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Letters, a space, the bytes of é, and three merges: "hot" comes by "ot" first, "ho" never wins.
json small_model() {
  return json::parse(R"({
    "version": "1.0", "truncation": null, "added_tokens": [], "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": null,
    "model": {"type": "BPE", "unk_token": null, "vocab": {"h": 0, "o": 1, "t": 2, "c": 3, "Ġ": 4, "Ã": 5, "©": 6,
      "ot": 7, "hot": 8, "ho": 9, "Ġhot": 10, "oo": 11, "chot": 12},
      "merges": [["o", "t"], ["h", "ot"], ["h", "o"], ["Ġ", "hot"], ["o", "o"]]}})");
}

json added(std::int64_t id, const std::string& content, const json& options = json::object()) {
  json token = {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                {"rstrip", false}, {"normalized", false}, {"special", false}};
  token.update(options);
  return token;
}

class TokenizerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "tributary-tokenizer-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& text) const {
    std::ofstream(folder_ / "tokenizer.json", std::ios::binary) << text;
    return folder_ / "tokenizer.json";
  }
  Tokenizer load(const json& description) const { return Tokenizer::load(write(description.dump())); }
  std::vector<std::int64_t> ids(const json& description, const std::string& text) const {
    return load(description).encode(text, SpecialTokens::add);
  }
  std::string refusal(const std::string& text) const {
    try {
      Tokenizer::load(write(text));
    } catch (const UserError& error) {
      return error.what();
    }
    return "accepted";
  }

  std::filesystem::path folder_;
};

TEST_F(TokenizerTest, MergesByRankThenFromTheLeft) {
  EXPECT_THAT(ids(small_model(), "hot hot"), ElementsAre(8, 10));
  EXPECT_THAT(ids(small_model(), "hoho"), ElementsAre(9, 9));
  EXPECT_THAT(ids(small_model(), "ooo"), ElementsAre(11, 1));
  EXPECT_THAT(ids(small_model(), "ooot"), ElementsAre(11, 7));
  EXPECT_THAT(ids(small_model(), "é"), ElementsAre(5, 6));
  EXPECT_THAT(ids(small_model(), ""), ElementsAre());
}

TEST_F(TokenizerTest, AMergeWhosePartIsGoneIsNotMade) {
  json model = small_model();
  model["model"]["vocab"]["oot"] = 13;
  model["model"]["merges"].push_back({"o", "ot"});
  // "oo" was possible before "ot" took its second letter; a later merge of the same place is not a substitute.
  EXPECT_THAT(ids(model, "oot"), ElementsAre(13));
}

// As the `tokenizers` package has it.
TEST_F(TokenizerTest, OfEqualMergesTheLastOneCounts) {
  json model = small_model();
  model["model"]["merges"].push_back({"o", "t"});
  EXPECT_THAT(ids(model, "hot"), ElementsAre(9, 2));
}

TEST_F(TokenizerTest, ReadsMergesOfOlderFiles) {
  json model = small_model();
  model["model"]["merges"] = {"#version: 0.2", "o t", "h ot", "h o", "Ġ hot", "o o"};
  EXPECT_THAT(ids(model, "hot hot"), ElementsAre(8, 10));
  EXPECT_THAT(ids(model, "hoho"), ElementsAre(9, 9));
}

TEST_F(TokenizerTest, IgnoreMergesTakesWholeWordsFirst) {
  json model = small_model();
  EXPECT_THAT(ids(model, "chot"), ElementsAre(3, 8));
  model["model"]["ignore_merges"] = true;
  EXPECT_THAT(ids(model, "chot"), ElementsAre(12));
  EXPECT_THAT(ids(model, "chott"), ElementsAre(3, 8, 2));
}

TEST_F(TokenizerTest, UnknownBytesVanishOrBecomeTheUnknownToken) {
  json model = small_model();
  EXPECT_THAT(ids(model, "oxxt"), ElementsAre(7));
  model["model"]["unk_token"] = "c";
  EXPECT_THAT(ids(model, "oxxt"), ElementsAre(1, 3, 3, 2));
  model["model"]["fuse_unk"] = true;
  EXPECT_THAT(ids(model, "oxxtx"), ElementsAre(1, 3, 2, 3));
}

TEST_F(TokenizerTest, MergesLongWords) {
  // As many steps as a million letters have pairs would never end.
  const std::vector<std::int64_t> found = load(small_model()).encode(std::string(1'000'001, 'o'), SpecialTokens::omit);
  std::vector<std::int64_t> expected(500'000, 11);
  expected.push_back(1);
  EXPECT_EQ(found, expected);
}

TEST_F(TokenizerTest, PutsSpecialTokensAroundTheText) {
  json model = small_model();
  model["added_tokens"] = {added(13, "<s>"), added(14, "</s>")};
  const json sequence = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const auto special = [](const char* name) { return json{{"SpecialToken", {{"id", name}, {"type_id", 0}}}}; };
  model["post_processor"] = {
      {"type", "Sequence"},
      {"processors",
       {{{"type", "ByteLevel"}},
        {{"type", "TemplateProcessing"},
         {"single", {special("<s>"), sequence, special("</s>")}},
         {"special_tokens",
          {{"<s>", {{"id", "<s>"}, {"ids", {13, 3}}}}, {"</s>", {{"id", "</s>"}, {"ids", {14}}}}}}}}}};
  const Tokenizer tokenizer = load(model);
  EXPECT_THAT(tokenizer.prefix_ids(), ElementsAre(13, 3));
  EXPECT_THAT(tokenizer.encode("hot", SpecialTokens::add), ElementsAre(13, 3, 8, 14));
  EXPECT_THAT(tokenizer.encode("", SpecialTokens::add), ElementsAre(13, 3, 14));
  EXPECT_THAT(tokenizer.encode("<s>hot", SpecialTokens::omit), ElementsAre(13, 8));
  EXPECT_THAT(load(small_model()).prefix_ids(), ElementsAre());
}

TEST_F(TokenizerTest, OneTokenBeforeAndOneBehindAsRobertaHasThem) {
  json model = small_model();
  for (const char* const type : {"RobertaProcessing", "BertProcessing"}) {
    model["post_processor"] = {{"type", type}, {"cls", {"t", 2}}, {"sep", {"c", 3}}};
    EXPECT_THAT(ids(model, "hot"), ElementsAre(2, 8, 3));
    EXPECT_THAT(load(model).prefix_ids(), ElementsAre(2));
  }
}

// As the `tokenizers` package has it.
TEST_F(TokenizerTest, AnAddedTokensIdComesFromTheVocabularyNotFromItsDescription) {
  json model = small_model();
  model["added_tokens"] = {added(20, "<a>"), added(3, "hot"), added(13, "<b>")};
  const Tokenizer tokenizer = load(model);
  EXPECT_THAT(tokenizer.encode("<a>hot<b>", SpecialTokens::omit), ElementsAre(13, 8, 14));
  EXPECT_THAT(tokenizer.notes(), ElementsAre(AllOf(HasSubstr("'<a>' is 13, not 20"), HasSubstr("'hot' is 8, not 3"),
                                                   HasSubstr("'<b>' is 14, not 13"))));
  model["added_tokens"] = {added(13, "<a>"), added(8, "hot")};
  EXPECT_THAT(load(model).notes(), ElementsAre());
}

TEST_F(TokenizerTest, ManyAddedTokensAreReadAndFoundInMoments) {
  json model = small_model();
  json& tokens = model["added_tokens"];
  for (int i = 0; i < 200'000; ++i) tokens.push_back(added(13 + i, "h" + std::to_string(i) + "x"));
  // Comparing each with each would take minutes, and so would trying each at every place of a text.
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "h1";
  text += "h7x";
  EXPECT_EQ(load(model).encode(text, SpecialTokens::omit).size(), 100'001U);  // this vocabulary has no 1
}

TEST_F(TokenizerTest, FindsTheLongestAddedToken) {
  json model = small_model();
  model["added_tokens"] = {added(13, "<a"), added(14, "<a><"), added(7, "ot")};
  EXPECT_THAT(ids(model, "h<a><ah<ot"), ElementsAre(0, 14, 0, 7));
  EXPECT_EQ(load(model).size(), 15);
}

TEST_F(TokenizerTest, AddedTokensTakeSpacesAndMindWords) {
  json model = small_model();
  model["added_tokens"] = {added(13, "<l>", {{"lstrip", true}}), added(14, "<r>", {{"rstrip", true}}),
                           added(15, "co", {{"single_word", true}})};
  EXPECT_THAT(ids(model, "h \u3000<l> h"), ElementsAre(0, 13, 4, 0));
  EXPECT_THAT(ids(model, "h <r> \u2003\nh"), ElementsAre(0, 4, 14, 0));
  EXPECT_THAT(ids(model, "co-co"), ElementsAre(15, 15));
  EXPECT_THAT(ids(model, "coh"), ElementsAre(3, 9 - 8, 0));
  EXPECT_THAT(ids(model, "\u0301co"), ElementsAre(3, 1));  // a combining mark belongs to a word
}

// As the `tokenizers` package has it.
TEST_F(TokenizerTest, SpacesThatOneAddedTokenSwallowsMayBeginTheNext) {
  json model = small_model();
  model["added_tokens"] = {added(13, "<r>", {{"rstrip", true}}), added(14, " h")};
  EXPECT_THAT(ids(model, "<r> hot"), ElementsAre(13, 14, 7));
}

TEST_F(TokenizerTest, OfSeveralDescriptionsOfAnAddedTokenTheLastOneCounts) {
  json model = small_model();
  model["added_tokens"] = {added(13, "<l>"), added(13, "<l>", {{"lstrip", true}})};
  EXPECT_THAT(ids(model, "h <l>h"), ElementsAre(0, 13, 0));
  EXPECT_EQ(load(model).size(), 14);
}

TEST_F(TokenizerTest, NormalizedTokensAreFoundInNormalizedText) {
  json model = small_model();
  model["normalizer"] = {{"type", "NFC"}};
  model["added_tokens"] = {added(13, "e\u0301h", {{"normalized", true}}), added(14, "e\u0301t")};
  EXPECT_THAT(ids(model, "\u00E9h"), ElementsAre(13));
  EXPECT_THAT(ids(model, "e\u0301h"), ElementsAre(13));
  EXPECT_THAT(ids(model, "e\u0301t"), ElementsAre(14));
  EXPECT_THAT(ids(model, "\u00E9t"), ElementsAre(5, 6, 2));
}

TEST_F(TokenizerTest, GivesTheTextOfAnId) {
  json model = small_model();
  model["added_tokens"] = {added(13, "<|é|>")};
  const Tokenizer tokenizer = load(model);
  EXPECT_EQ(tokenizer.text_of(10), " hot");
  EXPECT_EQ(tokenizer.text_of(5), "\uFFFD");
  EXPECT_EQ(tokenizer.text_of(13), "<|é|>");
  EXPECT_EQ(tokenizer.text_of(99), "");
  EXPECT_EQ(tokenizer.text_of(-1), "");
}

TEST_F(TokenizerTest, InvalidUtf8IsOurBug) {
  EXPECT_THROW(load(small_model()).encode("h\xFF", SpecialTokens::omit), ContractViolation);
}

TEST_F(TokenizerTest, BrokenJsonIsReportedWithLineAndColumn) {
  EXPECT_THAT(refusal("{\n  \"version\": \"1.0\",\n  oops}"), HasSubstr("tokenizer.json:3:3: this is not valid JSON"));
  EXPECT_THAT(refusal("{\"a\": [1, 2"), HasSubstr("tokenizer.json:1:12"));
  EXPECT_THAT(refusal(""), HasSubstr("tokenizer.json:1:1"));
  EXPECT_THROW(Tokenizer::load(folder_ / "missing.json"), UserError);
}

TEST_F(TokenizerTest, RefusesWhatJsonReadersUnderstandDifferently) {
  EXPECT_EQ(refusal(small_model().dump()), "accepted");
  EXPECT_THAT(refusal(small_model().dump() + std::string("\0{}", 3)), HasSubstr("a NUL byte is not JSON"));
  EXPECT_THAT(refusal(small_model().dump() + "\n{}"), HasSubstr("tokenizer.json:2:1: this is not valid JSON"));
  EXPECT_THAT(refusal("{\"model\": {\"vocab\": {\"a\": 0,\n \"a\": 1}}}"),
              HasSubstr("tokenizer.json:2:2: the key \"a\" is given twice"));
}

TEST_F(TokenizerTest, RefusesEndlessNesting) {
  std::string nested;
  for (int depth = 0; depth < 20'000; ++depth) nested += R"({"type":"Sequence","normalizers":[)";
  for (int depth = 0; depth < 20'000; ++depth) nested += "]}";
  std::string text = small_model().dump();
  const std::string none = R"("normalizer":null)";
  text.replace(text.find(none), none.size(), R"("normalizer":)" + nested);
  EXPECT_THAT(refusal(text), HasSubstr("nested more than 64 deep"));
}

TEST_F(TokenizerTest, NamesTheMergeThatIsWrong) {
  json model = small_model();
  model["model"]["merges"] = {"#version: 0.2", "o t", "h x"};
  EXPECT_THAT(refusal(model.dump()), HasSubstr("tokenizer.json: model.merges[2]: the vocabulary has no token 'x'"))
      << "counted as in the file, header included";
}

TEST_F(TokenizerTest, RefusesByNameWhatItDoesNotKnow) {
  const struct {
    const char* place;
    const char* value;
    const char* message;
  } cases[] = {
      {"/model/type", R"("WordPiece")", "model.type: the model 'WordPiece'"},
      {"/model/dropout", "0.1", "model.dropout"},
      {"/model/end_of_word_suffix", R"("</w>")", "end_of_word_suffix"},
      {"/model/continuing_subword_prefix", R"("##")", "continuing_subword_prefix"},
      {"/model/unk_token", R"("<unk>")", "no token '<unk>'"},
      {"/model/vocab/o", "0", "have the same id 0"},
      {"/model/vocab/o", "-1", "the token 'o' has no id"},
      {"/model/merges/1", R"(["h", "x"])", "model.merges[1]: the vocabulary has no token 'x'"},
      {"/model/merges/1", R"(["t", "h"])", "model.merges[1]: the vocabulary has no token 'th'"},
      {"/model/merges/0", R"("o t h")", "model.merges[0]: a merge is"},
      {"/normalizer", R"({"type": "Lowercase"})", "'Lowercase' is not supported; this program knows NFC, NFD"},
      {"/normalizer", R"({"type": "NFKX"})", "did you mean 'NFKC'"},
      {"/normalizer", R"({"type": "Precompiled"})", "the normaliser 'Precompiled' is not supported"},
      {"/pre_tokenizer", R"({"type": "CharDelimiterSplit"})",
       "'CharDelimiterSplit' is not supported; this program knows ByteLevel"},
      {"/pre_tokenizer", R"({"type": "Metaspace", "replacement": "__"})", "replacement: is not one character"},
      {"/pre_tokenizer", R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"})", "the scheme 'last'"},
      {"/pre_tokenizer", R"({"type": "Metaspace", "replacement": "_", "add_prefix_space": false})",
       "add_prefix_space: is false, but prepend_scheme is not 'never'"},
      {"/post_processor", R"({"type": "PairProcessing"})", "the post-processor 'PairProcessing'"},
      {"/post_processor", R"({"type": "BertProcessing", "cls": ["<s>"], "sep": ["</s>", 2]})", "a token and its id"},
      {"/post_processor", R"({"type": "TemplateProcessing", "special_tokens": {}, "single": []})", "exactly once"},
      {"/post_processor",
       R"({"type": "TemplateProcessing", "special_tokens": {}, "single": [{"SpecialToken": {"id": "<s>"}}]})",
       "no token '<s>'"},
      {"/added_tokens", "{}", "added_tokens: expected a list, found object"},
  };
  for (const auto& test : cases) {
    json model = small_model();
    model[json::json_pointer(test.place)] = json::parse(test.value);
    EXPECT_THAT(refusal(model.dump()), AllOf(HasSubstr("tokenizer.json: "), HasSubstr(test.message))) << test.place;
  }
}

TEST_F(TokenizerTest, AnEmptyUnknownTokenIsHarmlessWhenEveryByteIsAToken) {
  json model = small_model();
  model["model"]["unk_token"] = "";
  EXPECT_THAT(refusal(model.dump()), HasSubstr("unk_token"));
  std::int64_t next = 13;
  for (char32_t c = 0x21; c <= 0x143; ++c) {
    const bool in_alphabet = c <= 0x7E || (c >= 0xA1 && c != 0xAD);
    std::string character;
    if (c < 0x80) {
      character = static_cast<char>(c);
    } else {
      character = {static_cast<char>(0xC0 | (c >> 6)), static_cast<char>(0x80 | (c & 0x3F))};
    }
    if (in_alphabet && !model["model"]["vocab"].contains(character)) model["model"]["vocab"][character] = next++;
  }
  EXPECT_EQ(refusal(model.dump()), "accepted");
}

}  // namespace
}  // namespace tributary
