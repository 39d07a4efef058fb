// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Byte-level BPE as tokenizer.json describes it (GPT-2, Llama-3, Qwen2, SmolLM2): normaliser,
// pre-tokenisers, merges, added and special tokens, post-processor. Gives the ids that the
// `tokenizers` package gives.
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

/// Immutable after load; safe to use from several threads at once. Truncation and padding in the file are not applied.
class Tokenizer {
 public:
  /// Reads a tokenizer.json. Throws UserError: file missing, JSON broken (line, column), a model that is not BPE,
  /// or a normaliser, pre-tokeniser or post-processor this program does not know (named, with the known ones).
  static Tokenizer load(const std::filesystem::path& file);

  /// Ids of valid UTF-8 `text` (else ContractViolation). Special-token text inside it is recognised, as the
  /// `tokenizers` package does. Throws RuntimeFailure when a pattern of the file exceeds PCRE2's match limits.
  [[nodiscard]] std::vector<std::int64_t> encode(std::string_view text, SpecialTokens specials) const;

  /// The text of one id: its bytes, with bytes that are not whole UTF-8 characters replaced by U+FFFD. Empty for an id
  /// that stands for nothing (models pad their vocabulary).
  [[nodiscard]] std::string text_of(std::int64_t id) const;

  /// Ids that the post-processor puts before a single text (BOS), in order; often empty.
  [[nodiscard]] const std::vector<std::int64_t>& prefix_ids() const;

  /// Number of ids, added tokens included.
  [[nodiscard]] std::int64_t size() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace tributary
