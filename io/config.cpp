// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/config.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/base/file_path.h"
#include "io/detail/config/key_table.h"
#include "io/detail/config/layer_reader.h"
#include "io/detail/config/layer_source.h"
#include "io/detail/config/settings_layer.h"
#include "io/detail/config/settings_problems.h"
#include "io/detail/config/sweep_grid.h"
#include "io/detail/config/value_paths.h"
#include "io/detail/config/value_reader.h"
#include "io/detail/config/yaml_reader.h"
#include "io/detail/config/yaml_text.h"

namespace tributary {

using detail::config::Axis;
using detail::config::GivenValues;
using detail::config::group_of;
using detail::config::LayerReader;
using detail::config::LayerSource;
using detail::config::SettingsLayer;
using detail::config::Source;
using detail::config::Sweep;
using detail::config::SweepRun;
using detail::config::YamlDocument;
using detail::config::YamlNode;

namespace {

// Beyond this somebody multiplied what they meant to add, and the runs would not even fit on a page.
constexpr std::size_t kMostRuns = 10'000;

std::string_view without_spaces_around(std::string_view text) {
  const std::size_t first = std::min(text.find_first_not_of(" \t\n"), text.size());
  const std::size_t last = text.find_last_not_of(" \t\n");
  return text.substr(first, last == std::string_view::npos ? 0 : last + 1 - first);
}

/// A word of the command line is one value: a '#' in it begins no comment, which would cut a path short without a word.
void take_whole(std::string_view value, std::optional<YamlNode>& root) {
  const std::string_view whole = without_spaces_around(value);
  if (whole.find('#') == std::string_view::npos) return;
  if (!root) root.emplace();
  const bool is_comment = root->type == YamlNode::Type::null && whole.starts_with('#');
  const bool is_word = root->type == YamlNode::Type::scalar && root->style == YamlNode::Style::plain;
  if (!is_comment && !is_word) return;
  root->type = YamlNode::Type::scalar;
  root->text = whole;
}

}  // namespace

/// Puts together what the file, the command line and the table say.
class SettingsReader {
 public:
  SettingsReader(const std::vector<Key>& table, const std::filesystem::path& file)
      : table_(table),
        folder_((detail::current_folder() / file).parent_path()),
        problems_(file.string()),
        file_(table_, folder_, [this](detail::Place place) { return problems_.where(Source::file, place); }),
        command_line_(table_, detail::current_folder(),
                      [this](detail::Place place) { return problems_.where(Source::command_line, place); }) {}

  std::vector<Settings> read(const std::string& file_text, const std::vector<std::string>& overrides) {
    read_file_layer(file_text);
    read_overrides(overrides);
    refuse_set_and_swept();
    refuse_grid_and_zip(Source::file, file_.layer);
    refuse_grid_and_zip(Source::command_line, command_line_.layer);
    refuse_missing();
    const Sweep sweep(table_, file_.layer, command_line_.layer);
    refuse_too_many(sweep);
    problems_.check();  // runs can be made only of layers without a mistake

    std::vector<Settings> runs = settings_of(sweep.runs(problems_));
    refuse_missing_in(runs);
    problems_.check();
    return runs;
  }

 private:
  void read_file_layer(const std::string& text) {
    YamlDocument document = detail::config::read_yaml(text);
    const bool is_yaml = document.complaints.empty();
    problems_.take(Source::file, document.complaints);
    if (document.root && document.root->type != YamlNode::Type::null) {
      LayerReader reader(file_);
      reader.read_root(*document.root);
      reader.finish();
    } else {
      if (is_yaml) file_.complaints.push_back({{}, "the file is empty; write the settings as 'key: value' lines"});
      file_.layer.refused.insert("");
    }
    problems_.take(Source::file, file_.complaints);
  }

  void read_overrides(const std::vector<std::string>& overrides) {
    LayerReader reader(command_line_);
    for (const std::string& text : overrides) read_override(reader, text);
    reader.finish();
    problems_.take(Source::command_line, command_line_.complaints);
  }

  void read_override(LayerReader& reader, const std::string& text) {
    const std::string shown = detail::config::shown(text);
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return problems_.add(Source::command_line, {}, shown + " is no override; write key.path=value");
    }
    const std::string_view value = std::string_view(text).substr(equals + 1);
    YamlDocument document = detail::config::read_yaml(value);
    const bool is_yaml = document.complaints.empty();
    if (is_yaml) take_whole(value, document.root);
    if (is_yaml) reader.read_override(text.substr(0, equals), document.root.value_or(YamlNode{}));
    problems_.take(Source::command_line, is_yaml ? command_line_.complaints : document.complaints,
                   " (in " + shown + ")");
  }

