// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A tokenizer.json: byte-level BPE (GPT-2, Llama 3, Qwen), SentencePiece's BPE (Llama 2, Mistral, Gemma) and Unigram,
// with normaliser, pre-tokenisers, added and special tokens, post-processor, decoder. Gives the ids that the
// `tokenizers` package gives; with the tokens that the files beside it name, those that transformers' AutoTokenizer
// gives where it takes tokenizer.json as it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

/// Whether the post-processor's special tokens (BOS and the like) are put around the text.
enum class SpecialTokens { add, omit };

/// What stands before every text: what the post-processor of tokenizer.json puts there, the folder's bos_token too, or
/// nothing.
enum class Bos { file, add, omit };

/// A file that says which tokens there are.
struct TokenizerFile {
  std::string name, hash;
};

/// Immutable after load; safe to use from several threads at once. Truncation and padding in the file are not applied.
class Tokenizer {
 public:
  /// Reads a tokenizer.json. Throws UserError: file missing, JSON broken (line, column), or a model,
  /// normaliser, pre-tokeniser, post-processor or decoder this program does not know (named, with the known ones).
  static Tokenizer load(const std::filesystem::path& file);

  /// Reads the tokenizer.json of a model's folder, and of tokenizer_config.json, special_tokens_map.json,
  /// added_tokens.json and config.json what they say of its tokens; all but the first may be absent. Throws UserError
  /// like load, and for what would make other ids than tokenizer.json does: Python code, another tokenizer file, a
  /// replaced pre-tokeniser; where there is no tokenizer.json, with how to make one.
  static Tokenizer of_model(const std::filesystem::path& folder);

  /// The same tokenizer with something else before every text. Throws UserError for Bos::add where the folder names no
  /// bos_token, or one without an id.
  [[nodiscard]] Tokenizer with_bos(Bos bos) const;

  /// Ids of valid UTF-8 `text` (else ContractViolation). Special-token text inside it is recognised, as the
  /// `tokenizers` package does. Throws UserError when a pattern of the file needs more work or memory than it may
  /// take, and for a character without a token where the file names no token for those (Unigram).
  [[nodiscard]] std::vector<std::int64_t> encode(std::string_view text, SpecialTokens specials) const;

  /// The text of one id as it reads inside a text (" hot" of "Ġhot" and "▁hot"), with bytes that are not whole UTF-8
  /// characters replaced by U+FFFD. Empty for an id that stands for nothing (models pad their vocabulary).
  [[nodiscard]] std::string text_of(std::int64_t id) const;

  /// Ids that are put before a single text (BOS), in order; often empty.
  [[nodiscard]] const std::vector<std::int64_t>& prefix_ids() const { return prefix_; }

  /// What the owners of a model's folder should know, a sentence each: where versions of transformers make other ids of
  /// it, and which tokens come from beside tokenizer.json.
  [[nodiscard]] std::vector<std::string> notes() const;

  /// The hash of tokenizer.json as it was read.
  [[nodiscard]] const std::string& file_hash() const;
  /// The files beside it that were read for their tokens.
  [[nodiscard]] const std::vector<TokenizerFile>& companion_files() const;

  /// Number of ids, added tokens included.
  [[nodiscard]] std::int64_t size() const;

 private:
  struct Impl;
  explicit Tokenizer(std::shared_ptr<const Impl> impl);

  std::shared_ptr<const Impl> impl_;
  std::vector<std::int64_t> prefix_;
  Bos bos_ = Bos::file;
};

}  // namespace tributary
