// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/layer_reader.h"

#include <utility>

#include "common/text.h"
#include "io/detail/config/yaml_messages.h"
#include "io/detail/config/yaml_text.h"

namespace tributary::detail::config {

void LayerReader::read_root(const YamlNode& root) {
  if (!is_mapping(root)) {
    return source_.refuse("", root.place,
                          "the file must be a mapping of keys to values, not " + what_is(root) +
                              missing_space_hint(root) + "; write 'key: value' on each line");
  }
  read_group("", root);
}

void LayerReader::read_override(const std::string& path, const YamlNode& value) {
  source_.forget_keys_met();
  const std::string sweep(kSweep);
  if (path == sweep) {
    sweep_.read(value);
  } else if (path.starts_with(sweep + ".")) {
    sweep_.read_override(path.substr(sweep.size() + 1), value);
  } else if (table_.find(path) == nullptr && !table_.is_group(path)) {
    source_.refuse(path, value.place, table_.unknown_path(path));
  } else {
    read_known(path, value);
  }
}

void LayerReader::read_group(const std::string& group, const YamlNode& node) {
  source_.layer.mappings.emplace(group, node.place);
  for (const YamlEntry& entry : node.entries) read_member(group, entry);
}

void LayerReader::read_member(const std::string& group, const YamlEntry& entry) {
  const std::string path = join_path(group, entry.key);
  const std::size_t dot = entry.key.find('.');
  const bool known = table_.find(path) != nullptr || table_.is_group(path) || path == kSweep;
  if (!known) {
    source_.refuse(path, entry.place, table_.unknown_in_group(group, entry.key));
  } else if (dot != std::string::npos && table_.words_above(path).empty()) {
    source_.refuse(path, entry.place,
                   "the key " + shown(entry.key) + " must be written nested, as '" + entry.key.substr(0, dot) + ": {" +
                       entry.key.substr(dot + 1) + ": …}' (a file has one way to write " + path + ")");
  } else if (source_.is_first(path, entry)) {
    path == kSweep ? sweep_.read(entry.value) : read_known(path, entry.value);
  }
}

void LayerReader::read_known(const std::string& path, const YamlNode& node) {
  const Key* key = table_.find(path);
  if (table_.is_group(path) && (key == nullptr || is_mapping(node))) {
    if (is_mapping(node)) return read_group(path, node);
    return source_.refuse(path, node.place,
                          path + " is a group of keys (" + join(table_.members(path)) + "), not " + what_is(node) +
                              missing_space_hint(node) + "; give its keys, or remove it");
  }
  if (auto given = source_.read_given(*key, node)) source_.layer.values[path] = std::move(*given);
}

}  // namespace tributary::detail::config
