// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A small byte-level BPE tokenizer whose words are chosen by hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace tributary {

/// The texts that are one token, in id order after the single bytes; "Ġ" is the byte-level form of a space.
inline const std::vector<std::string>& whole_words() {
  static const std::vector<std::string> words = {"The",  "Ġcat",  "Ġcats", "Ġdog", "Ġdogs", "Ġis",  "Ġare",
                                                 "Ġhot", "Ġcold", "Ġfire", "Ġice", "Ġby",   "Ġthe", "hot"};
  return words;
}

/// Single ASCII characters and the prefixes of the words; a word's letters merge from left to right.
class TinyVocabulary {
 public:
  TinyVocabulary() {
    for (char c = '!'; c <= '~'; ++c) add(std::string(1, c));
    add("Ġ");
    add("Ċ");
    for (const std::string& word : whole_words()) add_word(word);
    bos_ = static_cast<std::int64_t>(ids_.size());
  }

  /// The id of a token by its byte-level form.
  [[nodiscard]] std::int64_t id(const std::string& token) const { return ids_.at(token); }
  [[nodiscard]] std::int64_t bos() const { return bos_; }

  enum class Template { none, bos_first, bos_last };

  [[nodiscard]] std::string json(Template post_processor) const {
    using nlohmann::json;
    const json bos_piece = {{"SpecialToken", {{"id", "<bos>"}, {"type_id", 0}}}};
    const json text_piece = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
    json processor = nullptr;
    if (post_processor != Template::none) {
      json single = json::array({bos_piece, text_piece});
      if (post_processor == Template::bos_last) single = json::array({text_piece, bos_piece});
      processor = {{"type", "TemplateProcessing"},
                   {"single", single},
                   {"pair", json::array({text_piece})},
                   {"special_tokens", {{"<bos>", {{"id", "<bos>"}, {"ids", {bos_}}, {"tokens", {"<bos>"}}}}}}};
    }
    const json byte_level = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
    const json bos_token = {{"id", bos_},      {"content", "<bos>"},  {"single_word", false}, {"lstrip", false},
                            {"rstrip", false}, {"normalized", false}, {"special", true}};
    const json model = {{"type", "BPE"},
                        {"dropout", nullptr},
                        {"unk_token", nullptr},
                        {"fuse_unk", false},
                        {"vocab", ids_},
                        {"merges", merges_},
                        {"byte_fallback", false},
                        {"ignore_merges", false},
                        {"continuing_subword_prefix", nullptr},
                        {"end_of_word_suffix", nullptr}};
    return json{{"version", "1.0"},
                {"truncation", nullptr},
                {"padding", nullptr},
                {"added_tokens", {bos_token}},
                {"normalizer", nullptr},
                {"pre_tokenizer", byte_level},
                {"post_processor", processor},
                {"decoder", byte_level},
                {"model", model}}
        .dump();
  }

 private:
  void add(const std::string& token) { ids_.emplace(token, static_cast<std::int64_t>(ids_.size())); }

  void add_word(const std::string& word) {
    const std::size_t first = word.starts_with("Ġ") ? std::string("Ġ").size() : 1;
    for (std::size_t end = first; end < word.size(); ++end) {
      const std::string longer = word.substr(0, end + 1);
      if (ids_.contains(longer)) continue;
      add(longer);
      merges_.push_back({word.substr(0, end), word.substr(end, 1)});
    }
  }

  std::map<std::string, std::int64_t> ids_;
  std::vector<std::vector<std::string>> merges_;
  std::int64_t bos_ = 0;
};

}  // namespace tributary
