// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/value_reader.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "common/text.h"
#include "io/detail/config/key_table.h"
#include "io/detail/config/number_text.h"
#include "io/detail/config/yaml_messages.h"
#include "io/detail/config/yaml_text.h"

namespace tributary::detail::config {
namespace {

bool is_list(Kind kind) { return kind == Kind::integers || kind == Kind::numbers || kind == Kind::texts; }

/// What a message is about: "circuit.counts", or "item 2 of circuit.counts".
struct Subject {
  std::string name;
  Place place;
};

class ValueReader {
 public:
  explicit ValueReader(std::vector<Complaint>& complaints) : complaints_(complaints) {}

  std::optional<Value> value(const Key& key, const YamlNode& node) {
    const Subject subject{key.path, node.place};
    if (key.kind == Kind::records) return records(key, node);
    if (node.type == YamlNode::Type::list && is_list(key.kind)) return list(key, node);
    if (node.type != YamlNode::Type::scalar) return refuse_shape(subject, key, node);
    if (!is_list(key.kind)) return scalar(subject, key, node);
    if (key.kind != Kind::texts && is_choice(key, node.text)) return Value{node.text};
    const bool is_one = node.text.find(',') == std::string::npos;
    return refuse(subject, key, node, "; write [" + node.text + "]" + (is_one ? " for a list of one" : ""));
  }

 private:
  static bool is_choice(const Key& key, const std::string& text) {
    return std::find(key.choices.begin(), key.choices.end(), text) != key.choices.end();
  }

  std::nullopt_t complain(const Subject& subject, const std::string& text) {
    complaints_.push_back({subject.place, subject.name + " " + text});
    return std::nullopt;
  }

  std::nullopt_t refuse(const Subject& subject, const Key& key, const YamlNode& node, const std::string& hint) {
    return complain(subject, "must be " + allowed(key) + ", not " + shown(node.text) + hint);
  }

  /// Of many words a reader looks for the nearest ones alone.
  std::nullopt_t refuse_word(const Subject& subject, const Key& key, const YamlNode& node) {
    for (const Unavailable& known : key.unavailable) {
      if (known.word == node.text) return refuse(subject, key, node, ": " + known.reason);
    }
    constexpr std::size_t few = 8;
    const std::string guess = did_you_mean(node.text, key.choices, key.synonyms);
    if (guess.empty() || key.choices.size() <= few) return refuse(subject, key, node, guess);
    return complain(subject, "knows no " + shown(node.text) + guess + "; `tributary schema` lists its " +
                                 std::to_string(key.choices.size()) + " words");
  }

  /// A null, a list or a mapping where one value is wanted.
  std::nullopt_t refuse_shape(const Subject& subject, const Key& key, const YamlNode& node) {
    switch (node.type) {
      case YamlNode::Type::list:
        return complain(subject, "must be " + allowed(key) +
                                     ", not a list; give one value, or several runs by sweep: {grid: {" + key.path +
                                     ": […]}}");
      case YamlNode::Type::mapping:
        return complain(subject, "must be " + allowed(key) + ", not a mapping of keys; give one value");
      default:
        return complain(subject, "must be " + allowed(key) + ", not empty or null; give a value, or remove the key");
    }
  }

  std::optional<Value> scalar(const Subject& subject, const Key& key, const YamlNode& node) {
    if (is_choice(key, node.text)) return Value{node.text};
    switch (key.kind) {
      case Kind::text:
        if (key.choices.empty()) return Value{node.text};
        return refuse_word(subject, key, node);
      case Kind::path:
        return path(subject, key, node);
      case Kind::boolean:
        return boolean(subject, key, node);
      case Kind::integer:
        return number(subject, key, node, parse_integer(node.text));
      default:
        return number(subject, key, node, parse_number(node.text));
    }
  }

  std::optional<Value> path(const Subject& subject, const Key& key, const YamlNode& node) {
    if (node.text.empty()) return complain(subject, "must be a path, not an empty text; give one, or remove the key");
    if (node.text.find('\0') != std::string::npos) return refuse(subject, key, node, " with a zero byte; remove it");
    // Only a shell expands ~; taken literally it would make a folder of that name.
    if (node.text.starts_with("~/")) return refuse(subject, key, node, " ('~' is not expanded); write the whole path");
    return Value{node.text};
  }

  std::optional<Value> boolean(const Subject& subject, const Key& key, const YamlNode& node) {
    const bool quoted = node.style == YamlNode::Style::quoted;
    if (node.text == "true" || node.text == "false") {
      if (quoted) return refuse(subject, key, node, " in quotes; drop the quotes");
      return Value{node.text == "true"};
    }
    std::string hint = did_you_mean(node.text, key.choices, key.synonyms);
    if (is_one_of(node.text, {"true", "yes", "on", "y", "1"})) hint = "; write true";
    if (is_one_of(node.text, {"false", "no", "off", "n", "0"})) hint = "; write false";
    return refuse(subject, key, node, hint);
  }

  static bool is_one_of(std::string text, std::initializer_list<std::string_view> words) {
    for (char& letter : text) letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
    return std::find(words.begin(), words.end(), text) != words.end();
  }

