// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/tokenizer.h"

#include <optional>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/base/json_view.h"
#include "io/detail/tokenizer/added_tokens.h"
#include "io/detail/tokenizer/bpe.h"
#include "io/detail/tokenizer/byte_level.h"
#include "io/detail/tokenizer/normalizer.h"
#include "io/detail/tokenizer/post_processor.h"
#include "io/detail/tokenizer/pretokenizer.h"

namespace tributary {

struct Tokenizer::Impl {
  explicit Impl(const detail::JsonView& description)
      : model(description.at("model")),
        normalizer(description.find("normalizer")),
        added_tokens(description.find("added_tokens"), model, normalizer),
        pretokenizer(description.at("pre_tokenizer")),
        post_processor(detail::tokenizer::read_post_processor(description.find("post_processor"))) {}

  void append_raw(std::string_view text, std::vector<std::int64_t>& ids) const;
  void append_normalized(std::string_view text, std::vector<std::int64_t>& ids) const;

  detail::tokenizer::BpeModel model;
  detail::tokenizer::Normalizer normalizer;
  detail::tokenizer::AddedTokens added_tokens;
  detail::tokenizer::PreTokenizer pretokenizer;
  detail::tokenizer::PostProcessor post_processor;
};

void Tokenizer::Impl::append_raw(std::string_view text, std::vector<std::int64_t>& ids) const {
  for (const auto& piece : added_tokens.in_raw_text().split(text)) {
    if (piece.id) {
      ids.push_back(*piece.id);
    } else {
      append_normalized(normalizer.normalize(piece.text), ids);
    }
  }
}

void Tokenizer::Impl::append_normalized(std::string_view text, std::vector<std::int64_t>& ids) const {
  for (const auto& piece : added_tokens.in_normalized_text().split(text)) {
    if (piece.id) {
      ids.push_back(*piece.id);
    } else {
      for (const std::string& word : pretokenizer.words(piece.text)) model.append_ids(word, ids);
    }
  }
}

Tokenizer Tokenizer::load(const std::filesystem::path& file) {
  const detail::JsonDocument document = detail::parse_json_file(file.string());
  Tokenizer tokenizer;
  tokenizer.impl_ = std::make_shared<const Impl>(detail::JsonView(document));
  return tokenizer;
}

std::vector<std::int64_t> Tokenizer::encode(std::string_view text, SpecialTokens specials) const {
  TRIBUTARY_EXPECT(!first_invalid_utf8(text), "texts are checked for UTF-8 where they are read");
  std::vector<std::int64_t> ids;
  const auto& [prefix, suffix] = impl_->post_processor;
  if (specials == SpecialTokens::add) ids.insert(ids.end(), prefix.begin(), prefix.end());
  impl_->append_raw(text, ids);
  if (specials == SpecialTokens::add) ids.insert(ids.end(), suffix.begin(), suffix.end());
  return ids;
}

std::string Tokenizer::text_of(std::int64_t id) const {
  if (const auto content = impl_->added_tokens.content_of(id)) return std::string(*content);
  const auto token = impl_->model.token_of(id);
  if (!token) return "";
  return detail::tokenizer::replace_invalid_utf8(
      detail::tokenizer::from_byte_level(*token).value_or(std::string(*token)));
}

const std::vector<std::int64_t>& Tokenizer::prefix_ids() const { return impl_->post_processor.prefix; }

std::int64_t Tokenizer::size() const { return impl_->model.size() + impl_->added_tokens.beyond_vocabulary(); }

}  // namespace tributary
