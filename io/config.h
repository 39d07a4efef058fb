// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A strict reader of YAML settings over a table of keys: the table that validates a file also gives
// its defaults and documents it. Knows YAML; nothing of what the keys mean (runner/job/keys.* holds our table).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "common/text.h"

namespace tributary {

enum class Kind { text, path, integer, number, boolean, integers, numbers, texts, records };

/// What changing a key changes: the numbers of a result; only those of what is evaluated with other numbers, which stay
/// as they are; or nothing but how the result is computed.
enum class Effect { numbers, evaluation, speed };

/// A word that people know, for something that is not done here.
struct Unavailable {
  std::string word;
  std::string reason;  //!< with what to take instead
};

/// One row of the table: a key, what it may hold, and what it means.
struct Key {
  std::string path{};  //!< "attribution.steps"
  Kind kind = Kind::text;
  std::string fallback{};  //!< default as YAML text; empty: none
  /// What is said to be the default of a key without one, whose absence means the same: newer than results that lie
  /// about, whose identity must stay.
  std::string implied{};
  std::string meaning{};  //!< one line for people
  /// Words it may hold. For text and the items of texts: the only ones; for the other kinds: instead of such a value
  /// ("auto"). Not for paths, which cannot be told from words.
  std::vector<std::string> choices{};
  std::vector<Synonym> synonyms{};  //!< other names of choices; not taken, but known in "did you mean"
  std::vector<Unavailable> unavailable{};
  double least = -std::numeric_limits<double>::infinity();  //!< bound of numbers, and of every number in a list
  double most = std::numeric_limits<double>::infinity();
  Effect effect = Effect::numbers;
  enum class Presence { optional, required } presence = Presence::optional;
  /// Of a path: where nothing is there and it reads like a repository of the Hugging Face Hub (org/name), what it says:
  /// files alone, or that repository, and then the text stays as it is written.
  enum class Names { files, repositories } names = Names::files;
  /// Of records: what each item, a mapping, may hold. Texts, paths and integers; none has a default.
  std::vector<Key> fields{};
};

/// The fields that one item of records was given, by name; paths as texts.
using Record = std::map<std::string, std::variant<std::string, std::int64_t>>;
using Records = std::vector<Record>;

using Value = std::variant<std::string, std::int64_t, double, bool, std::vector<std::int64_t>, std::vector<double>,
                           std::vector<std::string>, Records>;

/// The keys of one run with their values: those given, and the defaults of the rest.
class Settings {
 public:
  /// Whether the file or the command line gave it.
  [[nodiscard]] bool given(const std::string& path) const;
  /// Whether it has a value, given or default.
  [[nodiscard]] bool has(const std::string& path) const;
  /// The value as T (a Value alternative; std::filesystem::path for Kind::path). Nothing when it has none, or when the
  /// key holds one of its words instead of a T (`threads: auto` read as std::int64_t). ContractViolation when the table
  /// has no such key, or one that never holds a T (an integer read as double, a path as std::string).
  template <typename T>
  [[nodiscard]] std::optional<T> get(const std::string& path) const;
  /// The same for keys that always hold a T; ContractViolation when there is none.
  template <typename T>
  [[nodiscard]] T at(const std::string& path) const;
  /// "sweep.yaml:7:5" (the value's place), "command line", or "default" (also when it has no value): for messages about
  /// a value that the table cannot check.
  [[nodiscard]] std::string where(const std::string& path) const;

  /// All keys with their values as YAML, in table order, with absolute paths: a settings file that can be run as it
  /// stands. Read again it gives the same values.
  [[nodiscard]] std::string resolved() const;
  /// The same with only the keys that the file, its sweep or the command line gave. Read again it gives equal settings,
  /// also where something depends on whether a key was given.
  [[nodiscard]] std::string as_given() const;
  /// One "path = value" line for each key that has one of these effects, in table order; the hash of the text
  /// identifies the run. Paths, those of records too, are left out: whoever makes the identity adds the hashes of the
  /// files' contents.
  [[nodiscard]] std::string identity_text(const std::set<Effect>& effects) const;
  /// One "path = value" line for each key in these groups, paths left out.
  [[nodiscard]] std::string text_of(const std::vector<std::string>& groups) const;
  /// One "path = value" line for each key outside these groups, paths included: equal texts mean equal settings there.
  /// A group is the key of that name and all keys below it ("attribution", "attribution.steps").
  [[nodiscard]] std::string text_without(const std::vector<std::string>& groups) const;
  /// What differs from the other runs of the sweep, as a folder name ("method=atp,steps=10"); empty for a single run.
  [[nodiscard]] const std::string& label() const { return label_; }

