// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Tokenizers made by SentencePiece: BPE over characters with tokens for bytes, and Unigram. Expected ids are worked out
// by hand from the vocabularies below.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "io/detail/tokenizer/byte_tokens.h"
#include "io/tokenizer.h"
#include "tests/io/temporary_folder.h"

namespace tributary {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json sentencepiece_file(const char* model) {
  json file = json::parse(R"({"version": "1.0", "truncation": null, "normalizer": null, "pre_tokenizer": null,
    "post_processor": null, "decoder": null, "added_tokens": [
      {"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
       "special": true}]})");
  file["model"] = json::parse(model);
  return file;
}

/// "hot" comes by "ot"; C3 and A9 are the bytes of é, of which the vocabulary lacks others.
json character_model() {
  return sentencepiece_file(R"({"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
    "vocab": {"<s>": 0, "<unk>": 1, "h": 2, "o": 3, "t": 4, "▁": 5, "ot": 6, "hot": 7, "▁hot": 8, "▁▁": 9,
      "<0xC3>": 10, "<0xA9>": 11, "t▁": 12},
    "merges": [["o", "t"], ["h", "ot"], ["▁", "hot"], ["▁", "▁"], ["t", "▁"]]})");
}

json llama() {
  json file = character_model();
  file["normalizer"] = json::parse(R"({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
    {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]})");
  file["decoder"] = json::parse(R"({"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})");
  return file;
}

json with_metaspace(const char* scheme, bool split) {
  json file = character_model();
  file["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}, {"split", split}};
  return file;
}

json unigram() {
  return sentencepiece_file(R"({"type": "Unigram", "unk_id": 1, "vocab": [["<s>", 0], ["<unk>", 0], ["a", -1.0],
    ["b", -1.0], ["ab", -1.5], ["abc", -9.0], ["<0xC3>", 0], ["<0xA9>", 0]]})");
}

class SentencePieceTest : public TemporaryFolder {
 protected:
  Tokenizer load(const json& description) const { return Tokenizer::load(write("tokenizer.json", description.dump())); }
  std::vector<std::int64_t> ids(const json& description, const std::string& text) const {
    return load(description).encode(text, SpecialTokens::add);
  }
  std::string refusal(const json& description, const std::string& text = "") const {
    return message_of([&] { ids(description, text); });
  }
};

TEST_F(SentencePieceTest, AWholeTextIsOneWord) {
  EXPECT_THAT(ids(llama(), "hot  hot"), ElementsAre(8, 5, 8));
  EXPECT_THAT(ids(llama(), "o t o"), ElementsAre(5, 3, 5, 12, 3));  // a merge goes across the space
  EXPECT_THAT(ids(llama(), ""), ElementsAre());
}

TEST_F(SentencePieceTest, UnknownCharactersBecomeBytes) {
  EXPECT_THAT(ids(character_model(), "hoté"), ElementsAre(7, 10, 11));
  json file = character_model();
  file["model"]["byte_fallback"] = false;
  EXPECT_THAT(ids(file, "hoté"), ElementsAre(7, 1));
}

// As the `tokenizers` package has it.
TEST_F(SentencePieceTest, UnknownTokensWaitForTheNextKnownCharacter) {
  json file = character_model();
  EXPECT_THAT(ids(file, "xéxo"), ElementsAre(10, 11, 1, 3));
  file["model"]["fuse_unk"] = false;
  EXPECT_THAT(ids(file, "xéxo"), ElementsAre(10, 11, 1, 1, 3));
  file["model"]["unk_token"] = nullptr;
  EXPECT_THAT(ids(file, "xéxo"), ElementsAre(10, 11, 3));
}

