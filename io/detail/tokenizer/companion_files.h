// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the files beside a tokenizer.json say of its tokens: tokenizer_config.json, special_tokens_map.json,
// added_tokens.json, and config.json's words on the tokenizer. The rules are those of transformers' AutoTokenizer.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/detail/base/json_view.h"
#include "io/detail/tokenizer/added_tokens.h"
#include "io/detail/tokenizer/model.h"
#include "io/tokenizer.h"

namespace tributary::detail::tokenizer {

/// Throws UserError unless the folder has a tokenizer.json: with how to make one of what it has.
void require_tokenizer_file(const std::filesystem::path& folder);

/// The files of one folder; each may be absent.
class CompanionFiles {
 public:
  /// Without any of them.
  CompanionFiles();
  /// Throws UserError: broken JSON, and what would make other ids than tokenizer.json has (code of its own, another
  /// file, a replaced pre-tokeniser).
  explicit CompanionFiles(const std::filesystem::path& folder);

  /// The files that are there, config.json not among them.
  [[nodiscard]] const std::vector<TokenizerFile>& files() const { return files_; }
  /// Whether the folder has a tokenizer_config.json.
  [[nodiscard]] bool has_config() const { return !config_.file.empty(); }
  /// The value of a key of tokenizer_config.json, or of special_tokens_map.json where that counts and has it; nothing
  /// for null.
  [[nodiscard]] std::optional<JsonView> find(const std::string& key) const;
  /// Whether the key is there, be its value null.
  [[nodiscard]] bool has(const std::string& key) const { return source_of(key).root.contains(key); }
  /// config.json's model_type.
  [[nodiscard]] const std::string& model_type() const { return model_type_; }
  /// The class that either config names, without "Fast" at its end; empty: none.
  [[nodiscard]] const std::string& tokenizer_class() const { return tokenizer_class_; }
  /// The class that transformers 5 builds anew for this folder, whatever tokenizer.json says of cutting; empty: it
  /// takes tokenizer.json as it is.
  [[nodiscard]] std::string rebuilt_class(Words words) const;
  /// What a key such as bos_token names; nothing where it names no token.
  [[nodiscard]] std::optional<std::string> content_of(const std::string& key) const;
  /// A boolean of tokenizer_config.json; nothing where it is absent or null.
  [[nodiscard]] std::optional<bool> flag(const std::string& key) const;

  /// Tokens to add behind those of tokenizer.json, in this order: those that a file declares with an id, by that id,
  /// where the file's own are not equal to them; then named ones (bos_token, …), and further special ones.
  /// pad: the token of tokenizer.json's padding. Throws UserError.
  [[nodiscard]] std::vector<AddedToken> tokens_to_add(const std::vector<DeclaredToken>& own,
                                                      const std::optional<std::string>& pad, const Model& model,
                                                      Words words) const;

 private:
  struct Extras;
  [[nodiscard]] bool has_decoder() const;
  [[nodiscard]] bool is_in_map(const std::string& key) const;
  /// The file that a key counts in.
  [[nodiscard]] const JsonDocument& source_of(const std::string& key) const {
    return is_in_map(key) ? special_map_ : config_;
  }
  [[nodiscard]] std::vector<std::string> own_token_keys() const;
  [[nodiscard]] Extras extras() const;
  [[nodiscard]] std::vector<DeclaredToken> declared(const std::vector<DeclaredToken>& own, const Extras& extras) const;
  void refuse_other_tokenizers() const;

  JsonDocument config_, special_map_, added_;  //!< an absent one is an empty object of no file
  std::vector<TokenizerFile> files_;
  std::string model_type_, tokenizer_class_;
};

}  // namespace tributary::detail::tokenizer