  void refuse_set_and_swept() {
    const SettingsLayer& layer = command_line_.layer;
    for (const auto& [part, axes] : {std::pair("grid", &layer.sweep.grid), std::pair("zip", &layer.sweep.zip)}) {
      for (const Axis& axis : *axes) {
        if (!layer.values.contains(axis.path)) continue;
        problems_.add(Source::command_line, {},
                      "both " + axis.path + "=… and sweep." + part + "." + axis.path +
                          "=… are given (one sets what the other sweeps); remove one");
      }
    }
  }

  void refuse_grid_and_zip(Source source, const SettingsLayer& layer) {
    std::set<std::string> in_grid;
    for (const Axis& axis : layer.sweep.grid) in_grid.insert(axis.path);
    for (const Axis& axis : layer.sweep.zip) {
      if (!in_grid.contains(axis.path)) continue;
      problems_.add(source, axis.place, axis.path + " is both in sweep.grid and in sweep.zip; remove one");
    }
  }

  [[nodiscard]] bool is_refused(const std::string& path) const {
    for (std::string above = path;; above = group_of(above)) {
      if (file_.layer.refused.contains(above) || command_line_.layer.refused.contains(above)) return true;
      if (above.empty()) return false;
    }
  }

  void refuse_missing() {
    for (const Key& key : table_.keys()) {
      const bool set = file_.layer.sets(key.path) || command_line_.layer.sets(key.path);
      if (key.presence == Key::Presence::optional || set || is_refused(key.path)) continue;
      std::string group = group_of(key.path);
      while (!file_.layer.mappings.contains(group)) group = group_of(group);
      problems_.add(Source::file, file_.layer.mappings.at(group),
                    "missing key '" + key.path + "', which must be given: " + detail::config::allowed(key) +
                        (key.meaning.empty() ? "" : " (" + key.meaning + ")"));
    }
  }

  /// Keys that must be given and that only some runs of the sweep have.
  void refuse_missing_in(const std::vector<Settings>& runs) {
    for (const Settings& run : runs) {
      for (const Key& key : table_.keys()) {
        if (key.presence == Key::Presence::optional || run.has(key.path)) continue;
        problems_.add(Source::file, {},
                      "missing key '" + key.path + "' in the run '" + run.label() +
                          "' of the sweep: " + detail::config::allowed(key));
      }
    }
  }

  void refuse_too_many(const Sweep& sweep) {
    if (sweep.count(kMostRuns) <= kMostRuns) return;
    problems_.add(Source::file, {},
                  "sweep.grid has more than " + std::to_string(kMostRuns) +
                      " runs (the product of its lists); shorten the lists");
  }

  /// What one run is given: the file's values, then its sweep, then the command line and its sweep.
  [[nodiscard]] GivenValues values_of(const SweepRun& run) const {
    GivenValues command_line = command_line_.layer.values;
    for (const auto& [path, given] : run.command_line) command_line[path] = given;
    GivenValues values = file_.layer.values;
    put_on_top(values, run.file);
    put_on_top(values, command_line);
    return values;
  }

  /// `upper` wins; its words ("attribution.rules") also replace what `values` hold below them.
  void put_on_top(GivenValues& values, const GivenValues& upper) const {
    std::erase_if(values, [&](const auto& value) {
      const std::vector<std::string> words = table_.words_above(value.first);
      return std::any_of(words.begin(), words.end(), [&](const std::string& word) { return upper.contains(word); });
    });
    for (const auto& [path, given] : upper) values.insert_or_assign(path, given);
  }

  [[nodiscard]] Settings defaults() const {
    Settings settings;
    settings.table_ = &table_.keys();
    for (const Key& key : table_.keys()) {
      if (key.fallback.empty()) continue;
      YamlDocument document = detail::config::read_yaml(key.fallback);
      const auto value = detail::config::read_value(key, document.root.value_or(YamlNode{}), document.complaints);
      TRIBUTARY_EXPECT(document.complaints.empty(), "the default of " + key.path + ": " + document.complaints[0].text);
      settings.held_[key.path] = {detail::config::with_whole_paths(key, *value, folder_), false, "default"};
    }
    return settings;
  }

  [[nodiscard]] std::vector<Settings> settings_of(const std::vector<SweepRun>& runs) const {
    const Settings blank = defaults();
    std::vector<Settings> all;
    for (const SweepRun& run : runs) {
      Settings settings = blank;
      for (const auto& [path, given] : values_of(run)) settings.held_[path] = {given.value, true, given.where};
      settings.label_ = run.label;
      all.push_back(std::move(settings));
    }
    return all;
  }

  const detail::config::KeyTable table_;
  const std::filesystem::path folder_;
  detail::config::SettingsProblems problems_;
  LayerSource file_;
  LayerSource command_line_;
};

std::vector<Settings> read_settings(const std::vector<Key>& table, const std::filesystem::path& file,
                                    const std::vector<std::string>& overrides) {
  return SettingsReader(table, file).read(read_file(file.string()), overrides);
}

Settings settings_of(const std::vector<Key>& table, const std::string& text, const std::string& name) {
  return SettingsReader(table, name).read(text, {}).front();
}

}  // namespace tributary