  /// The same with another value of a key that has one, as if it were given there: what a run took for `auto`.
  [[nodiscard]] Settings with(const std::string& path, Value value) const;
  /// The keys that change numbers, paths left out, whose values differ, in table order. Both must have the same table.
  [[nodiscard]] std::vector<std::string> keys_that_differ(const Settings& other) const;

 private:
  friend class SettingsReader;
  enum class Paths { included, left_out };
  [[nodiscard]] std::string lines_of(Paths paths, const std::function<bool(const Key& key)>& wanted) const;
  [[nodiscard]] std::string yaml_of(const std::function<bool(const std::string& path)>& wanted) const;
  struct Held {
    Value value;
    bool given = false;
    std::string where;
  };
  const std::vector<Key>* table_ = nullptr;
  std::map<std::string, Held> held_;
  std::string label_;
};

/// Reads `file`, applies `overrides` ("key.path=value", value as YAML), expands `sweep: {grid: {key.path: [values]}}`
/// into one Settings a run (product in file order, last key fastest; one Settings when there is no sweep; at most
/// 10000), and fills in defaults. The `sweep` key itself need not be in the table. `table` must outlive the result.
///
/// Default < file < grid of the file < command line:
/// - A '#' in an override begins no comment.
/// - Of two overrides of one key the later wins. An override may name a group (`attribution={method: atp, steps: 4}`),
///   of which it sets the keys it holds, or a list of the grid (`sweep.grid.attribution.steps=[4, 8]`), which replaces
///   the file's list or adds one. An override of a key that the file sweeps ends its sweep: all runs hold the override.
/// - A key may be both a row (`attribution.rules`, a word) and a prefix of rows (`attribution.rules.norm`); a file has
///   either form. The word is what the values below it start from. So a word on the command line or in the grid
///   replaces what the file (or its grid) has below it, while `attribution.rules.norm=true` keeps the file's word and
///   adds to it. A file that needs both writes `attribution: {rules: relp, rules.norm: true}`; nowhere else may its
///   keys hold a dot.
/// - Kind::path values, those of records too, are relative to the YAML file, on the command line to the current folder.
///   Names of repositories stay as they are (Key::Names).
/// - Records are one value: an override replaces the whole list, and a list of the grid is a list of such lists.
///
/// Throws UserError with all problems at once, the file's in file order as file:line:column, then those of the command
/// line; each with the key's whole path, what is allowed, and the nearest known key or choice: YAML errors, unknown
/// key, duplicate key, wrong type, missing required key, value not among the choices or outside its bounds, empty list,
/// null value, a list in place of a scalar, a value twice in the grid, merge keys (<<), tags, more than one YAML
/// document, an empty file, bytes that are not UTF-8. Size, depth and aliases are bounded. Quotes make a text: "10" is
/// no integer. Strictness: integers are decimal digits only (010 and 1e3 are refused with a hint), numbers finite
/// decimals, booleans true | false only (`yes` is refused with a hint).
std::vector<Settings> read_settings(const std::vector<Key>& table, const std::filesystem::path& file,
                                    const std::vector<std::string>& overrides);

/// The settings that Settings::resolved or as_given has written as `text`. Throws UserError as above, under `name`.
Settings settings_of(const std::vector<Key>& table, const std::string& text, const std::string& name);

/// The table for people: key, type or choices, default, meaning; one block a key. What `tributary schema` prints.
std::string describe(const std::vector<Key>& table);

}  // namespace tributary
