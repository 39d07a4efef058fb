// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/metaspace.h"

#include "io/detail/base/utf8.h"

namespace tributary::detail::tokenizer {
namespace {

std::string replacement_of(const JsonView& description) {
  const JsonView value = description.at("replacement");
  const std::string text = value.text();
  if (text.empty() || text.size() != utf8_length(text.front())) value.refuse("is not one character; correct the file");
  return text;
}

}  // namespace

std::vector<Piece> pieces_of(const Piece& piece, const std::vector<std::string_view>& views) {
  std::vector<Piece> pieces;
  pieces.reserve(views.size());
  for (const std::string_view view : views) {
    const auto offset = static_cast<std::size_t>(view.data() - piece.text.data());
    pieces.push_back({std::string(view), piece.beginning > offset ? piece.beginning - offset : 0});
  }
  return pieces;
}

Metaspace::Metaspace(const JsonView& description) : replacement_(replacement_of(description)) {
  if (const auto scheme = description.find("prepend_scheme")) {
    const std::string name = scheme->text();
    if (name == "first") {
      prepend_ = Prepend::first;
    } else if (name == "never") {
      prepend_ = Prepend::never;
    } else if (name != "always") {
      scheme->refuse_unknown("scheme", name, {"always", "first", "never"});
    }
  }
  if (!description.flag("add_prefix_space", true) && prepend_ != Prepend::never) {
    description.at("add_prefix_space")
        .refuse(
            "is false, but prepend_scheme is not 'never' (left out, it is 'always'); write \"prepend_scheme\": "
            "\"never\"");
  }
  if (description.flag("split", true)) {
    rule_ = SplitRule{Pattern::from_text(replacement_, description.file()), SplitBehavior::merged_with_next,
                      SplitOn::matches};
  }
}

std::vector<Piece> Metaspace::apply(const Piece& piece) const {
  Piece visible{"", 0};
  for (std::size_t at = 0; at < piece.text.size(); ++at) {
    if (piece.text[at] == ' ') {
      visible.text += replacement_;
    } else {
      visible.text += piece.text[at];
    }
    if (at < piece.beginning) visible.beginning = visible.text.size();
  }
  const bool begins = piece.beginning > 0;
  const bool prepends = prepend_ == Prepend::always || (prepend_ == Prepend::first && begins);
  if (prepends && !visible.text.starts_with(replacement_)) {
    visible.text.insert(0, replacement_);
    if (begins) visible.beginning += replacement_.size();
  }
  if (!rule_) return {visible};
  return pieces_of(visible, rule_->pieces(visible.text));
}

}  // namespace tributary::detail::tokenizer
