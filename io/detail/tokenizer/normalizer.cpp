// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>

#include <memory>

#include "common/errors.h"
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

std::function<std::string(std::string_view)> unicode_form(const UnicodeForm& form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* newest = icu::Normalizer2::getInstance(nullptr, form.icu_data, form.mode, status);
  check(status, "load its normalisation data");
  return [newest, characters = normalized_characters()](std::string_view text) {
    const icu::FilteredNormalizer2 normalizer(*newest, *characters);
    std::string normalized;
    icu::StringByteSink<std::string> sink(&normalized, static_cast<std::int32_t>(text.size()));
    UErrorCode outcome = U_ZERO_ERROR;
    normalizer.normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())), sink, nullptr,
                             outcome);
    check(outcome, "normalise the text");
    return normalized;
  };
}

std::string replace_matches(const Pattern& pattern, std::string_view text, const std::string& content) {
  std::string replaced;
  for (const Span& span : pattern.spans(text)) {
    replaced +=
        span.kind == Span::Kind::match ? std::string_view(content) : text.substr(span.begin, span.end - span.begin);
  }
  return replaced;
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
    steps_.emplace_back([prefix = description.at("prepend").text()](std::string_view text) {
      return text.empty() ? std::string() : prefix + std::string(text);
    });
  } else if (type == "Replace") {
    steps_.emplace_back([pattern = pattern_of(description.at("pattern")), content = description.at("content").text()](
                            std::string_view text) { return replace_matches(pattern, text, content); });
  } else {
    description.refuse_unknown("normaliser", type, {"NFC", "NFD", "NFKC", "NFKD", "Prepend", "Replace", "Sequence"});
  }
}

std::string Normalizer::normalize(std::string_view text) const {
  std::string normalized(text);
  for (const Step& step : steps_) normalized = step(normalized);
  return normalized;
}

}  // namespace tributary::detail::tokenizer
