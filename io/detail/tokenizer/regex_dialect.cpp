// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/regex_dialect.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/errors.h"
#include "io/detail/base/utf8.h"
#include "io/detail/tokenizer/case_folds.h"

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
/// PCRE2 refuses what is beyond Unicode.
char32_t number_of(std::string_view hex_digits) {
  std::uint32_t number = 0x10FFFF;
  std::from_chars(hex_digits.data(), hex_digits.data() + hex_digits.size(), number, 16);
  return number;
}

bool is_ascii_punctuation(char c) { return c > ' ' && c < '\x7F' && std::isalnum(static_cast<unsigned char>(c)) == 0; }

/// What a pattern names itself, in this spelling; one character, or a range of them.
struct Spelled {
  char32_t first, last;
  std::string_view spelling;
};

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where) : pattern_(pattern), where_(where) {}

  Translation translate() {
    while (at_ < pattern_.size()) {
      switch (pattern_[at_]) {
        case '\\':
          escape_outside_class();
          break;
        case '[':
          character_class();
          break;
        case '(':
          group_opening();
          break;
        case ')':
          group_end();
          break;
        case '{':
          interval();
          break;
        case '|':
        case '.':
          letters_.clear();
          copy(1);
          break;
        case '^':
        case '$':
        case '*':
        case '+':
        case '?':
          copy(1);
          break;
        default:
          plain_literal();
      }
    }
    refuse_what_stand_ins_would_change();
    return {std::move(output_), stand_ins_};
  }

 private:
  enum class Context { outside_class, inside_class };

  [[nodiscard]] std::string_view rest() const { return pattern_.substr(at_); }
  [[nodiscard]] std::string_view since(std::size_t begin) const { return pattern_.substr(begin, at_ - begin); }
  [[nodiscard]] bool ignores_case() const { return !case_is_ignored_.empty() && case_is_ignored_.back(); }

  void copy(std::size_t count) {
    output_ += rest().substr(0, count);
    at_ += count;
  }

  [[noreturn]] void refuse(std::string_view construct, const std::string& why) const {
    throw UserError(where_, "the pattern '" + std::string(pattern_) + "' holds '" + std::string(construct) + "', " +
                                why + "; rewrite the pattern without it");
  }

  /// Classes of characters by Unicode's tables.
  void ask_tables(StandIns stand_ins) { stand_ins_ = std::max(stand_ins_, stand_ins); }

  void name(char32_t first, char32_t last, std::size_t begin) {
    named_.push_back({first, last, since(begin)});
    if (!ignores_case()) return;
    if (holds_new_case(first, last)) {
      refuse(since(begin), "of which, where case is ignored (?i:…), older tables of Unicode do not know both cases");
    }
  }

  /// The tables know both of the characters, but a literal or a range may tell them apart.
  void refuse_what_stand_ins_would_change() const {
    for (const auto& [first, last, spelling] : named_) {
      if (keeps_apart(first, last, stand_ins_)) continue;
      refuse(
          spelling,
          "which beside classes such as \\p{L} or \\s cannot be told from characters that Unicode added of late; in a "
          "pattern of its own, as a step of its own, it can be");
    }
  }

  void literal(char32_t character, std::size_t begin) {
    name(character, character, begin);
    if (!ignores_case()) return;
    // The longest are three letters: ffi. Groups and repetitions in between do not count: (?:s)s is ss for Oniguruma.
    letters_ += character;
    if (letters_.size() > 3) letters_.erase(0, 1);
    if (!hold_long_fold(letters_)) return;
    std::string text;
    for (const char32_t letter : letters_) append_utf8(text, letter);
    refuse(
        text,
        "which holds letters that, where case is ignored (?i:…), stand for one other letter, as ss for \u00DF and fi "
        "for \uFB01");
  }

  void group_opening() {
    const bool ignored_before = ignores_case();
    for (const std::string_view opening : kGroupOpenings) {
      if (!rest().starts_with(opening)) continue;
      case_is_ignored_.push_back(ignored_before || opening == "(?i:");
      return copy(opening.size());
    }
    if (rest().starts_with("(?") || rest().starts_with("(*")) {
      refuse(rest().substr(0, 4), "a kind of group that is not supported");
    }
    case_is_ignored_.push_back(ignored_before);
    copy(1);
  }

  void group_end() {
    if (!case_is_ignored_.empty()) case_is_ignored_.pop_back();
    if (!ignores_case()) letters_.clear();
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
    letters_.clear();
    copy(rest().starts_with("[^") ? 2 : 1);
    if (rest().starts_with("]")) refuse("[]", "which regex engines read differently");
    while (at_ < pattern_.size() && pattern_[at_] != ']') {
      const std::size_t begin = at_;
      const auto first = class_member();
      auto last = first;
      if (first && rest().size() > 1 && rest()[0] == '-' && rest()[1] != ']') {
        copy(1);
        last = class_member();
      }
      if (!first || !last) continue;
      name(*first, *last, begin);
      if (ignores_case() && range_holds_long_fold(*first, *last)) {
        refuse(since(begin),
               "which holds letters that, where case is ignored (?i:…), stand for several others, as \u00DF for ss");
      }
    }
    if (at_ == pattern_.size()) refuse("[", "which is never closed");
    copy(1);
  }

  /// Nothing for a class such as \s.
  std::optional<char32_t> class_member() {
    if (at_ == pattern_.size()) refuse("[", "which is never closed");
    if (pattern_[at_] == '\\') return escape(Context::inside_class);
    if (pattern_[at_] == '[' || rest().starts_with("&&")) {
      refuse(rest().substr(0, 2), "a class inside a class, which is not supported");
    }
    return plain_character();
  }

  char32_t plain_character() {
    const char32_t character = front_code_point(rest());
    copy(utf8_length(pattern_[at_]));
    return character;
  }

  void plain_literal() {
    const std::size_t begin = at_;
    literal(plain_character(), begin);
  }

  void escape_outside_class() {
    const std::size_t begin = at_;
    if (const auto character = escape(Context::outside_class)) return literal(*character, begin);
    letters_.clear();
  }

  /// The character that it stands for; nothing where it stands for several, or for a place.
  std::optional<char32_t> escape(Context context) {
    const char letter = rest().size() > 1 ? rest()[1] : '\0';
    const bool outside = context == Context::outside_class;
    if (!outside && ignores_case() && is_one_of(letter, "pPSD")) {
      refuse(rest().substr(0, 2), "inside a class where case is ignored (?i:…), which regex engines read differently");
    }
    if (is_one_of(letter, "pP")) return property();
    if (letter == 'x') return hex_escape();
    if (letter == 'u') return unicode_escape();
    if (is_one_of(letter, "sSdD")) {
      ask_tables(is_one_of(letter, "sS") ? StandIns::for_spaces : StandIns::for_categories);
      copy(2);
      return std::nullopt;
    }
    if (is_one_of(letter, "rntfae") || is_ascii_punctuation(letter)) {
      copy(2);
      return is_ascii_punctuation(letter) ? letter : U'\0';  // a control character; which one does not matter here
    }
    if (outside && is_one_of(letter, "AzZ")) {
      copy(2);
      return std::nullopt;
    }
    refuse(rest().substr(0, 2), "an escape that is not supported");
  }

  std::optional<char32_t> property() {
    const std::size_t end = rest().find('}');
    const bool braced = rest().size() > 2 && rest()[2] == '{' && end != std::string_view::npos;
    if (!braced || !contains(kCategories, rest().substr(3, end - 3))) {
      refuse(rest().substr(0, braced ? end + 1 : 3), "which is not a general category like \\p{Lu}");
    }
    ask_tables(StandIns::for_categories);
    copy(end + 1);
    return std::nullopt;
  }

  char32_t hex_escape() {
    std::size_t begin = 2;
    std::size_t end = 2;
    if (rest().size() > 2 && rest()[2] == '{') {
      begin = end = 3;
      while (end < rest().size() && is_hex_digit(rest()[end])) ++end;
      if (end > 3 && end < rest().size() && rest()[end] == '}') {
        const char32_t character = number_of(rest().substr(begin, end - begin));
        copy(end + 1);
        return character;
      }
    } else {
      while (end < 4 && end < rest().size() && is_hex_digit(rest()[end])) ++end;
      // From \x80 on Oniguruma means a byte, PCRE2 a character.
      if (end == 4 && rest()[2] < '8') {
        const char32_t character = number_of(rest().substr(begin, 2));
        copy(4);
        return character;
      }
    }
    refuse(rest().substr(0, end), "which is not an ASCII character or \\x{…}");
  }

  char32_t unicode_escape() {
    const std::string_view digits = rest().substr(2, 4);
    if (digits.size() < 4 || !std::all_of(digits.begin(), digits.end(), is_hex_digit)) {
      refuse(rest().substr(0, 6), "which does not have four hexadecimal digits");
    }
    output_ += "\\x{" + std::string(digits) + "}";
    at_ += 6;
    return number_of(digits);
  }

  std::string_view pattern_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::string output_;
  std::vector<bool> case_is_ignored_;  //!< in the groups around this place
  std::u32string letters_;             //!< the last ones side by side where case is ignored
  std::vector<Spelled> named_;
  StandIns stand_ins_ = StandIns::none;
};

}  // namespace

Translation onig_to_pcre2(std::string_view pattern, const std::string& where) {
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
