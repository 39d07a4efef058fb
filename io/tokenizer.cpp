// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/tokenizer.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/base/json_view.h"
#include "io/detail/tokenizer/added_tokens.h"
#include "io/detail/tokenizer/companion_files.h"
#include "io/detail/tokenizer/decoder.h"
#include "io/detail/tokenizer/model.h"
#include "io/detail/tokenizer/normalizer.h"
#include "io/detail/tokenizer/post_processor.h"
#include "io/detail/tokenizer/pretokenizer.h"
#include "io/detail/tokenizer/tokenizer_classes.h"
#include "io/detail/tokenizer/version_notes.h"

namespace tributary {

namespace {

using detail::JsonView;
using detail::tokenizer::AddedToken;
using detail::tokenizer::AddedTokens;
using detail::tokenizer::CompanionFiles;
using detail::tokenizer::DeclaredToken;
using detail::tokenizer::FindSpecial;
using detail::tokenizer::Words;

std::vector<AddedToken> all_tokens(const std::vector<DeclaredToken>& own, std::vector<AddedToken> further) {
  std::vector<AddedToken> tokens;
  for (const DeclaredToken& one : own) tokens.push_back(one.token);
  std::move(further.begin(), further.end(), std::back_inserter(tokens));
  return tokens;
}

std::optional<std::string> pad_token(const JsonView& description) {
  const auto padding = description.find("padding");
  const auto token = padding ? padding->find("pad_token") : std::nullopt;
  return token ? std::optional(token->text()) : std::nullopt;
}

/// What the folder names, or its class where the folder says nothing.
std::optional<std::string> bos_of(const CompanionFiles& files, Words words, const AddedTokens& added) {
  if (files.has("bos_token")) return files.content_of("bos_token");
  for (const auto& [key, content] : detail::tokenizer::tokens_of_class(files.rebuilt_class(words))) {
    if (key == "bos_token" && added.id_of(content)) return content;
  }
  return std::nullopt;
}

/// Tokens whose id is not the one that tokenizer.json gives.
std::string note_on_own_ids(const std::vector<DeclaredToken>& own, const AddedTokens& added) {
  std::vector<std::string> words;
  for (const auto& [id, token] : own) {
    const auto taken = added.id_of(token.content);
    if (taken && *taken != id) words.push_back(fmt::format("'{}' is {}, not {}", token.content, *taken, id));
  }
  if (words.empty()) return "";
  return "ids of added tokens follow from the vocabulary, as everywhere, and not from tokenizer.json's list of them: " +
         join(words);
}

/// Tokens that tokenizer.json does not list.
std::string note_on_further(const std::vector<DeclaredToken>& own, const std::vector<AddedToken>& further,
                            const AddedTokens& added) {
  std::vector<std::string> words;
  for (const AddedToken& token : further) {
    const bool listed = std::any_of(own.begin(), own.end(),
                                    [&token](const DeclaredToken& one) { return one.token.content == token.content; });
    const auto id = added.id_of(token.content);
    if (listed || !id) continue;
    std::string word = fmt::format("'{}' ({})", token.content, *id);
    if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(std::move(word));
  }
  return words.empty() ? "" : "tokens that tokenizer.json lacks come from the files beside it: " + join(words);
}

}  // namespace

struct Tokenizer::Impl {
  Impl(const JsonView& description, const CompanionFiles& files)
      : pretokenizer(description.find("pre_tokenizer")),
        model(detail::tokenizer::read_model(description.at("model"), pretokenizer.alphabet())),
        normalizer(description.find("normalizer")),
        own(detail::tokenizer::read_added_tokens(description.find("added_tokens"))),
        further(files.tokens_to_add(own, pad_token(description), *model, pretokenizer.alphabet())),
        added_tokens(all_tokens(own, further), *model, normalizer,
                     files.flag("split_special_tokens").value_or(false) ? FindSpecial::no : FindSpecial::yes),
        decoder(description.find("decoder"), pretokenizer.alphabet()),
        post_processor(detail::tokenizer::read_post_processor(description.find("post_processor"))),
        bos_token(bos_of(files, pretokenizer.alphabet(), added_tokens)),
        where(description.file()),
        file_hash(description.text_hash()),
        companion_files(files.files()) {
    std::vector<std::string> prefix;
    for (const std::int64_t id : post_processor.prefix) prefix.push_back(text_of(id));
    bos_note = detail::tokenizer::note_on_bos(files, prefix);
    notes = detail::tokenizer::notes_on_pieces(files, description, pretokenizer.alphabet());
    for (std::string note : {note_on_further(own, further, added_tokens), note_on_own_ids(own, added_tokens)}) {
      if (!note.empty()) notes.push_back(std::move(note));
    }
  }

  /// Where a piece stands in the whole text: behind an added token, or not.
  enum class Place { beginning, behind };

  void append_raw(std::string_view text, std::vector<std::int64_t>& ids) const;
  void append_piece(std::string_view text, Place place, std::vector<std::int64_t>& ids) const;
  [[nodiscard]] std::string text_of(std::int64_t id) const;
  [[nodiscard]] std::int64_t bos_id() const;