TEST_F(SentencePieceTest, MetaspacePutsASpaceBeforeTheTextOrEveryPiece) {
  EXPECT_THAT(ids(with_metaspace("always", false), "hot<s>hot"), ElementsAre(8, 0, 8));
  EXPECT_THAT(ids(with_metaspace("first", false), "hot<s>hot"), ElementsAre(8, 0, 7));
  EXPECT_THAT(ids(with_metaspace("first", false), "<s>hot"), ElementsAre(0, 7));
  EXPECT_THAT(ids(with_metaspace("never", false), "hot<s> hot"), ElementsAre(7, 0, 8));
  EXPECT_THAT(ids(with_metaspace("always", false), " hot"), ElementsAre(8));
}

TEST_F(SentencePieceTest, MetaspaceMayCutBeforeEachSpace) {
  EXPECT_THAT(ids(with_metaspace("never", false), "t  t"), ElementsAre(4, 9, 4));
  EXPECT_THAT(ids(with_metaspace("never", true), "t  t"), ElementsAre(4, 5, 5, 4));
}

// As the `tokenizers` package has it: what comes from the text's first character counts, not what stands first.
TEST_F(SentencePieceTest, ATextWhoseBeginningIsTakenOutHasNone) {
  json file = with_metaspace("first", false);
  file["normalizer"] = json::parse(R"({"type": "Replace", "pattern": {"String": "x"}, "content": ""})");
  EXPECT_THAT(ids(file, "hot"), ElementsAre(8));
  EXPECT_THAT(ids(file, "xhot"), ElementsAre(7));
  file["normalizer"] = json::parse(R"({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "x"},
    {"type": "NFC"}, {"type": "Replace", "pattern": {"String": "x"}, "content": ""}]})");
  EXPECT_THAT(ids(file, "hot"), ElementsAre(8));
  // A space stands before every character, and the first two of " h o t" come from h.
  file["normalizer"] = json::parse(R"({"type": "Replace", "pattern": {"Regex": ""}, "content": " "})");
  file["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers", {{{"type", "WhitespaceSplit"}}, file["pre_tokenizer"]}}};
  EXPECT_THAT(ids(file, "hot"), ElementsAre(5, 2, 3, 4));
}

TEST_F(SentencePieceTest, TokensReadAsInsideAText) {
  const Tokenizer tokenizer = load(llama());
  EXPECT_EQ(tokenizer.text_of(8), " hot");
  EXPECT_EQ(tokenizer.text_of(9), "  ");
  EXPECT_EQ(tokenizer.text_of(10), "\uFFFD");
  EXPECT_EQ(tokenizer.text_of(0), "<s>");
  EXPECT_EQ(tokenizer.text_of(99), "");
  EXPECT_EQ(load(character_model()).text_of(8), "▁hot");
  json file = character_model();
  file["decoder"] = {{"type", "Metaspace"}, {"replacement", "▁"}};
  EXPECT_EQ(load(file).text_of(8), " hot");
  // Before Fuse, Strip is for each token.
  file["decoder"] = json::parse(R"({"type": "Sequence", "decoders": [
    {"type": "Strip", "content": "▁", "start": 1, "stop": 0}, {"type": "Fuse"}]})");
  EXPECT_EQ(load(file).text_of(9), "▁");
}

TEST_F(SentencePieceTest, UnigramTakesTheLikeliestCut) {
  EXPECT_THAT(ids(unigram(), "ab"), ElementsAre(4));
  EXPECT_THAT(ids(unigram(), "aba"), ElementsAre(4, 2));
  // c is unknown: abc costs 9, ab and an unknown character 1.5 + (9 + 10).
  EXPECT_THAT(ids(unigram(), "abc"), ElementsAre(5));
  json file = unigram();
  file["model"]["vocab"][4][1] = -2.5;
  EXPECT_THAT(ids(file, "ab"), ElementsAre(2, 3));
}

// The expected ids are those of the `tokenizers` package: with the nearest doubles the other order would win by one
// unit in the last place.
TEST_F(SentencePieceTest, ScoresAreReadAsTheTokenizersPackageReadsThem) {
  const json file = sentencepiece_file(R"({"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0],
    ["x", -7.6700166833688055], ["`", -10.739653914590754], ["``", -5.958361445538946]]})");
  EXPECT_THAT(ids(file, "x```"), ElementsAre(1, 2, 3));
}

