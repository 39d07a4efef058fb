// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/printable_stream.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "common/text.h"

namespace tributary {
namespace {

/// The bytes at the end of a text that may be the beginning of a character (UTF-8).
std::size_t unfinished(std::string_view text) {
  constexpr std::size_t longest = 4;
  for (std::size_t back = 1; back <= std::min(longest - 1, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0U) == 0x80U) continue;
    const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

}  // namespace

PrintableStream::PrintableStream(std::ostream& stream) : stream_(stream), below_(stream.rdbuf(this)) {}

PrintableStream::~PrintableStream() {
  const std::string rest = printable(pending_);
  below_->sputn(rest.data(), std::ssize(rest));
  stream_.rdbuf(below_);
}

std::streambuf* PrintableStream::unfiltered(const std::ostream& stream) {
  auto* const filter = dynamic_cast<PrintableStream*>(stream.rdbuf());
  return filter == nullptr ? stream.rdbuf() : filter->below_;
}

PrintableStream::int_type PrintableStream::overflow(int_type character) {
  if (traits_type::eq_int_type(character, traits_type::eof())) return traits_type::not_eof(character);
  const char byte = traits_type::to_char_type(character);
  return xsputn(&byte, 1) == 1 ? character : traits_type::eof();
}

std::streamsize PrintableStream::xsputn(const char* text, std::streamsize size) {
  pending_.append(text, static_cast<std::size_t>(size));
  const std::size_t rest = unfinished(pending_);
  const std::string shown = printable(std::string_view(pending_).substr(0, pending_.size() - rest));
  pending_.erase(0, pending_.size() - rest);
  return below_->sputn(shown.data(), std::ssize(shown)) == std::ssize(shown) ? size : 0;
}

int PrintableStream::sync() { return below_->pubsync(); }

}  // namespace tributary