  detail::tokenizer::PreTokenizer pretokenizer;
  std::unique_ptr<const detail::tokenizer::Model> model;
  detail::tokenizer::Normalizer normalizer;
  std::vector<DeclaredToken> own;   // of tokenizer.json
  std::vector<AddedToken> further;  // of the files beside it
  AddedTokens added_tokens;
  detail::tokenizer::Decoder decoder;
  detail::tokenizer::PostProcessor post_processor;
  std::optional<std::string> bos_token;
  std::string where;
  std::string file_hash;
  std::vector<TokenizerFile> companion_files;
  std::string bos_note;
  std::vector<std::string> notes;
};

void Tokenizer::Impl::append_raw(std::string_view text, std::vector<std::int64_t>& ids) const {
  for (const auto& piece : added_tokens.in_raw_text().split(text)) {
    if (piece.id) {
      ids.push_back(*piece.id);
    } else {
      append_piece(piece.text, piece.text.data() == text.data() ? Place::beginning : Place::behind, ids);
    }
  }
}

void Tokenizer::Impl::append_piece(std::string_view text, Place place, std::vector<std::int64_t>& ids) const {
  const auto [normalized, beginning] = normalizer.normalize(text);
  for (const auto& piece : added_tokens.in_normalized_text().split(normalized)) {
    if (piece.id) {
      ids.push_back(*piece.id);
      continue;
    }
    const auto offset = static_cast<std::size_t>(piece.text.data() - normalized.data());
    const bool begins = place == Place::beginning && offset < beginning;
    for (const std::string& word : pretokenizer.words(piece.text, begins ? beginning - offset : 0))
      model->append_ids(word, ids);
  }
}

std::string Tokenizer::Impl::text_of(std::int64_t id) const {
  // The characters of an added token are never bytes.
  if (const auto content = added_tokens.content_of(id)) {
    return pretokenizer.alphabet() == Words::bytes ? std::string(*content) : decoder.text_of(*content);
  }
  const auto token = model->token_of(id);
  return token ? decoder.text_of(*token) : "";
}

std::int64_t Tokenizer::Impl::bos_id() const {
  if (!bos_token) {
    throw UserError(where,
                    "pairs.bos: add puts bos_token before every text, and no file beside this one names it; write "
                    "it into tokenizer_config.json, or begin the prompts with its text");
  }
  const auto id = added_tokens.id_of(*bos_token);
  TRIBUTARY_EXPECT(id.has_value(), "named tokens are added tokens");
  return *id;
}

Tokenizer::Tokenizer(std::shared_ptr<const Impl> impl)
    : impl_(std::move(impl)), prefix_(impl_->post_processor.prefix) {}

Tokenizer Tokenizer::load(const std::filesystem::path& file) {
  const detail::JsonDocument document = detail::parse_json_file(file.string());
  return Tokenizer(std::make_shared<const Impl>(JsonView(document), CompanionFiles()));
}

Tokenizer Tokenizer::of_model(const std::filesystem::path& folder) {
  detail::tokenizer::require_tokenizer_file(folder);
  const detail::JsonDocument document = detail::parse_json_file((folder / "tokenizer.json").string());
  return Tokenizer(std::make_shared<const Impl>(JsonView(document), CompanionFiles(folder)));
}

Tokenizer Tokenizer::with_bos(Bos bos) const {
  Tokenizer other(impl_);
  other.bos_ = bos;
  if (bos == Bos::omit) other.prefix_.clear();
  if (bos == Bos::add) {
    const std::int64_t id = impl_->bos_id();
    if (other.prefix_.empty() || other.prefix_.front() != id) other.prefix_.insert(other.prefix_.begin(), id);
  }
  return other;
}

std::vector<std::int64_t> Tokenizer::encode(std::string_view text, SpecialTokens specials) const {
  TRIBUTARY_EXPECT(!first_invalid_utf8(text), "texts are checked for UTF-8 where they are read");
  std::vector<std::int64_t> ids;
  const std::vector<std::int64_t>& suffix = impl_->post_processor.suffix;
  if (specials == SpecialTokens::add) ids.insert(ids.end(), prefix_.begin(), prefix_.end());
  impl_->append_raw(text, ids);
  if (specials == SpecialTokens::add) ids.insert(ids.end(), suffix.begin(), suffix.end());
  return ids;
}

std::string Tokenizer::text_of(std::int64_t id) const { return impl_->text_of(id); }

std::vector<std::string> Tokenizer::notes() const {
  std::vector<std::string> notes = impl_->notes;
  if (bos_ == Bos::file && !impl_->bos_note.empty()) notes.insert(notes.begin(), impl_->bos_note);
  return notes;
}

const std::string& Tokenizer::file_hash() const { return impl_->file_hash; }

const std::vector<TokenizerFile>& Tokenizer::companion_files() const { return impl_->companion_files; }

std::int64_t Tokenizer::size() const { return impl_->model->size() + impl_->added_tokens.beyond_vocabulary(); }

}  // namespace tributary
