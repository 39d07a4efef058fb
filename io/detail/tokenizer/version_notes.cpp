// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/version_notes.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>

#include <nlohmann/json.hpp>

#include "common/text.h"

namespace tributary::detail::tokenizer {
namespace {

using nlohmann::json;

constexpr const char* qwen2_words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Classes that transformers 5 builds anew from the vocabulary and the merges, with a normaliser and a pre-tokeniser of
/// their own, beside GPT2Tokenizer and Qwen2Tokenizer.
constexpr std::array<std::string_view, 5> other_rebuilt_classes = {
    "CodeLlamaTokenizer", "CohereTokenizer", "GemmaTokenizer", "GPTNeoXTokenizer", "Qwen3_5Tokenizer"};

/// The class that transformers 5 takes for byte-level files; empty: it takes tokenizer.json as it is.
std::string rebuilt_class(const CompanionFiles& files) {
  const std::string& declared = files.tokenizer_class();
  if (files.model_type() == "qwen2") return "Qwen2Tokenizer";
  if (files.model_type() == "mistral") return "";
  if (declared.empty()) return files.model_type() == "gpt2" ? "GPT2Tokenizer" : "";
  if (declared == "GPT2Tokenizer" || declared == "Qwen2Tokenizer") return declared;
  const bool other =
      std::find(other_rebuilt_classes.begin(), other_rebuilt_classes.end(), declared) != other_rebuilt_classes.end();
  return other ? declared : "";
}

/// Whether transformers 4 replaces the post-processor by what add_bos_token and add_eos_token say.
bool replaces_template(const CompanionFiles& files) {
  constexpr std::array<std::string_view, 4> classes = {"LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer",
                                                       "CohereTokenizer"};
  const std::string& declared = files.tokenizer_class();
  if (declared.empty()) return files.model_type() == "llama" || files.model_type() == "mistral";
  return std::find(classes.begin(), classes.end(), declared) != classes.end();
}

bool is_byte_level(const json& step, bool prefix_space, bool words) {
  return step.is_object() && step.value("type", "") == "ByteLevel" &&
         step.value("add_prefix_space", true) == prefix_space && step.value("use_regex", true) == words;
}

bool is_gpt2s(const json& normalizer, const json& steps, bool prefix_space) {
  return normalizer.is_null() && is_byte_level(steps, prefix_space, true);
}

bool is_qwen2s(const json& normalizer, const json& steps, bool prefix_space) {
  const json split = {
      {"type", "Split"}, {"pattern", {{"Regex", qwen2_words}}}, {"behavior", "Isolated"}, {"invert", false}};
  return normalizer == json{{"type", "NFC"}} && steps.is_object() && steps.value("type", "") == "Sequence" &&
         steps.value("pretokenizers", json::array()).size() == 2 && steps["pretokenizers"][0] == split &&
         is_byte_level(steps["pretokenizers"][1], prefix_space, false);
}

json part(const JsonView& description, const char* key) {
  const auto found = description.find(key);
  return found ? found->value() : json();
}

/// Whether a class's own normaliser and pre-tokeniser cut as those of tokenizer.json.
bool cuts_alike(const std::string& name, const JsonView& description, bool prefix_space) {
  const json normalizer = part(description, "normalizer");
  const json steps = part(description, "pre_tokenizer");
  const bool merges_alike = !description.at("model").flag("ignore_merges", false);
  if (name == "GPT2Tokenizer") return merges_alike && is_gpt2s(normalizer, steps, prefix_space);
  if (name == "Qwen2Tokenizer") return merges_alike && is_qwen2s(normalizer, steps, prefix_space);
  return false;
}

std::string quoted(const std::vector<std::string>& tokens) {
  if (tokens.empty()) return "nothing";
  return "'" + join(tokens, "' '") + "'";
}

/// Tokens of tokenizer.json that added_tokens_decoder lacks.
std::vector<std::string> left_out_of_decoder(const CompanionFiles& files, const JsonView& description) {
  std::vector<std::string> left_out;
  const auto decoder = files.find("added_tokens_decoder");
  if (!decoder) return left_out;
  std::set<std::string> there;
  for (const json& token : decoder->value()) there.insert(token.value("content", ""));
  for (const DeclaredToken& own : read_added_tokens(description.find("added_tokens"))) {
    if (!there.contains(own.token.content)) left_out.push_back(own.token.content);
  }
  return left_out;
}

}  // namespace

std::string note_on_bos(const CompanionFiles& files, const std::vector<std::string>& prefix) {
  if (!files.has_config()) return "";
  const std::optional<bool> adds = files.flag("add_bos_token");
  const auto named = files.content_of("bos_token");
  const std::string bos = named.value_or("<s>");
  if (replaces_template(files)) {
    if (adds.value_or(true) && !named && files.has("bos_token")) return "";  // transformers 4 refuses such a folder
    const std::vector<std::string> theirs = adds.value_or(true) ? std::vector{bos} : std::vector<std::string>();
    if (theirs == prefix) return "";
    return "the tokenizer puts " + quoted(prefix) +
           " before every text, as in transformers 5, but transformers 4 puts " + quoted(theirs) +
           " there; if the model was trained so, take pairs.bos: " + (theirs.empty() ? "omit" : "add");
  }
  if (!adds || *adds == !prefix.empty()) return "";
  return std::string("tokenizer_config.json says add_bos_token: ") + (*adds ? "true" : "false") +
         ", which transformers ignores beside tokenizer.json: it puts " + quoted(prefix) +
         " before every text; if something else is meant, take pairs.bos: " + (*adds ? "add" : "omit");
}

std::vector<std::string> notes_on_pieces(const CompanionFiles& files, const JsonView& description) {
  std::vector<std::string> notes;
  if (!files.has_config()) return notes;
  const bool prefix_space = files.flag("add_prefix_space").value_or(false);
  const std::string name = rebuilt_class(files);
  if (!name.empty() && !cuts_alike(name, description, prefix_space)) {
    notes.push_back("texts are cut as tokenizer.json says, as in transformers 4; transformers 5 takes what its " +
                    name +
                    " does in place of it, so that ids may differ (of numbers and runs of spaces, for instance)");
  }
  const json steps = part(description, "pre_tokenizer");
  const bool own_prefix = steps.is_object() && steps.value("add_prefix_space", true);
  if (name.empty() && steps.is_object() && steps.value("type", "") == "ByteLevel" && own_prefix != prefix_space) {
    notes.push_back(std::string("a space is ") + (own_prefix ? "" : "not ") +
                    "put before a text that begins without one, as tokenizer.json and transformers 5 have it; "
                    "transformers 4 goes by add_prefix_space of tokenizer_config.json");
  }
  const std::vector<std::string> left_out = left_out_of_decoder(files, description);
  if (!name.empty() && !left_out.empty()) {
    notes.push_back(
        "added tokens of tokenizer.json that tokenizer_config.json lacks are found in texts, as in "
        "transformers 4 (5 cuts them up): " +
        quoted(left_out));
  }
  return notes;
}

}  // namespace tributary::detail::tokenizer
