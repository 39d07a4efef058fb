// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/companion_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>
#include <utility>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/tokenizer/tokenizer_classes.h"

namespace tributary::detail::tokenizer {
namespace {

namespace fs = std::filesystem;

constexpr const char* config_file = "tokenizer_config.json";
constexpr const char* map_file = "special_tokens_map.json";
constexpr const char* added_file = "added_tokens.json";
constexpr const char* decoder_key = "added_tokens_decoder";
constexpr const char* extra_key = "extra_special_tokens";
constexpr const char* older_extra_key = "additional_special_tokens";

/// Keys of the tokens with a role, in the order in which they are added.
constexpr std::array<const char*, 7> named_keys = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                   "pad_token", "cls_token", "mask_token"};

JsonDocument empty_document() {
  JsonDocument document;
  document.root = nlohmann::json::object();
  return document;
}

/// An object of the folder; an empty one where there is no such file.
JsonDocument read_object(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(file, ignored))) return empty_document();
  JsonDocument document = parse_json_file(file.string());
  if (!document.root.is_object()) JsonView(document).refuse("is no JSON object; fetch the file again");
  return document;
}

bool names_token(const nlohmann::json& value) {
  const nlohmann::json content = value.is_object() ? value.value("content", nlohmann::json()) : value;
  return content.is_string() && !content.get_ref<const std::string&>().empty();
}

std::string content_in(const JsonView& value) {
  return value.value().is_object() ? value.at("content").text() : value.text();
}

/// A token as these files write it: a text, or an object whose flags may be left out.
AddedToken token_of(const JsonView& value, bool is_named) {
  if (!value.value().is_object()) return {.content = value.text(), .special = true};
  AddedToken token{.content = value.at("content").text(),
                   .single_word = value.flag("single_word", false),
                   .lstrip = value.flag("lstrip", false),
                   .rstrip = value.flag("rstrip", false),
                   .special = value.flag("special", false) || is_named};
  token.normalized = value.flag("normalized", !token.special);
  return token;
}

std::int64_t id_in(const std::string& key, const JsonView& value) {
  std::int64_t id = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc() || end != key.data() + key.size() || id < 0) {
    value.refuse("'" + key + "' is no token id; correct the file");
  }
  return id;
}

std::string without_fast(std::string name) {
  constexpr std::string_view fast = "Fast";
  if (name.ends_with(fast)) name.resize(name.size() - fast.size());
  return name;
}

}  // namespace

void require_tokenizer_file(const fs::path& folder) {
  const std::string file = (folder / "tokenizer.json").string();
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(file, ignored))) return;
  constexpr std::array<const char*, 5> older_files = {"vocab.json", "merges.txt", "tokenizer.model", "tekken.json",
                                                      "tiktoken.model"};
  std::vector<std::string> found;
  for (const char* const name : older_files) {
    if (fs::exists(folder / name, ignored)) found.emplace_back(name);
  }
  if (found.empty()) throw UserError(file, "is missing (it turns texts into tokens); fetch it");
  throw UserError(file, "is missing, and this program does not read " + join(found, " and ") +
                            "; make one of them with transformers: "
                            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)");
}

/// Special tokens without a role, by what the files have: a list, or an object of names and tokens.
struct CompanionFiles::Extras {
  std::vector<JsonView> list;
  std::vector<JsonView> values;  //!< of the object, in the order of its keys' names
};

CompanionFiles::CompanionFiles()
    : config_(empty_document()), special_map_(empty_document()), added_(empty_document()) {}

CompanionFiles::CompanionFiles(const fs::path& folder)
    : config_(read_object(folder / config_file)),
      special_map_(read_object(folder / map_file)),
      added_(read_object(folder / added_file)) {
  for (const auto& [document, name] :
       {std::pair(&config_, config_file), {&special_map_, map_file}, {&added_, added_file}}) {
    if (!document->file.empty()) files_.push_back({name, document->text_hash});
  }
  const JsonDocument model = read_object(folder / "config.json");
  if (const auto type = JsonView(model).find("model_type")) model_type_ = type->text();
  auto declared_class = JsonView(config_).find("tokenizer_class");
  if (!declared_class) declared_class = JsonView(model).find("tokenizer_class");
  if (declared_class) tokenizer_class_ = without_fast(declared_class->text());
  refuse_other_tokenizers();
}

void CompanionFiles::refuse_other_tokenizers() const {
  const JsonView config(config_);
  if (const auto map = config.find("auto_map"); map && map->value().is_object() && map->find("AutoTokenizer")) {
    map->refuse(
        "names Python code that makes the ids in place of tokenizer.json, and this program runs none; where "
        "tokenizer.json gives the same ids, take the entry out");
  }
  if (const auto fix = config.find("fix_mistral_regex"); fix && fix->flag()) {
    fix->refuse(
        "replaces the pre-tokeniser of tokenizer.json when transformers 5 loads it; save what it loads with "
        "save_pretrained, and take the key out");
  }
  if (const auto files = config.find("fast_tokenizer_files")) {
    for (const JsonView& file : files->elements()) {
      if (file.text() == "tokenizer.json") continue;
      file.refuse(
          "is another tokenizer, for some versions of transformers; keep one, as tokenizer.json, and take the "
          "key out");
    }
  }
}

std::string CompanionFiles::rebuilt_class(Words words) const {
  return tokenizer::rebuilt_class(model_type_, tokenizer_class_, words);
}

bool CompanionFiles::has_decoder() const { return JsonView(config_).find(decoder_key).has_value(); }

/// With added_tokens_decoder transformers reads tokenizer_config.json alone.
bool CompanionFiles::is_in_map(const std::string& key) const {
  return !has_decoder() && special_map_.root.contains(key);
}

