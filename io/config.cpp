// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/config.h"

#include <algorithm>
#include <utility>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/base/file_path.h"
#include "io/detail/config/key_table.h"
#include "io/detail/config/settings_layer.h"
#include "io/detail/config/sweep_grid.h"
#include "io/detail/config/value_reader.h"
#include "io/detail/config/yaml_reader.h"
#include "io/detail/config/yaml_text.h"

namespace tributary {

using detail::Complaint;
using detail::GivenValues;
using detail::Layer;
using detail::LayerReader;
using detail::Place;
using detail::Sweep;
using detail::SweepRun;
using detail::YamlDocument;
using detail::YamlNode;

namespace {

// Beyond this somebody multiplied what they meant to add, and the runs would not even fit on a page.
constexpr std::size_t kMostRuns = 10'000;

constexpr const char* kCommandLine = "command line";

}  // namespace

/// Puts together what the file, the command line and the table say.
class SettingsReader {
 public:
  SettingsReader(const std::vector<Key>& table, const std::filesystem::path& file)
      : table_(table),
        file_(file),
        folder_((detail::current_folder() / file).parent_path()),
        from_file_(table_, folder_, [this](Place place) { return where(place); }),
        from_command_line_(table_, detail::current_folder(), [](Place) { return std::string(kCommandLine); }) {}

  std::vector<Settings> read(const std::vector<std::string>& overrides) {
    read_file_layer();
    for (const std::string& text : overrides) read_override(text);
    refuse_set_and_swept();
    const Sweep sweep(table_, from_file_.layer, from_command_line_.layer);
    refuse_missing();
    refuse_too_many(sweep);
    throw_problems();
    const std::vector<SweepRun> runs = sweep.runs(file_.string(), command_line_problems_);
    std::vector<Settings> expanded = expand(runs);
    refuse_missing_in(expanded);
    throw_problems();
    return expanded;
  }

 private:
  [[nodiscard]] std::string where(Place place) const {
    return file_.string() + ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
  }

  void read_file_layer() {
    const YamlDocument document = detail::read_yaml(read_file(file_.string()));
    from_file_.complaints = document.complaints;
    if (document.root && document.root->type != YamlNode::Type::null) {
      from_file_.read_root(*document.root);
      return;
    }
    if (document.complaints.empty()) {
      from_file_.complaints.push_back({{}, "the file is empty; write the settings as 'key: value' lines"});
    }
    from_file_.layer.refused.insert("");
  }

  void read_override(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      command_line_problems_.push_back({kCommandLine, detail::shown(text) + " is no override; write key.path=value"});
      return;
    }
    const YamlDocument document = detail::read_yaml(std::string_view(text).substr(equals + 1));
    from_command_line_.complaints = document.complaints;
    if (document.complaints.empty()) {
      from_command_line_.read_override(text.substr(0, equals), document.root.value_or(YamlNode{}));
    }
    for (const Complaint& complaint : from_command_line_.complaints) {
      command_line_problems_.push_back({kCommandLine, complaint.text + " (in " + detail::shown(text) + ")"});
    }
  }

  void refuse_set_and_swept() {
    const Layer& layer = from_command_line_.layer;
    for (const detail::Axis& axis : layer.axes) {
      if (layer.values.contains(axis.path)) {
        command_line_problems_.push_back(
            {kCommandLine, "both " + axis.path + "=… and sweep.grid." + axis.path +
                               "=… are given (one sets what the other sweeps); remove one"});
      }
    }
    for (const detail::Axis& axis : layer.zip) {
      const detail::Axis& first = layer.zip.front();
      if (axis.points.size() == first.points.size()) continue;
      command_line_problems_.push_back(
          {kCommandLine, "sweep.zip: " + axis.path + " has " + std::to_string(axis.points.size()) + " values and " +
                             first.path + " has " + std::to_string(first.points.size()) +
                             " (they go together, value by value); make the lists equally long"});
    }
    for (const detail::Axis& axis : from_file_.layer.zip) {
      const bool twice = std::any_of(from_file_.layer.axes.begin(), from_file_.layer.axes.end(),
                                     [&axis](const detail::Axis& other) { return other.path == axis.path; });
      if (twice) {
        command_line_problems_.push_back(
            {file_.string(), axis.path + " is both in sweep.grid and in sweep.zip; remove one"});
      }
    }
  }

