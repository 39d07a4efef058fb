// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/scores/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/scores/numbers.h"

namespace tributary::detail::scores {
namespace {

constexpr std::string_view magic = "\x93NUMPY";

/// What a header says.
struct NpyHeader {
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::int64_t>> shape;
};

/// Reads {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, with these three keys in any order.
class NpyHeaderReader {
 public:
  NpyHeaderReader(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  NpyHeader read() {
    NpyHeader header;
    expect('{');
    while (!take('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !header.descr) {
        header.descr = descr();
      } else if (key == "fortran_order" && !header.fortran_order) {
        header.fortran_order = flag();
      } else if (key == "shape" && !header.shape) {
        header.shape = shape();
      } else {
        damaged(fmt::format("its header has the field '{}' where it should not", printable(key, LineEnds::escape)));
      }
      if (take(',')) continue;
      expect('}');
      break;
    }
    if (next() != '\0') damaged("something stands behind its header");
    if (!header.descr || !header.fortran_order || !header.shape) {
      damaged("its header lacks descr, fortran_order or shape");
    }
    return header;
  }

  [[noreturn]] void damaged(const std::string& problem) const {
    throw UserError(file_, problem + "; the file is damaged or no .npy file, write it again with numpy.save");
  }

 private:
  /// The next character that is no space; NUL at the end.
  char next() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool take(char c) {
    if (next() != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!take(c)) damaged(fmt::format("its header has no '{}' at character {}", c, at_));
  }

  std::string quoted() {
    const char quote = next();
    if (quote != '\'' && quote != '"') damaged(fmt::format("its header has no text at character {}", at_));
    const std::size_t end = text_.find(quote, ++at_);
    if (end == std::string_view::npos) damaged("a text in its header does not end");
    std::string text(text_.substr(at_, end - at_));
    at_ = end + 1;
    return text;
  }

  std::string descr() {
    if (next() == '[') {
      throw UserError(file_, "has records of several fields, and scores are plain numbers; save one array of float32");
    }
    return quoted();
  }

  bool flag() {
    next();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return value;
    }
    damaged("fortran_order in its header is neither True nor False");
  }

  std::vector<std::int64_t> shape() {
    std::vector<std::int64_t> extents;
    expect('(');
    while (!take(')')) {
      next();
      const std::size_t end = std::min(text_.find_first_not_of("0123456789", at_), text_.size());
      const auto extent = number_in<std::int64_t>(text_.substr(at_, end - at_));
      if (!extent) damaged("shape in its header is no tuple of whole numbers");
      extents.push_back(*extent);
      at_ = end;
      if (take(',')) continue;
      expect(')');
      break;
    }
    return extents;
  }

  std::string_view text_;
  const std::string& file_;
  std::size_t at_ = 0;
};

/// The header's place in the file: behind magic bytes, version and its length (2 bytes; from version 2 on 4).
std::string_view header_text(std::string_view bytes, const NpyHeaderReader& reader) {
  const std::size_t preamble = magic.size() + 2;
  if (!bytes.starts_with(magic) || bytes.size() < preamble) reader.damaged("does not begin as an .npy file");
  const auto byte = [&bytes](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i])); };
  const std::size_t version = byte(magic.size());
  if (version < 1 || version > 3) reader.damaged(fmt::format("is of version {} (1, 2 and 3 are known)", version));
  const std::size_t width = version == 1 ? 2 : 4;
  if (bytes.size() < preamble + width) reader.damaged("ends before its header");
  std::size_t length = 0;
  for (std::size_t i = 0; i < width; ++i) length |= byte(preamble + i) << (8 * i);
  if (length > bytes.size() - preamble - width) reader.damaged("ends within its header");
  return bytes.substr(preamble + width, length);
}

}  // namespace

ScoreArray read_npy(std::string_view bytes, const std::string& file) {
  const std::string_view text = header_text(bytes, NpyHeaderReader("", file));
  NpyHeaderReader reader(text, file);
  const NpyHeader header = reader.read();
  const bool wide = *header.descr == "<f8";
  if (!wide && *header.descr != "<f4") {
    throw UserError(file, fmt::format("holds numbers of type '{}' (float32, '<f4', and float64, '<f8', can be read); "
                                      "save array.astype(numpy.float32)",
                                      printable(*header.descr, LineEnds::escape)));
  }
  if (*header.fortran_order) {
    throw UserError(file,
                    "is in Fortran's order (its last axis is not the one whose numbers lie side by side); save "
                    "numpy.ascontiguousarray(array)");
  }
  const auto begin = static_cast<std::size_t>(text.data() - bytes.data()) + text.size();
  const std::string_view data = bytes.substr(begin);
  const std::size_t width = wide ? sizeof(double) : sizeof(float);
  const std::optional<std::size_t> count = count_of(*header.shape, data.size() / width);
  if (!count || *count * width != data.size()) {
    reader.damaged(fmt::format("its shape [{}] does not take the {} bytes of numbers that it has",
                               fmt::join(*header.shape, ", "), data.size()));
  }
  return {"", *header.shape, wide ? numbers_in<double>(data) : numbers_in<float>(data)};
}

}  // namespace tributary::detail::scores