  template <typename T>
  std::optional<Value> number(const Subject& subject, const Key& key, const YamlNode& node,
                              const std::variant<T, NotANumber>& parsed) {
    if (const auto* reason = std::get_if<NotANumber>(&parsed)) {
      return refuse(subject, key, node,
                    reason->hint.empty() ? did_you_mean(node.text, key.choices, key.synonyms) : reason->hint);
    }
    if (node.style == YamlNode::Style::quoted) return refuse(subject, key, node, " in quotes; drop the quotes");
    const T value = std::get<T>(parsed);
    if (static_cast<double>(value) < key.least || static_cast<double>(value) > key.most) {
      return complain(subject, "must be " + bounds(key) + ", not " + node.text);
    }
    return Value{value};
  }

  std::optional<Value> list(const Key& key, const YamlNode& node) {
    switch (key.kind) {
      case Kind::integers:
        return items<std::int64_t>(key, Kind::integer, node);
      case Kind::numbers:
        return items<double>(key, Kind::number, node);
      default:
        return items<std::string>(key, Kind::text, node);
    }
  }

  template <typename T>
  std::optional<Value> items(const Key& key, Kind item_kind, const YamlNode& node) {
    if (node.items.empty())
      return complain({key.path, node.place}, "must be " + allowed(key) + ", not an empty list; give an item");
    Key item_key = key;
    item_key.kind = item_kind;
    if (item_kind != Kind::text) item_key.choices.clear();  // a word may stand for the whole list, not for an item
    std::vector<T> values;
    for (const YamlNode& item : node.items) {
      const Subject subject{"item " + std::to_string(&item - node.items.data() + 1) + " of " + key.path, item.place};
      const std::optional<Value> value = item.type == YamlNode::Type::scalar
                                             ? scalar(subject, item_key, item)
                                             : refuse_item_shape(subject, item_key, item);
      if (value) values.push_back(std::get<T>(*value));
    }
    if (values.size() != node.items.size()) return std::nullopt;
    return Value{std::move(values)};
  }

  std::nullopt_t refuse_item_shape(const Subject& subject, const Key& item_key, const YamlNode& item) {
    const char* shape = item.type == YamlNode::Type::null ? "empty or null" : "a list or mapping";
    return complain(subject, "must be " + allowed(item_key) + ", not " + shape + "; give one value");
  }

  std::optional<Value> records(const Key& key, const YamlNode& node) {
    const Subject subject{key.path, node.place};
    if (node.type != YamlNode::Type::list) {
      return complain(subject, "must be " + allowed(key) + ", not " + what_is(node) + "; write [{" +
                                   key.fields[0].path + ": …}], or remove the key");
    }
    const std::size_t before = complaints_.size();
    Records all;
    std::map<Record, std::size_t> met;  // with the item's number
    for (const YamlNode& item : node.items) {
      const std::string name = "item " + std::to_string(all.size() + 1) + " of " + key.path;
      Record read = record(key, {name, item.place}, item);
      const auto [earlier, is_new] = met.emplace(read, all.size() + 1);
      if (complaints_.size() == before && !is_new) {
        complain({name, item.place},
                 "says the same as item " + std::to_string(earlier->second) + "; remove one of the two");
      }
      all.push_back(std::move(read));
    }
    return complaints_.size() == before ? std::optional<Value>(std::move(all)) : std::nullopt;
  }

  Record record(const Key& key, const Subject& subject, const YamlNode& item) {
    Record read;
    if (!is_mapping(item)) {
      complain(subject, "must be a mapping with " + join(field_names(key)) + ", not " + what_is(item) +
                            missing_space_hint(item) + "; write {" + key.fields[0].path + ": …}");
      return read;
    }
    std::map<std::string, Place> met;
    for (const YamlEntry& entry : item.entries) {
      const auto field = std::find_if(key.fields.begin(), key.fields.end(),
                                      [&entry](const Key& known) { return known.path == entry.key; });
      const auto [first, is_new] = met.emplace(entry.key, entry.place);
      if (field == key.fields.end()) {
        refuse_field(key, subject, entry);
      } else if (!is_new) {
        complain({subject.name + ":", entry.place}, "duplicate key " + shown(entry.key) + " (first given at line " +
                                                        std::to_string(first->second.line) + "); keep one of the two");
      } else if (const auto value = field_value(*field, subject, entry.value)) {
        const auto* number = std::get_if<std::int64_t>(&*value);
        read[entry.key] = number != nullptr ? Record::mapped_type(*number) : std::get<std::string>(*value);
      }
    }
    for (const Key& field : key.fields) {
      if (field.presence == Key::Presence::optional || met.contains(field.path)) continue;
      complain({subject.name + ":", subject.place}, "missing key '" + field.path +
                                                        "', which must be given: " + allowed(field) +
                                                        (field.meaning.empty() ? "" : " (" + field.meaning + ")"));
    }
    return read;
  }

  void refuse_field(const Key& key, const Subject& subject, const YamlEntry& entry) {
    const std::string guess = did_you_mean(entry.key, field_names(key));
    complain({subject.name + ":", entry.place},
             "unknown key " + shown(entry.key) + (guess.empty() ? "; known: " + join(field_names(key)) : guess));
  }

  std::optional<Value> field_value(const Key& field, const Subject& item, const YamlNode& node) {
    const Subject subject{item.name + ": " + field.path, node.place};
    if (node.type == YamlNode::Type::scalar) return scalar(subject, field, node);
    return refuse_item_shape(subject, field, node);
  }

  std::vector<Complaint>& complaints_;
};

}  // namespace

std::optional<Value> read_value(const Key& key, const YamlNode& node, std::vector<Complaint>& complaints) {
  return ValueReader(complaints).value(key, node);
}

}  // namespace tributary::detail::config
