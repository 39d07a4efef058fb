// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "io/config.h"
#include "io/detail/config/key_table.h"

namespace tributary {
namespace {

std::string default_text(const Key& key) {
  if (key.presence == Key::Presence::required) return "required";
  const std::string& shown = key.fallback.empty() ? key.implied : key.fallback;
  return shown.empty() ? "no default" : "default " + shown;
}

}  // namespace

std::string describe(const std::vector<Key>& table) {
  const detail::config::KeyTable known(table);
  std::string text;
  for (const Key& key : table) {
    if (!text.empty()) text += '\n';
    text += key.path + ": " + detail::config::allowed(key) + "; " + default_text(key) + "\n";
    if (!key.meaning.empty()) text += "    " + key.meaning + "\n";
    for (const Key& field : key.fields) {
      const char* needed = field.presence == Key::Presence::required ? "; required" : "";
      const std::string meaning = field.meaning.empty() ? "" : ": " + field.meaning;
      text += "    - " + field.path + ", " + detail::config::allowed(field) + needed + meaning + "\n";
    }
    if (known.is_group(key.path)) text += "    Or its parts, as a mapping; on top of a word they change parts of it.\n";
    if (key.effect == Effect::speed) text += "    Changes how the result is computed, not the result.\n";
    if (key.effect == Effect::evaluation) text += "    Changes what is evaluated, not the scores: they are kept.\n";
  }
  return text;
}

}  // namespace tributary
