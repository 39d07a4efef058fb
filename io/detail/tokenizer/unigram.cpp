// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/unigram.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "io/detail/base/utf8.h"
#include "io/detail/tokenizer/byte_tokens.h"

namespace tributary::detail::tokenizer {
namespace {

/// An unknown character is less likely than the least likely token by this much, as in SentencePiece.
constexpr double kUnknownPenalty = 10.0;

constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

/// A score as the `tokenizers` package reads it: its digits as one integer, times or by a power of ten. That can be a
/// neighbour of the nearest double, and which of two equally good ways a word takes hangs on it.
double score_of(double nearest) {
  std::array<char, 32> text{};  // "1.25e-03": the shortest digits that mean this double
  const auto end =
      std::to_chars(text.data(), text.data() + text.size() - 1, std::abs(nearest), std::chars_format::scientific).ptr;
  std::string digits(text.data(), end);
  const std::size_t e = digits.find('e');
  if (e == std::string::npos) return nearest;
  int exponent = std::atoi(digits.c_str() + e + 1);
  digits.resize(e);
  if (e > 1) {
    digits.erase(1, 1);
    exponent -= static_cast<int>(digits.size()) - 1;
  }
  const auto power_of_ten = [](int power) { return std::strtod(fmt::format("1e{}", power).c_str(), nullptr); };
  auto score = static_cast<double>(std::stoull(digits));
  if (exponent >= 0) {
    score *= power_of_ten(exponent);
  } else {
    for (; exponent < -308; exponent += 308) score /= 1e308;
    score /= power_of_ten(-exponent);
  }
  return std::copysign(score, nearest);
}

}  // namespace

struct UnigramModel::Arrival {
  double score = 0;
  std::size_t begin = kNowhere;
  std::uint32_t id = 0;

  /// Of equally good ways the first one found stays.
  [[nodiscard]] bool is_beaten_by(double other) const { return begin == kNowhere || other > score; }
};

UnigramModel::UnigramModel(const JsonView& description) : where_(description.file()) {
  read_vocabulary(description.at("vocab"));
  if (const auto unknown = description.find("unk_id")) {
    if (unknown->id() >= size()) unknown->refuse("is no id of this vocabulary; correct the file");
    unknown_id_ = static_cast<std::uint32_t>(unknown->id());
  }
  if (!description.flag("byte_fallback", false)) return;
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    byte_ids_[byte] = id_of(byte_token(static_cast<char>(byte)));
  }
}

void UnigramModel::read_vocabulary(const JsonView& vocabulary) {
  double least = std::numeric_limits<double>::infinity();
  for (const JsonView& entry : vocabulary.elements()) {
    const nlohmann::json& pair = entry.value();
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_number()) {
      entry.refuse("expected a token and its score, as in [\"the\", -3.2]; correct the file");
    }
    tokens_.push_back({pair[0].get<std::string>(), score_of(pair[1].get<double>())});
    least = std::min(least, tokens_.back().score);
  }
  unknown_score_ = least - kUnknownPenalty;
  by_text_.resize(tokens_.size());
  std::iota(by_text_.begin(), by_text_.end(), 0U);
  std::sort(by_text_.begin(), by_text_.end(), [this](std::uint32_t a, std::uint32_t b) {
    const int order = tokens_[a].text.compare(tokens_[b].text);
    return order != 0 ? order < 0 : a > b;
  });
  const auto repeated = std::unique(by_text_.begin(), by_text_.end(), [this](std::uint32_t a, std::uint32_t b) {
    return tokens_[a].text == tokens_[b].text;
  });
  by_text_.erase(repeated, by_text_.end());
}

