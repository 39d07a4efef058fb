// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/regex_dialect.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>

#include "common/errors.h"

namespace tributary::detail::tokenizer {
namespace {

constexpr std::string_view kGroupOpenings[] = {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};

// Scripts are left out: PCRE2's \p{Han} means the script extensions, Oniguruma's the script alone.
constexpr std::string_view kCategories[] = {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",  "Nd",
                                            "Nl", "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm",
                                            "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Co", "Cn"};

template <typename Table, typename Value>
bool contains(const Table& table, const Value& value) {
  return std::find(std::begin(table), std::end(table), value) != std::end(table);
}

bool is_one_of(char c, std::string_view characters) { return characters.find(c) != std::string_view::npos; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }
bool is_ascii_punctuation(char c) { return c > ' ' && c < '\x7F' && std::isalnum(static_cast<unsigned char>(c)) == 0; }

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where) : pattern_(pattern), where_(where) {}

  std::string translate() {
    while (at_ < pattern_.size()) {
      switch (pattern_[at_]) {
        case '\\':
          escape(Context::outside_class);
          break;
        case '[':
          character_class();
          break;
        case '(':
          group_opening();
          break;
        case '{':
          interval();
          break;
        default:
          copy(1);
      }
    }
    return std::move(output_);
  }

 private:
  enum class Context { outside_class, inside_class };

  [[nodiscard]] std::string_view rest() const { return pattern_.substr(at_); }

  void copy(std::size_t count) {
    output_ += rest().substr(0, count);
    at_ += count;
  }

  [[noreturn]] void refuse(std::string_view construct, const std::string& why) const {
    throw UserError(where_, "the pattern '" + std::string(pattern_) + "' holds '" + std::string(construct) + "', " +
                                why + "; rewrite the pattern without it");
  }

  void group_opening() {
    for (const std::string_view opening : kGroupOpenings) {
      if (rest().starts_with(opening)) return copy(opening.size());
    }
    if (rest().starts_with("(?") || rest().starts_with("(*")) {
      refuse(rest().substr(0, 4), "a kind of group that is not supported");
    }
    copy(1);
  }

  void interval() {
    std::size_t end = 1;
    while (end < rest().size() && is_digit(rest()[end])) ++end;
    const bool has_minimum = end > 1;
    const bool has_comma = end < rest().size() && rest()[end] == ',';
    if (has_comma) ++end;
    while (end < rest().size() && is_digit(rest()[end])) ++end;
    if (!has_minimum || end >= rest().size() || rest()[end] != '}') {
      refuse(rest().substr(0, end + 1), "which is not an interval like {1,3}");
    }
    const char next = end + 1 < rest().size() ? rest()[end + 1] : '\0';
    if (next == '+' || (next == '?' && !has_comma)) {
      refuse(rest().substr(0, end + 2), "which regex engines read differently");
    }
    copy(end + 1);
  }

  void character_class() {
    copy(rest().starts_with("[^") ? 2 : 1);
    if (rest().starts_with("]")) refuse("[]", "which regex engines read differently");
    while (at_ < pattern_.size() && pattern_[at_] != ']') {
      if (pattern_[at_] == '\\') {
        escape(Context::inside_class);
      } else if (pattern_[at_] == '[' || rest().starts_with("&&")) {
        refuse(rest().substr(0, 2), "a class inside a class, which is not supported");
      } else {
        copy(1);
      }
    }
    if (at_ == pattern_.size()) refuse("[", "which is never closed");
    copy(1);
  }

  void escape(Context context) {
    const char letter = rest().size() > 1 ? rest()[1] : '\0';
    const bool outside = context == Context::outside_class;
    if (is_one_of(letter, "pP")) return property();
    if (letter == 'x') return hex_escape();
    if (letter == 'u') return unicode_escape();
    if (is_one_of(letter, "sSdDrntfae") || is_ascii_punctuation(letter)) return copy(2);
    if (outside && is_one_of(letter, "AzZ")) return copy(2);
    refuse(rest().substr(0, 2), "an escape that is not supported");
  }

  void property() {
    const std::size_t end = rest().find('}');
    const bool braced = rest().size() > 2 && rest()[2] == '{' && end != std::string_view::npos;
    if (!braced || !contains(kCategories, rest().substr(3, end - 3))) {
      refuse(rest().substr(0, braced ? end + 1 : 3), "which is not a general category like \\p{Lu}");
    }
    copy(end + 1);
  }

  void hex_escape() {
    std::size_t end = 2;
    if (rest().size() > 2 && rest()[2] == '{') {
      end = 3;
      while (end < rest().size() && is_hex_digit(rest()[end])) ++end;
      if (end > 3 && end < rest().size() && rest()[end] == '}') return copy(end + 1);
    } else {
      while (end < 4 && end < rest().size() && is_hex_digit(rest()[end])) ++end;
      // From \x80 on Oniguruma means a byte, PCRE2 a character.
      if (end == 4 && rest()[2] < '8') return copy(4);
    }
    refuse(rest().substr(0, end), "which is not an ASCII character or \\x{…}");
  }

  void unicode_escape() {
    const std::string_view digits = rest().substr(2, 4);
    if (digits.size() < 4 || !std::all_of(digits.begin(), digits.end(), is_hex_digit)) {
      refuse(rest().substr(0, 6), "which does not have four hexadecimal digits");
    }
    output_ += "\\x{" + std::string(digits) + "}";
    at_ += 6;
  }

  std::string_view pattern_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::string output_;
};

}  // namespace

std::string onig_to_pcre2(std::string_view pattern, const std::string& where) {
  return Translator(pattern, where).translate();
}

std::string escape_for_regex(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (is_ascii_punctuation(c)) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace tributary::detail::tokenizer
