// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// YAML text as a tree of plain values that remember where they stand: aliases expanded, size and depth
// bounded, merge keys, tags and further documents refused. Knows YAML; nothing of settings.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/detail/base/text_places.h"

namespace tributary::detail::config {

struct Complaint {
  Place place;
  std::string text;  //!< says the problem, why it is one, and what to do
};

struct YamlEntry;

/// What a YAML document holds at one place.
struct YamlNode {
  enum class Type { null, scalar, list, mapping };
  enum class Style { plain, quoted };

  Type type = Type::null;
  Style style = Style::plain;      //!< of a scalar; block text (|, >) counts as quoted
  Place place;                     //!< of an alias: where the alias stands
  std::string text;                //!< of a scalar
  std::vector<YamlNode> items;     //!< of a list
  std::vector<YamlEntry> entries;  //!< of a mapping, in file order, duplicate keys included
};

struct YamlEntry {
  std::string key;
  Place place;  //!< of the key
  YamlNode value;
};

inline bool is_mapping(const YamlNode& node) { return node.type == YamlNode::Type::mapping; }

struct YamlDocument {
  std::optional<YamlNode> root;  //!< there is none when the text is no YAML or holds nothing
  std::vector<Complaint> complaints;
};

/// Reads one document. Never throws for what the text holds: what is wrong with it is in `complaints`.
YamlDocument read_yaml(std::string_view text);

}  // namespace tributary::detail::config
