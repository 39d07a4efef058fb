// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>

#include <algorithm>
#include <memory>

#include "common/errors.h"
#include "io/detail/base/utf8.h"
#include "io/detail/tokenizer/split_rule.h"

namespace tributary::detail::tokenizer {
namespace {

constexpr UNormalization2Mode kCompose = UNORM2_COMPOSE;
constexpr UNormalization2Mode kDecompose = UNORM2_DECOMPOSE;

struct UnicodeForm {
  const char* name;
  const char* icu_data;
  UNormalization2Mode mode;
};

constexpr UnicodeForm kUnicodeForms[] = {
    {"NFC", "nfc", kCompose}, {"NFD", "nfc", kDecompose}, {"NFKC", "nfkc", kCompose}, {"NFKD", "nfkc", kDecompose}};

void check(UErrorCode status, const char* action) {
  if (U_FAILURE(status)) {
    throw RuntimeFailure(std::string("ICU cannot ") + action + " (" + u_errorName(status) +
                         "); check that ICU and its data are installed");
  }
}

/// The characters that the `tokenizers` package normalises: its tables are those of Unicode 9, and later
/// characters pass through unchanged.
std::shared_ptr<const icu::UnicodeSet> normalized_characters() {
  UErrorCode status = U_ZERO_ERROR;
  auto characters = std::make_shared<icu::UnicodeSet>(u"[:age=9.0:]", status);
  check(status, "list the characters of Unicode 9");
  characters->freeze();
  return characters;
}

std::size_t first_length(std::string_view text) { return text.empty() ? 0 : utf8_length(text.front()); }

std::function<Normalized(const Normalized&)> unicode_form(const UnicodeForm& form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* newest = icu::Normalizer2::getInstance(nullptr, form.icu_data, form.mode, status);
  check(status, "load its normalisation data");
  return [newest, characters = normalized_characters()](const Normalized& before) {
    const icu::FilteredNormalizer2 normalizer(*newest, *characters);
    const auto normal = [&normalizer](std::string_view text) {
      std::string normalized;
      icu::StringByteSink<std::string> sink(&normalized, static_cast<std::int32_t>(text.size()));
      UErrorCode outcome = U_ZERO_ERROR;
      normalizer.normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())), sink, nullptr,
                               outcome);
      check(outcome, "normalise the text");
      return normalized;
    };
    std::string normalized = normal(before.text);
    const std::size_t alone = normal(std::string_view(before.text).substr(0, before.beginning)).size();
    // What joins the beginning belongs to it.
    const std::size_t beginning = before.beginning == 0 ? 0 : std::max(alone, first_length(normalized));
    return Normalized{std::move(normalized), beginning};
  };
}

/// Content counts for the last character that it replaces.
Normalized replace_matches(const Pattern& pattern, const Normalized& before, const std::string& content) {
  Normalized after{"", 0};
  for (const Span& span : pattern.spans(before.text)) {
    if (span.kind == Span::Kind::match) {
      after.text += content;
      if (span.end <= before.beginning) after.beginning = after.text.size();
    } else {
      after.text += before.text.substr(span.begin, span.end - span.begin);
      if (span.begin < before.beginning) after.beginning += std::min(span.end, before.beginning) - span.begin;
    }
  }
  return after;
}

Normalized prepend(const std::string& prefix, const Normalized& before) {
  if (before.text.empty()) return before;
  return {prefix + before.text, before.beginning == 0 ? 0 : before.beginning + prefix.size()};
}

}  // namespace

Normalizer::Normalizer(const std::optional<JsonView>& description) {
  if (description) add_steps(*description);
}

void Normalizer::add_steps(const JsonView& description) {
  const std::string type = description.at("type").text();
  for (const UnicodeForm& form : kUnicodeForms) {
    if (type == form.name) return steps_.push_back(unicode_form(form));
  }
  if (type == "Sequence") {
    for (const JsonView& step : description.at("normalizers").elements()) add_steps(step);
  } else if (type == "Prepend") {
    steps_.emplace_back(
        [prefix = description.at("prepend").text()](const Normalized& before) { return prepend(prefix, before); });
  } else if (type == "Replace") {
    steps_.emplace_back([pattern = pattern_of(description.at("pattern")), content = description.at("content").text()](
                            const Normalized& before) { return replace_matches(pattern, before, content); });
  } else {
    description.refuse_unknown("normaliser", type, {"NFC", "NFD", "NFKC", "NFKD", "Prepend", "Replace", "Sequence"});
  }
}

Normalized Normalizer::normalize(std::string_view text) const {
  Normalized normalized{std::string(text), first_length(text)};
  for (const Step& step : steps_) normalized = step(normalized);
  return normalized;
}

}  // namespace tributary::detail::tokenizer