TEST_F(SentencePieceTest, UnigramTakesUnknownCharactersTogether) {
  EXPECT_THAT(ids(unigram(), "axyb"), ElementsAre(2, 1, 3));
  json file = unigram();
  file["model"]["byte_fallback"] = true;
  EXPECT_THAT(ids(file, "aé"), ElementsAre(2, 6, 7));
  EXPECT_THAT(ids(file, "aéx"), ElementsAre(2, 1));  // of x there is no byte, and they are one piece
  file["model"]["unk_id"] = nullptr;
  EXPECT_THAT(refusal(file, "aé"), AllOf(HasSubstr("no token for 'é'"), HasSubstr("unk_id")));
}

TEST_F(SentencePieceTest, OfEqualTokensOfUnigramTheLastOneCounts) {
  json file = unigram();
  file["model"]["vocab"].push_back({"ab", -1.2});
  EXPECT_THAT(ids(file, "ab"), ElementsAre(8));
  EXPECT_EQ(load(file).text_of(4), "ab");
  EXPECT_EQ(load(file).size(), 9);
}

TEST_F(SentencePieceTest, UnigramReadsLongWords) {
  const auto found = load(unigram()).encode(std::string(100'000, 'a') + "b", SpecialTokens::omit);
  EXPECT_EQ(found.size(), 100'000U);
  EXPECT_EQ(found.back(), 4);
}

TEST_F(SentencePieceTest, RefusesByNameWhatItDoesNotKnow) {
  const struct {
    json file;
    const char* place;
    const char* value;
    const char* message;
  } cases[] = {
      {unigram(), "/model/unk_id", "8", "model.unk_id: is no id of this vocabulary"},
      {unigram(), "/model/vocab/2", R"(["a"])", "model.vocab[2]: expected a token and its score"},
      {unigram(), "/model/vocab/2/1", R"("x")", "model.vocab[2]: expected a token and its score"},
      {unigram(), "/model/vocab", "{}", "model.vocab: expected a list"},
      {llama(), "/decoder/decoders/1/type", R"("CTC")", "decoder.decoders[1]: the decoder 'CTC' is not supported"},
      {character_model(), "/model/unk_token", R"("<x>")", "model.unk_token: the vocabulary has no token '<x>'"},
  };
  for (const auto& test : cases) {
    json file = test.file;
    file[json::json_pointer(test.place)] = json::parse(test.value);
    EXPECT_THAT(refusal(file), HasSubstr(test.message)) << test.place;
  }
}

TEST_F(SentencePieceTest, AMissingUnknownTokenIsHarmlessWhereEveryByteHasAToken) {
  json file = character_model();
  file["model"]["unk_token"] = "<x>";
  EXPECT_THAT(refusal(file), HasSubstr("no token '<x>'"));
  for (int byte = 0; byte < 256; ++byte) {
    const std::string token = detail::tokenizer::byte_token(static_cast<char>(byte));
    if (!file["model"]["vocab"].contains(token)) file["model"]["vocab"][token] = 100 + byte;
  }
  EXPECT_THAT(ids(file, "hotx"), ElementsAre(7, 100 + 'x'));
}

TEST(ByteTokens, AreWrittenInCapitalsAndReadInEither) {
  using detail::tokenizer::byte_of_token;
  EXPECT_EQ(detail::tokenizer::byte_token('\x0A'), "<0x0A>");
  EXPECT_EQ(byte_of_token("<0xe9>"), '\xE9');
  EXPECT_EQ(byte_of_token("<0xE9>"), '\xE9');
  for (const char* other : {"<0xE>", "<0xG1>", "<0x1G>", "0xE9", "<0xE9> ", ""})
    EXPECT_EQ(byte_of_token(other), std::nullopt);
}

}  // namespace
}  // namespace tributary
