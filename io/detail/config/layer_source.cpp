// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/layer_source.h"

#include <utility>
#include <variant>

#include "common/text.h"
#include "io/detail/base/file_path.h"
#include "io/detail/base/repository_name.h"
#include "io/detail/config/value_reader.h"
#include "io/detail/config/yaml_text.h"

namespace tributary::detail::config {
namespace {

/// A value as labels show it: lists with dashes between their items, everything else as YAML without quotes.
struct LabelText {
  std::string operator()(const std::string& text) const { return text; }
  std::string operator()(const std::vector<std::string>& texts) const { return join(texts, "-"); }
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
  Given given{*value, where_(node.place), std::visit(LabelText{}, *value)};
  if (key.kind == Kind::path) {
    const auto& written = std::get<std::string>(*value);
    const std::filesystem::path whole = absolute_path(folder_, written);
    std::error_code ignored;
    const bool repository = key.names == Key::Names::repositories && is_repository_name(written) &&
                            !std::filesystem::exists(std::filesystem::symlink_status(whole, ignored));
    given.value = repository ? written : whole.string();
    given.written = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  }
  return given;
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
