// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/decoder.h"

#include <cstdint>

#include "io/detail/base/utf8.h"
#include "io/detail/tokenizer/byte_level.h"
#include "io/detail/tokenizer/byte_tokens.h"
#include "io/detail/tokenizer/metaspace.h"
#include "io/detail/tokenizer/split_rule.h"

namespace tributary::detail::tokenizer {
namespace {

std::string bytes_of(const std::string& token) { return from_byte_level(token).value_or(token); }

std::string byte_or_token(const std::string& token) {
  const auto byte = byte_of_token(token);
  return byte ? std::string(1, *byte) : token;
}

std::string with_replaced(const Pattern& pattern, const std::string& token, const std::string& content) {
  std::string replaced;
  for (const Span& span : pattern.spans(token)) {
    replaced += span.kind == Span::Kind::match ? content : token.substr(span.begin, span.end - span.begin);
  }
  return replaced;
}

/// At most so many of one character from both ends.
std::string stripped(std::string_view token, const std::string& content, std::int64_t start, std::int64_t stop) {
  for (; start > 0 && !content.empty() && token.starts_with(content); --start) token.remove_prefix(content.size());
  for (; stop > 0 && !content.empty() && token.ends_with(content); --stop) token.remove_suffix(content.size());
  return std::string(token);
}

}  // namespace

Decoder::Decoder(const std::optional<JsonView>& description, Words words) {
  // Whatever else such a file names, its tokens are bytes.
  if (words == Words::bytes) {
    steps_.emplace_back(bytes_of);
  } else if (description) {
    add_steps(*description);
  }
}

void Decoder::add_steps(const JsonView& description) {
  const std::string type = description.at("type").text();
  if (type == "Sequence") {
    for (const JsonView& step : description.at("decoders").elements()) add_steps(step);
  } else if (type == "ByteFallback") {
    steps_.emplace_back(byte_or_token);
  } else if (type == "ByteLevel") {
    steps_.emplace_back(bytes_of);
  } else if (type == "Fuse") {
    whole_text_ = true;
  } else if (type == "Metaspace") {
    const Pattern pattern = Pattern::from_text(Metaspace(description).replacement(), description.file());
    steps_.emplace_back([pattern](const std::string& token) { return with_replaced(pattern, token, " "); });
  } else if (type == "Replace") {
    steps_.emplace_back([pattern = pattern_of(description.at("pattern")), content = description.at("content").text()](
                            const std::string& token) { return with_replaced(pattern, token, content); });
  } else if (type == "Strip") {
    const std::string content = description.at("content").text();
    const std::int64_t start = description.at("start").id();
    const std::int64_t stop = description.at("stop").id();
    if (whole_text_) return;
    steps_.emplace_back([=](const std::string& token) { return stripped(token, content, start, stop); });
  } else {
    description.refuse_unknown("decoder", type,
                               {"ByteFallback", "ByteLevel", "Fuse", "Metaspace", "Replace", "Sequence", "Strip"});
  }
}

std::string Decoder::text_of(std::string_view token) const {
  std::string text(token);
  for (const Step& step : steps_) text = step(text);
  return replace_invalid_utf8(text);
}

}  // namespace tributary::detail::tokenizer
