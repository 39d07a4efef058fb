// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/layer_source.h"

#include <utility>
#include <variant>

#include "common/text.h"
#include "io/detail/base/file_path.h"
#include "io/detail/config/value_paths.h"
#include "io/detail/config/value_reader.h"
#include "io/detail/config/yaml_text.h"

namespace tributary::detail::config {
namespace {

/// A value as labels show it: lists with dashes between their items, records with a plus, of a path its last part,
/// everything else as YAML without quotes.
struct LabelText {
  const Key& key;
  const std::filesystem::path& folder;

  std::string operator()(const std::string& text) const {
    if (key.kind != Kind::path) return text;
    const std::filesystem::path whole = absolute_path(folder, text);
    return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  }
  std::string operator()(const std::vector<std::string>& texts) const { return join(texts, "-"); }
  std::string operator()(const Record& record) const {
    std::vector<std::string> texts;
    for (const Key& field : key.fields) {
      const auto held = record.find(field.path);
      if (held != record.end()) texts.push_back(std::visit(LabelText{field, folder}, held->second));
    }
    return join(texts, "-");
  }
  std::string operator()(const Records& records) const {
    std::vector<std::string> texts;
    for (const Record& record : records) texts.push_back((*this)(record));
    return join(texts, "+");
  }
  template <typename T>
  std::string operator()(const std::vector<T>& numbers) const {
    std::vector<std::string> texts;
    for (const T number : numbers) texts.push_back(yaml_text(Value{number}));
    return join(texts, "-");
  }
  template <typename T>
  std::string operator()(T value) const {
    return yaml_text(Value{value});
  }
};

}  // namespace

LayerSource::LayerSource(const KeyTable& table, std::filesystem::path folder, std::function<std::string(Place)> where)
    : table_(table), folder_(std::move(folder)), where_(std::move(where)) {}

std::optional<Given> LayerSource::read_given(const Key& key, const YamlNode& node) {
  std::optional<Value> value = read_value(key, node, complaints);
  if (!value) {
    layer.refused.insert(key.path);
    return std::nullopt;
  }
  return Given{with_whole_paths(key, *value, folder_), where_(node.place), std::visit(LabelText{key, folder_}, *value)};
}

bool LayerSource::is_first(const std::string& path, const YamlEntry& entry) {
  const auto [first, inserted] = met_.emplace(path, entry.place);
  if (!inserted) {
    refuse(path, entry.place,
           "duplicate key " + shown(path) + " (first given at line " + std::to_string(first->second.line) +
               "); keep one of the two");
  }
  return inserted;
}

void LayerSource::refuse(const std::string& path, Place place, const std::string& text) {
  complaints.push_back({place, text});
  layer.refused.insert(path);
}

}  // namespace tributary::detail::config