std::optional<JsonView> CompanionFiles::find(const std::string& key) const {
  return JsonView(source_of(key)).find(key);
}

std::optional<std::string> CompanionFiles::content_of(const std::string& key) const {
  const auto value = find(key);
  if (!value || !names_token(value->value())) return std::nullopt;
  return content_in(*value);
}

std::optional<bool> CompanionFiles::flag(const std::string& key) const {
  const auto value = JsonView(config_).find(key);
  if (!value) return std::nullopt;
  return value->flag();
}

CompanionFiles::Extras CompanionFiles::extras() const {
  Extras extras;
  const auto fill = [&extras](const std::optional<JsonView>& value) {
    if (!value) return;
    if (!value->value().is_object()) {
      for (const JsonView& token : value->elements()) extras.list.push_back(token);
      return;
    }
    extras.list.clear();
    for (const auto& [name, token] : value->value().items()) extras.values.push_back(value->at(name));
  };
  const JsonView config(config_);
  const auto newer = config.find(extra_key);
  const bool older_moves = (!newer || newer->value().empty()) && config.find(older_extra_key);
  fill(older_moves ? config.find(older_extra_key) : newer);
  if (is_in_map(extra_key)) fill(JsonView(special_map_).find(extra_key));
  // Beside an object, or alone, the older key counts for itself.
  const bool newer_counts = config_.root.contains(extra_key) || older_moves || is_in_map(extra_key);
  if (newer_counts && extras.values.empty()) return extras;
  if (is_in_map(older_extra_key) || !older_moves) fill(find(older_extra_key));
  return extras;
}

std::vector<std::string> CompanionFiles::own_token_keys() const {
  std::vector<std::string> keys;
  for (const JsonDocument* document : {&config_, &special_map_}) {
    if (document == &special_map_ && has_decoder()) break;
    std::vector<std::pair<std::size_t, std::string>> in_order;
    for (const auto& [key, byte] : document->key_bytes) in_order.emplace_back(byte, key);
    std::sort(in_order.begin(), in_order.end());
    for (const auto& [byte, key] : in_order) {
      const bool is_named = std::find(named_keys.begin(), named_keys.end(), key) != named_keys.end();
      const bool is_known = std::find(keys.begin(), keys.end(), key) != keys.end();
      if (key.ends_with("_token") && !is_named && !is_known && content_of(key)) keys.push_back(key);
    }
  }
  return keys;
}

std::vector<DeclaredToken> CompanionFiles::declared(const std::vector<DeclaredToken>& own, const Extras& extras) const {
  std::map<std::int64_t, AddedToken> by_id;
  if (const auto decoder = JsonView(config_).find(decoder_key)) {
    for (const auto& [key, token] : decoder->value().items()) {
      by_id[id_in(key, *decoder)] = token_of(decoder->at(key), false);
    }
  } else {
    std::set<std::string> special;
    for (const char* const key : named_keys) {
      if (const auto content = content_of(key)) special.insert(*content);
    }
    for (const JsonView& token : extras.list) special.insert(content_in(token));
    for (const auto& [content, id] : added_.root.items()) {
      const bool is_special = special.contains(content);
      by_id[JsonView(added_).at(content).id()] = {.content = content, .normalized = !is_special, .special = is_special};
    }
    for (const auto& [id, token] : own) by_id[id] = token;
  }
  std::vector<DeclaredToken> tokens;
  for (auto& [id, token] : by_id) tokens.push_back({id, std::move(token)});
  return tokens;
}

std::vector<AddedToken> CompanionFiles::tokens_to_add(const std::vector<DeclaredToken>& own,
                                                      const std::optional<std::string>& pad, const Model& model,
                                                      Words words) const {
  const Extras further = extras();
  std::vector<AddedToken> named;
  const auto name = [&](const std::optional<JsonView>& value) {
    if (value && names_token(value->value())) named.push_back(token_of(*value, true));
  };
  for (const std::string key : named_keys) {
    name(find(key));
    if (key == "pad_token" && pad && !is_in_map(key) && !config_.root.contains(key)) {
      named.push_back({.content = *pad, .special = true});
    }
  }
  for (const auto& [key, content] : tokens_of_class(rebuilt_class(words))) {
    // One that the vocabulary lacks has no row in the model's embedding: it is left out.
    const bool counts = key.empty() || !has(key);
    if (counts && model.id_of(content)) named.push_back({.content = content, .special = true});
  }
  for (const std::string& key : own_token_keys()) name(find(key));

  std::map<std::string, AddedToken> there;
  for (const auto& [id, token] : own) there[token.content] = token;
  for (const JsonView& value : further.values) name(value);
  std::set<std::string> known, with_role;
  for (const auto& [content, token] : there) known.insert(content);
  for (const AddedToken& token : named) with_role.insert(token.content);
  std::vector<AddedToken> tokens;
  for (auto& [id, token] : declared(own, further)) {
    known.insert(token.content);
    const auto same = there.find(token.content);
    if (same != there.end() && same->second == token) continue;
    if (with_role.contains(token.content)) token.special = true;
    tokens.push_back(std::move(token));
  }
  std::set<std::string> unordered;  // an object's keys have no order that files must keep
  for (const JsonView& value : further.values) {
    const std::string content = content_in(value);
    if (!known.contains(content) && !model.id_of(content)) unordered.insert(content);
  }
  if (unordered.size() > 1) {
    further.values.front().refuse(
        "is one of several tokens here that no file gives an id; save the tokenizer with transformers' "
        "save_pretrained, "
        "which writes them into tokenizer.json");
  }
  for (const JsonView& token : further.list) named.push_back(token_of(token, with_role.contains(content_in(token))));
  for (AddedToken& token : named) {
    if (!known.contains(token.content)) tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace tributary::detail::tokenizer
