// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/yaml_reader.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <map>
#include <sstream>
#include <utility>

#include "common/text.h"
#include "io/detail/base/text_places.h"
#include "io/detail/config/yaml_messages.h"

namespace tributary::detail::config {
namespace {

constexpr std::size_t kLargestText = std::size_t{256} * 1024;
constexpr std::size_t kDeepestNesting = 20;
// Aliases make a short text stand for a long one, so what is counted is the expanded tree.
constexpr std::size_t kHeaviestTree = 100'000;

std::size_t weight_of(const YamlNode& node) {
  std::size_t weight = 1 + node.text.size() / 32;
  for (const YamlNode& item : node.items) weight += weight_of(item);
  for (const YamlEntry& entry : node.entries) weight += 1 + entry.key.size() / 32 + weight_of(entry.value);
  return weight;
}

std::size_t height_of(const YamlNode& node) {
  std::size_t below = 0;
  for (const YamlNode& item : node.items) below = std::max(below, height_of(item));
  for (const YamlEntry& entry : node.entries) below = std::max(below, height_of(entry.value));
  return below + 1;
}

/// Thrown through the parser to stop it at the first thing that makes the rest of the text pointless.
struct Stop : std::exception {
  explicit Stop(Complaint why) : complaint(std::move(why)) {}
  Complaint complaint;
};

/// Builds the tree from the parser's events. yaml-cpp's own nodes lose quotes of keys, share aliases and grow without
/// bound.
class YamlTreeBuilder : public YAML::EventHandler {
 public:
  explicit YamlTreeBuilder(const TextPlaces& places) : places_(places) {}

  YamlDocument document;

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      throw Stop(
          {places_.at(mark.pos),
           "a second YAML document begins here (settings are one document, one mapping of keys to values); remove "
           "it, or the '---' or wrong indentation that cuts the text in two"});
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { finish(begin(mark, "", anchor)); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchored_.find(anchor);
    if (found == anchored_.end()) {
      throw Stop({places_.at(mark.pos),
                  "an alias inside the very value it stands for (this has no end); write the value out"});
    }
    Open copy{found->second, 0, std::nullopt};
    copy.node.place = places_.at(mark.pos);
    charge(weight_of(copy.node), copy.node.place);
    limit_depth(open_.size() + height_of(copy.node), copy.node.place);
    finish(std::move(copy));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Open scalar = begin(mark, tag, anchor);
    scalar.node.type = YamlNode::Type::scalar;
    scalar.node.style = tag == "!" ? YamlNode::Style::quoted : YamlNode::Style::plain;
    scalar.node.text = value;
    charge(value.size() / 32, scalar.node.place);
    finish(std::move(scalar));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open_.push_back(begin(mark, tag, anchor));
    open_.back().node.type = YamlNode::Type::list;
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open_.push_back(begin(mark, tag, anchor));
    open_.back().node.type = YamlNode::Type::mapping;
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor = 0;
    std::optional<YamlNode> key;  //!< of the entry whose value is still to come
  };

  Open begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    Open opened;
    opened.node.place = places_.at(mark.pos);
    opened.anchor = anchor;
    charge(1, opened.node.place);
    limit_depth(open_.size() + 1, opened.node.place);
    if (!tag.empty() && tag != "?" && tag != "!") {
      document.complaints.push_back(
          {opened.node.place,
           "a tag (!) stands before this value (settings need none: each key knows its type); "
           "remove it"});
    }
    return opened;
  }

  void close() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    finish(std::move(closed));
  }

  void finish(Open done) {
    if (done.anchor != 0) {
      charge(weight_of(done.node), done.node.place);
      anchored_[done.anchor] = done.node;
    }
    if (open_.empty()) {
      document.root = std::move(done.node);
    } else if (Open& parent = open_.back(); parent.node.type == YamlNode::Type::list) {
      parent.node.items.push_back(std::move(done.node));
    } else if (!parent.key) {
      parent.key = std::move(done.node);
    } else {
      add_entry(parent, std::move(done.node));
    }
  }

  void add_entry(Open& mapping, YamlNode value) {
    const YamlNode key = *std::exchange(mapping.key, std::nullopt);
    if (key.type == YamlNode::Type::scalar && key.text == "<<" && key.style == YamlNode::Style::plain) {
      document.complaints.push_back({key.place,
                                     "merge keys (<<) are refused (YAML 1.2 dropped them, and readers differ in what "
                                     "they mean); write the keys out"});
    } else if (key.type != YamlNode::Type::scalar || key.text.empty()) {
      document.complaints.push_back({key.place, "a key must be a word in front of ':'; write 'key: value'"});
    } else {
      mapping.node.entries.push_back({key.text, key.place, std::move(value)});
    }
  }

  void charge(std::size_t weight, Place place) {
    weight_ += weight;
    if (weight_ > kHeaviestTree) {
      throw Stop({place, "the settings are too large from here on (more than " + std::to_string(kHeaviestTree) +
                             " values, aliases written out); make the file smaller"});
    }
  }

  static void limit_depth(std::size_t depth, Place place) {
    if (depth > kDeepestNesting) {
      throw Stop({place, "values are nested more than " + std::to_string(kDeepestNesting) +
                             " deep; remove brackets or indentation"});
    }
  }

  const TextPlaces& places_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, YamlNode> anchored_;
  std::size_t weight_ = 0;
  int documents_ = 0;
};

/// What makes a text unreadable before YAML is even asked; yaml-cpp takes some control characters for the end of the
/// file.
std::optional<Complaint> refuse_bytes(std::string_view text, const TextPlaces& places) {
  const auto place_of_byte = [&](std::size_t offset) { return places.at_byte(offset); };
  if (text.size() > kLargestText) {
    return Complaint{{},
                     "more than " + std::to_string(kLargestText / 1024) +
                         " KiB of text (is it a settings file?); give a smaller one"};
  }
  if (const auto offset = first_invalid_utf8(text)) {
    return Complaint{place_of_byte(*offset), "a byte that is not UTF-8 (byte " + std::to_string(*offset) +
                                                 " of the text); save the text as UTF-8"};
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool line_end = byte == '\n' || (byte == '\r' && i + 1 < text.size() && text[i + 1] == '\n');
    if ((byte < 0x20 && byte != '\t' && !line_end) || byte == 0x7F) {
      return Complaint{place_of_byte(i),
                       "a control character (code " + std::to_string(byte) +
                           "), which YAML does not allow; remove it, or write it as an escape in double quotes"};
    }
  }
  return std::nullopt;
}

}  // namespace

YamlDocument read_yaml(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const TextPlaces places(text);
  if (auto refused = refuse_bytes(text, places)) return {std::nullopt, {std::move(*refused)}};

  YamlTreeBuilder builder(places);
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Stop& stop) {
    builder.document.root.reset();
    builder.document.complaints.push_back(stop.complaint);
  } catch (const YAML::Exception& error) {
    const Place place = places.at(error.mark.pos);
    builder.document.root.reset();
    builder.document.complaints.push_back({place, explain_yaml_error(error.msg, text, place.line)});
  }
  return std::move(builder.document);
}

}  // namespace tributary::detail::config
