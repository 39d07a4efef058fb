// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <new>
#include <optional>
#include <utility>

#include "common/errors.h"
#include "io/detail/base/utf8.h"

namespace tributary::detail::tokenizer {
namespace {

// Oniguruma's ^ and $ match at every line, whatever the newline PCRE2 was built for.
constexpr std::uint32_t kCompileOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE;

std::string error_message(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return std::string(reinterpret_cast<const char*>(text.data()));
}

/// In quotes; of a long one the beginning.
std::string shown_pattern(std::string_view pattern) {
  std::size_t end = 100;
  if (pattern.size() <= end) return "'" + std::string(pattern) + "'";
  while (is_continuation(pattern[end])) --end;
  return "'" + std::string(pattern.substr(0, end)) + "…'";
}

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

/// What one search may take. Patterns of tokenizers come nowhere near: they are for those of a file that means harm.
constexpr std::uint32_t kMostMatchCalls = 10'000'000;  // about a second
constexpr std::uint32_t kMostHeap = 64 * 1024;         // KiB
constexpr std::uint32_t kDeepest = 1'000'000;          // nested calls of match(), each of some 100 bytes at least

using MatchContext = std::unique_ptr<pcre2_match_context, void (*)(pcre2_match_context*)>;

MatchContext with_limits() {
  MatchContext context(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  if (!context) throw std::bad_alloc();
  pcre2_set_match_limit(context.get(), kMostMatchCalls);
  pcre2_set_heap_limit(context.get(), kMostHeap);
  pcre2_set_depth_limit(context.get(), kDeepest);
  return context;
}

struct Match {
  std::size_t begin, end;
};

/// Searches one text again and again.
class Searcher {
 public:
  Searcher(const pcre2_code* code, const std::string& source, const std::string& where, std::string_view text)
      : code_(code),
        source_(source),
        where_(where),
        text_(text),
        limits_(with_limits()),
        data_(pcre2_match_data_create(1, nullptr), pcre2_match_data_free) {
    if (!data_) throw std::bad_alloc();
  }

  [[nodiscard]] std::optional<Match> search(std::size_t from) const {
    int outcome = run(from, PCRE2_NO_UTF_CHECK);
    // Compiled matching has a small fixed stack; the interpreter takes its memory from the heap.
    if (outcome == PCRE2_ERROR_JIT_STACKLIMIT) outcome = run(from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT);
    if (outcome == PCRE2_ERROR_NOMATCH) return std::nullopt;
    if (outcome < 0) {
      throw UserError(where_, "the pattern " + shown_pattern(source_) + " cannot be matched against a text of " +
                                  std::to_string(text_.size()) + " bytes (" + error_message(outcome) +
                                  ": it asks for more work than tokenizers' patterns do); shorten the text, or take "
                                  "the tokenizer.json of the model's owners");
    }
    const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data_.get());
    return Match{offsets[0], offsets[1]};
  }

 private:
  [[nodiscard]] int run(std::size_t from, std::uint32_t options) const {
    return pcre2_match(code_, units(text_), text_.size(), from, options, data_.get(), limits_.get());
  }

  const pcre2_code* code_;
  const std::string& source_;
  const std::string& where_;
  std::string_view text_;
  MatchContext limits_;
  std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data_;
};

/// Refusals of patterns that may be right all the same: too long, too deep, too large when compiled.
bool is_limit(int compile_error) {
  switch (compile_error) {
    case PCRE2_ERROR_PARENTHESES_NEST_TOO_DEEP:
    case PCRE2_ERROR_PATTERN_TOO_LARGE:
    case PCRE2_ERROR_PATTERN_TOO_COMPLICATED:
    case PCRE2_ERROR_LOOKBEHIND_TOO_COMPLICATED:
    case PCRE2_ERROR_LOOKBEHIND_TOO_LONG:
    case PCRE2_ERROR_PATTERN_STRING_TOO_LONG:
    case PCRE2_ERROR_HEAP_FAILED:
      return true;
    default:
      return false;
  }
}

}  // namespace

Pattern Pattern::from_regex(std::string_view regex, const std::string& where) {
  return Pattern(onig_to_pcre2(regex, where), where);
}

Pattern Pattern::from_text(std::string_view text, const std::string& where) {
  return Pattern({escape_for_regex(text), StandIns::none}, where);
}

Pattern::Pattern(Translation translation, const std::string& where)
    : source_(std::move(translation.pattern)), stand_ins_(translation.stand_ins), where_(where) {
  const std::unique_ptr<pcre2_compile_context, void (*)(pcre2_compile_context*)> context(
      pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  if (!context) throw std::bad_alloc();
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(units(source_), source_.size(), kCompileOptions, &error, &offset, context.get());
  if (code == nullptr) {
    const std::string reason = " (" + error_message(error) + " at byte " + std::to_string(offset) + "); ";
    if (is_limit(error)) {
      throw UserError(where, "the pattern " + shown_pattern(source_) + " is beyond what this program's regular " +
                                 "expressions can hold" + reason + "the tokenizer cannot be used here");
    }
    throw UserError(where,
                    "the pattern " + shown_pattern(source_) + " is not a regular expression" + reason + "correct it");
  }
  code_.reset(code, pcre2_code_free);
  // Where there is no compiled matching the same pattern runs interpreted, only slower.
  static_cast<void>(pcre2_jit_compile(code, PCRE2_JIT_COMPLETE));
}

std::vector<Span> Pattern::spans(std::string_view text) const {
  std::string storage;
  const std::string_view subject = with_stand_ins(text, storage, stand_ins_);
  const Searcher searcher(code_.get(), source_, where_, subject);
  std::vector<Span> spans;
  std::size_t covered = 0;
  std::optional<std::size_t> last_match_end;
  for (std::size_t from = 0; from <= subject.size();) {
    const auto match = searcher.search(from);
    if (!match) break;
    // An empty match right behind the last match would be found again and again, so the search goes on one character
    // later.
    if (match->begin == match->end && last_match_end == match->end) {
      from += from < subject.size() ? utf8_length(subject[from]) : 1;
      continue;
    }
    if (covered < match->begin) spans.push_back({covered, match->begin, Span::Kind::gap});
    spans.push_back({match->begin, match->end, Span::Kind::match});
    covered = from = match->end;
    last_match_end = match->end;
  }
  if (covered < text.size()) spans.push_back({covered, text.size(), Span::Kind::gap});
  return spans;
}

}  // namespace tributary::detail::tokenizer
