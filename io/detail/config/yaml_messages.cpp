// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/yaml_messages.h"

#include <algorithm>
#include <array>

#include "io/detail/config/yaml_text.h"

namespace tributary::detail::config {
namespace {

struct Explanation {
  std::string_view message;
  std::string_view words;
};

constexpr std::array kExplanations = {
    Explanation{
        "illegal map value",
        "a ':' cannot stand here; look for wrong indentation, a missing space after a ':' above, or a text with ': ' "
        "in it that needs quotes"},
    Explanation{"end of map flow not found", "a '{' is not closed (or a ',' is missing in it); add the '}'"},
    Explanation{"end of sequence flow not found", "a '[' is not closed (or a ',' is missing in it); add the ']'"},
    Explanation{"end of map not found",
                "this does not continue the keys above; line it up with them, or put quotes around the whole value"},
    Explanation{"end of sequence not found", "this does not continue the list above; line it up with the '-' above"},
    Explanation{"illegal EOF in scalar", "a quoted text is not closed before the end; add the closing quote"},
    Explanation{"illegal document indicator in scalar",
                "a quoted text is not closed before '---'; add the closing quote"},
    Explanation{"the referenced anchor is not defined",
                "an alias (*) without its anchor (&) above; define the anchor first, or put quotes around a text that "
                "begins with *"},
    Explanation{"unknown token", "a value cannot begin with this character; put quotes around the text"},
    Explanation{"illegal flow end", "a ']' or '}' closes nothing; remove it"},
    Explanation{"illegal block entry",
                "a list item (-) cannot begin here; begin the list on its own line, or write it as [a, b]"},
    Explanation{"illegal map key", "a key cannot begin here; line it up with the keys above"},
    Explanation{"illegal tab when looking for indentation", "a tab indents this line; YAML is indented by spaces"},
};

bool indented_by_tab(std::string_view text, int line) {
  for (int current = 1; current < line; ++current) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
  }
  const std::string_view indentation = text.substr(0, std::min(text.find_first_not_of(" \t"), text.size()));
  return indentation.find('\t') != std::string_view::npos;
}

}  // namespace

std::string explain_yaml_error(std::string_view message, std::string_view text, int line) {
  if (indented_by_tab(text, line)) return "not valid YAML: a tab indents this line; YAML is indented by spaces";
  const auto* found = std::find_if(kExplanations.begin(), kExplanations.end(),
                                   [&](const Explanation& known) { return known.message == message; });
  return "not valid YAML: " + std::string(found == kExplanations.end() ? message : found->words);
}

std::string what_is(const YamlNode& node) {
  switch (node.type) {
    case YamlNode::Type::null:
      return "empty or null";
    case YamlNode::Type::scalar:
      return shown(node.text);
    case YamlNode::Type::list:
      return "a list";
    default:
      return "a mapping";
  }
}

std::string missing_space_hint(const YamlNode& node) {
  const bool likely = node.type == YamlNode::Type::scalar && node.text.find(':') != std::string::npos;
  return likely ? " (a space must follow the ':' of a key)" : "";
}

}  // namespace tributary::detail::config
