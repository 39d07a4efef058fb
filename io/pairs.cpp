// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/pairs.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/base/json_text.h"
#include "io/detail/pairs/file_form.h"

namespace tributary {
namespace {

enum class Presence { required, optional };
enum class Emptiness { refused, allowed };

/// One key of a line: what it may be and where it goes.
struct Field {
  const char* key;
  Presence presence;
  Emptiness emptiness;
  void (*store)(PromptPair&, std::string);
};

const std::array<Field, 5> fields{{
    {"clean_prefix", Presence::required, Emptiness::refused,
     [](PromptPair& pair, std::string text) { pair.clean_prefix = std::move(text); }},
    {"patch_prefix", Presence::optional, Emptiness::refused,
     [](PromptPair& pair, std::string text) { pair.patch_prefix = std::move(text); }},
    {"clean_answer", Presence::required, Emptiness::refused,
     [](PromptPair& pair, std::string text) { pair.clean_answer = std::move(text); }},
    {"patch_answer", Presence::optional, Emptiness::refused,
     [](PromptPair& pair, std::string text) { pair.patch_answer = std::move(text); }},
    {"case", Presence::optional, Emptiness::allowed,
     [](PromptPair& pair, std::string text) { pair.case_label = std::move(text); }},
}};

std::vector<std::string> known_keys() {
  std::vector<std::string> keys;
  for (const Field& field : fields) keys.emplace_back(field.key);
  return keys;
}

/// What is wrong with a key's value, or empty.
std::string value_problem(const Field& field, const nlohmann::json& value) {
  if (!value.is_string()) {
    return fmt::format(
        "\"{}\" is {} (every value is a text); {}", field.key, value.type_name(),
        value.is_null() && field.presence == Presence::optional ? "leave the key out" : "write it as \"…\"");
  }
  const auto& text = value.get_ref<const std::string&>();
  if (text.empty() && field.emptiness == Emptiness::refused) {
    return fmt::format("\"{}\" is empty; {}", field.key,
                       field.presence == Presence::optional ? "leave the key out or give it a text" : "give it a text");
  }
  if (text.find('\0') != std::string::npos) {
    return fmt::format("\"{}\" holds the character U+0000 (results files cannot keep it); take it out", field.key);
  }
  return {};
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

/// The problems of a file's lines, few of each kind: most files have the same mistake on every line.
class LineProblems {
 public:
  void add(std::string where, std::string text) {
    constexpr std::size_t few = 5;
    constexpr std::size_t most = 50;
    std::size_t& met = met_[kind_of(text)];
    ++met;
    if (met > few) {
      ++more_[kind_of(text)];
    } else if (shown_.size() < most) {
      shown_.push_back({std::move(where), std::move(text)});
    } else {
      ++other_;
    }
  }
  void add_all(const UserError& error) {
    for (const Problem& problem : error.problems()) add(problem.where, problem.text);
  }
  void throw_if_any() const {
    if (shown_.empty()) return;
    std::vector<Problem> problems = shown_;
    for (const auto& [kind, count] : more_) problems.push_back({"", fmt::format("… and {} more: {}", count, kind)});
    if (other_ > 0) problems.push_back({"", fmt::format("… and {} more", other_)});
    throw UserError(std::move(problems));
  }

 private:
  /// A message without its reason and advice: "this is not valid JSON".
  static std::string kind_of(const std::string& text) {
    return text.substr(0, std::min(text.find(" ("), text.find(';')));
  }

  std::map<std::string, std::size_t> met_, more_;  // more_: of kinds of which few are shown
  std::vector<Problem> shown_;
  std::size_t other_ = 0;  // of kinds of which none is shown
};

PromptPair parse_pair(const detail::JsonSource& line, LineProblems& problems) {
  PromptPair pair;
  const detail::JsonDocument document = detail::parse_json(line);
  if (!document.root.is_object()) {
    problems.add(line.where(0), fmt::format("is {} (every line is one object {{…}}); give one pair a line",
                                            document.root.type_name()));
    return pair;
  }
  std::set<std::string> meant;  // keys that are there under a wrong name
  // Keys are taken in the order of the line, so that messages come in the order in which a reader meets their causes.
  std::vector<std::pair<std::size_t, std::string>> keys;
  for (const auto& [key, byte] : document.key_bytes) keys.emplace_back(byte, key);
  std::sort(keys.begin(), keys.end());
  for (const auto& [byte, key] : keys) {
    const auto* const field =
        std::find_if(fields.begin(), fields.end(), [&name = key](const Field& f) { return f.key == name; });
    const nlohmann::json& value = document.root.at(key);
    if (field == fields.end()) {
      problems.add(line.where(byte), fmt::format("unknown key \"{}\"{}; known are {}", key,
                                                 did_you_mean(key, known_keys()), join(known_keys())));
      meant.insert(nearest(key, known_keys()));
    } else if (std::string problem = value_problem(*field, value); !problem.empty()) {
      problems.add(line.where(byte), std::move(problem));
    } else {
      field->store(pair, value.get<std::string>());
    }
  }
  for (const Field& field : fields) {
    const bool is_there = document.root.contains(field.key) || meant.contains(field.key);
    if (field.presence == Presence::required && !is_there) {
      problems.add(line.where(0), fmt::format("\"{}\" is missing; add it", field.key));
    }
  }
  return pair;
}

}  // namespace

std::vector<PromptPair> read_pairs(const std::filesystem::path& file) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  const std::string content = read_file(file.string());
  std::string_view rest = content;
  if (rest.starts_with(byte_order_mark)) rest.remove_prefix(byte_order_mark.size());

  if (std::string form = detail::pairs::other_form(rest); !form.empty())
    throw UserError(file.string(), std::move(form));
  std::vector<PromptPair> pairs;
  LineProblems problems;
  for (int number = 1; !rest.empty(); ++number) {
    const std::string_view text = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(text.size() + 1, rest.size()));
    if (is_blank(text)) continue;
    const detail::JsonSource line{text, file.string(), static_cast<std::size_t>(number)};
    try {
      PromptPair pair = parse_pair(line, problems);
      pair.file = file.string();
      pair.line = number;
      pairs.push_back(std::move(pair));
    } catch (const UserError& error) {
      problems.add_all(error);
    }
  }
  problems.throw_if_any();
  if (pairs.empty()) {
    throw UserError(file.string(), std::string("holds no pairs; ") + detail::pairs::wanted_form);
  }
  return pairs;
}

}  // namespace tributary