/// Viterbi's algorithm: the best way to every place, from the front to the back.
std::vector<UnigramModel::Arrival> UnigramModel::best_arrivals(std::string_view word) const {
  std::vector<Arrival> arrivals(word.size() + 1);
  const auto offer = [&arrivals](std::size_t begin, std::size_t end, std::uint32_t id, double score) {
    if (arrivals[end].is_beaten_by(score)) arrivals[end] = {score, begin, id};
  };
  for (std::size_t begin = 0; begin < word.size(); begin += utf8_length(word[begin])) {
    const double so_far = arrivals[begin].score;
    const std::size_t character = utf8_length(word[begin]);
    bool is_known = false;
    // Tokens that share the first `length` bytes stand together: each further byte narrows their range.
    auto first = by_text_.begin();
    auto last = by_text_.end();
    for (std::size_t length = 0; begin + length < word.size(); ++length) {
      const auto byte = static_cast<unsigned char>(word[begin + length]);
      const auto byte_of = [this, length](std::uint32_t id) {
        return static_cast<unsigned char>(tokens_[id].text[length]);
      };
      first = std::partition_point(
          first, last, [&](std::uint32_t id) { return tokens_[id].text.size() <= length || byte_of(id) < byte; });
      last = std::partition_point(first, last, [&](std::uint32_t id) { return byte_of(id) == byte; });
      if (first == last) break;
      if (tokens_[*first].text.size() != length + 1) continue;
      offer(begin, begin + length + 1, *first, tokens_[*first].score + so_far);
      is_known = is_known || length + 1 == character;
    }
    if (is_known || !arrivals[begin + character].is_beaten_by(unknown_score_ + so_far)) continue;
    if (!unknown_id_) {
      throw UserError(where_, "the vocabulary has no token for '" + std::string(word.substr(begin, character)) +
                                  "', and 'unk_id' names none for unknown characters; take it out of the text");
    }
    offer(begin, begin + character, *unknown_id_, unknown_score_ + so_far);
  }
  return arrivals;
}

/// In order; unknown characters that touch are one piece.
std::vector<std::string_view> UnigramModel::best_pieces(std::string_view word) const {
  const std::vector<Arrival> arrivals = best_arrivals(word);
  std::vector<std::string_view> pieces;
  std::size_t end = word.size();
  while (end > 0) {
    std::size_t begin = arrivals[end].begin;
    const auto is_unknown = [&](std::size_t place) { return place > 0 && arrivals[place].id == unknown_id_; };
    if (is_unknown(end)) {
      while (is_unknown(begin)) begin = arrivals[begin].begin;
    }
    pieces.push_back(word.substr(begin, end - begin));
    end = begin;
  }
  std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

/// False, and nothing appended, where a byte has no token.
bool UnigramModel::append_bytes(std::string_view piece, std::vector<std::int64_t>& ids) const {
  const auto id_of_byte = [this](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
  if (!std::all_of(piece.begin(), piece.end(), id_of_byte)) return false;
  for (const char byte : piece) ids.push_back(*id_of_byte(byte));
  return true;
}

void UnigramModel::append_ids(std::string_view word, std::vector<std::int64_t>& ids) const {
  for (const std::string_view piece : best_pieces(word)) {
    if (const auto id = id_of(piece)) {
      ids.push_back(*id);
    } else if (!append_bytes(piece, ids)) {
      TRIBUTARY_EXPECT(unknown_id_.has_value(), "only unknown pieces are no tokens");
      ids.push_back(*unknown_id_);
    }
  }
}

std::optional<std::int64_t> UnigramModel::id_of(std::string_view token) const {
  const auto place =
      std::lower_bound(by_text_.begin(), by_text_.end(), token,
                       [this](std::uint32_t id, std::string_view text) { return tokens_[id].text < text; });
  if (place == by_text_.end() || tokens_[*place].text != token) return std::nullopt;
  return *place;
}

std::optional<std::string_view> UnigramModel::token_of(std::int64_t id) const {
  if (id < 0 || id >= size()) return std::nullopt;
  return tokens_[static_cast<std::size_t>(id)].text;
}

}  // namespace tributary::detail::tokenizer