  /// What one run is given: the file's values, then its sweep, then the command line and its sweep.
  [[nodiscard]] GivenValues values_of(const SweepRun& run) const {
    GivenValues command_line = from_command_line_.layer.values;
    for (const auto& [path, given] : run.command_line) command_line[path] = given;
    GivenValues values = from_file_.layer.values;
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

  [[nodiscard]] bool is_refused(const std::string& path) const {
    for (std::string above = path;; above = detail::group_of(above)) {
      if (from_file_.layer.refused.contains(above) || from_command_line_.layer.refused.contains(above)) return true;
      if (above.empty()) return false;
    }
  }

  void refuse_missing() {
    for (const Key& key : table_.keys()) {
      const bool set = from_file_.layer.sets(key.path) || from_command_line_.layer.sets(key.path);
      if (key.presence == Key::Presence::optional || set || is_refused(key.path)) continue;
      std::string group = detail::group_of(key.path);
      while (!from_file_.layer.mappings.contains(group)) group = detail::group_of(group);
      from_file_.complaints.push_back({from_file_.layer.mappings.at(group),
                                       "missing key '" + key.path + "', which must be given: " + detail::allowed(key) +
                                           (key.meaning.empty() ? "" : " (" + key.meaning + ")")});
    }
  }

  /// Keys that must be given and that only some runs of the sweep have.
  void refuse_missing_in(const std::vector<Settings>& runs) {
    for (const Settings& run : runs) {
      for (const Key& key : table_.keys()) {
        if (key.presence == Key::Presence::optional || run.has(key.path)) continue;
        command_line_problems_.push_back({file_.string(), "missing key '" + key.path + "' in the run '" + run.label() +
                                                              "' of the sweep: " + detail::allowed(key)});
      }
    }
  }

  void refuse_too_many(const Sweep& sweep) {
    if (sweep.count(kMostRuns) > kMostRuns) {
      command_line_problems_.push_back({file_.string(), "sweep.grid has more than " + std::to_string(kMostRuns) +
                                                            " runs (the product of its lists); shorten the lists"});
    }
  }

  void throw_problems() {
    std::vector<Complaint>& complaints = from_file_.complaints;
    std::stable_sort(complaints.begin(), complaints.end(),
                     [](const Complaint& a, const Complaint& b) { return a.place < b.place; });
    std::vector<Problem> problems;
    for (const Complaint& complaint : complaints) problems.push_back({where(complaint.place), complaint.text});
    problems.insert(problems.end(), command_line_problems_.begin(), command_line_problems_.end());
    if (!problems.empty()) throw UserError(std::move(problems));
  }

  [[nodiscard]] Settings defaults() const {
    Settings settings;
    settings.table_ = &table_.keys();
    for (const Key& key : table_.keys()) {
      if (key.fallback.empty()) continue;
      YamlDocument document = detail::read_yaml(key.fallback);
      const auto value = detail::read_value(key, document.root.value_or(YamlNode{}), document.complaints);
      TRIBUTARY_EXPECT(document.complaints.empty(), "the default of " + key.path + ": " + document.complaints[0].text);
      const bool relative = key.kind == Kind::path;
      settings.held_[key.path] = {relative ? detail::absolute_path(folder_, std::get<std::string>(*value)) : *value,
                                  false, "default"};
    }
    return settings;
  }

  [[nodiscard]] std::vector<Settings> expand(const std::vector<SweepRun>& runs) const {
    const Settings blank = defaults();
    std::vector<Settings> expanded;
    for (const SweepRun& run : runs) {
      Settings settings = blank;
      for (const auto& [path, given] : values_of(run)) settings.held_[path] = {given.value, true, given.where};
      settings.label_ = run.label;
      expanded.push_back(std::move(settings));
    }
    return expanded;
  }

  const detail::KeyTable table_;
  const std::filesystem::path file_;
  const std::filesystem::path folder_;
  LayerReader from_file_;
  LayerReader from_command_line_;
  std::vector<Problem> command_line_problems_;
};

std::vector<Settings> read_settings(const std::vector<Key>& table, const std::filesystem::path& file,
                                    const std::vector<std::string>& overrides) {
  return SettingsReader(table, file).read(overrides);
}

}  // namespace tributary
