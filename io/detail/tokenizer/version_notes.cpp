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

bool is_gemma(const CompanionFiles& files) {
  return files.tokenizer_class().empty() ? files.model_type().starts_with("gemma")
                                         : files.tokenizer_class() == "GemmaTokenizer";
}

/// Whether transformers 4 replaces the post-processor by what add_bos_token and add_eos_token say.
bool replaces_template(const CompanionFiles& files) {
  constexpr std::array<std::string_view, 4> classes = {"LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer",
                                                       "CohereTokenizer"};
  constexpr std::array<std::string_view, 3> types = {"llama", "mistral", "phi3"};
  const std::string& declared = files.tokenizer_class();
  if (declared.empty())
    return is_gemma(files) || std::find(types.begin(), types.end(), files.model_type()) != types.end();
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

json replace_spaces() { return {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}; }

bool is_gemmas(const json& normalizer, const json& steps) {
  // Behind the normaliser no space is left to split at.
  const json split = {
      {"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}, {"invert", false}};
  return normalizer == replace_spaces() && (steps.is_null() || steps == split);
}

bool is_llamas(const json& normalizer, const json& steps, const CompanionFiles& files) {
  const char* const scheme = !files.flag("add_prefix_space").value_or(true) ? "never"
                             : files.flag("legacy").value_or(false)         ? "always"
                                                                            : "first";
  return normalizer.is_null() && steps.is_object() && steps.value("type", "") == "Metaspace" &&
         steps.value("prepend_scheme", "always") == scheme && !steps.value("split", true);
}

/// Whether a class's own normaliser and pre-tokeniser cut as those of tokenizer.json, and its merges merge alike.
bool cuts_alike(const std::string& name, const JsonView& description, const CompanionFiles& files) {
  const json normalizer = part(description, "normalizer");
  const json steps = part(description, "pre_tokenizer");
  const bool prefix_space = files.flag("add_prefix_space").value_or(false);
  const JsonView model = description.at("model");
  if (model.flag("ignore_merges", false)) return false;
  if (name == "GPT2Tokenizer") return is_gpt2s(normalizer, steps, prefix_space);
  if (name == "GPTNeoXTokenizer")
    return normalizer == json{{"type", "NFC"}} && is_byte_level(steps, prefix_space, true);
  if (name == "Qwen2Tokenizer") return is_qwen2s(normalizer, steps, prefix_space);
  if (!model.flag("byte_fallback", false) || !model.flag("fuse_unk", false)) return false;
  if (name == "GemmaTokenizer") return is_gemmas(normalizer, steps);
  return name == "LlamaTokenizer" && is_llamas(normalizer, steps, files);
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
  const std::string bos = named.value_or(is_gemma(files) ? "<bos>" : "<s>");
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

std::vector<std::string> notes_on_pieces(const CompanionFiles& files, const JsonView& description, Words words) {
  std::vector<std::string> notes;
  if (!files.has_config()) return notes;
  const bool prefix_space = files.flag("add_prefix_space").value_or(false);
  const std::string name = files.rebuilt_class(words);
  if (!name.empty() && !cuts_alike(name, description, files)) {
    notes.push_back("texts are cut as tokenizer.json says, as in transformers 4; transformers 5 takes what its " +
                    name + " does in place of it, so that ids may differ (of " +
                    (name == "LlamaTokenizer" ? "texts that begin with a space, and behind special tokens in a text"
                                              : "numbers and runs of spaces, for instance") +
                    ")");
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
