// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/imported_scores.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "common/errors.h"
#include "common/hash.h"
#include "common/text.h"
#include "runner/job/listed_dictionary.h"

namespace tributary {
namespace {

constexpr std::size_t most_problems = 50;  // a file of another model has one a node

/// "[2, 7, 64] (layer, position, neuron)", without the axes that a kind has one of.
struct KindShape {
  std::vector<std::int64_t> extents;
  std::vector<std::string> axes;
  std::size_t position = 0;  // which of them it is

  [[nodiscard]] std::string text() const {
    return fmt::format("[{}] ({})", fmt::join(extents, ", "), fmt::join(axes, ", "));
  }
};

KindShape shape_of_kind(const NodeLayout& layout, std::size_t kind) {
  const std::vector<std::int64_t> all = layout.shape(kind);
  switch (layout.tables()[kind].kind) {
    case NodeKind::neurons:
      return {all, {"layer", "position", "neuron"}, 1};
    case NodeKind::heads:
      return {all, {"layer", "position", "head"}, 1};
    case NodeKind::mlps:
      return {{all[0], all[1]}, {"layer", "position"}, 1};
    case NodeKind::embeddings:
      return {{all[1]}, {"position"}, 0};
    case NodeKind::features:
    case NodeKind::errors:
      break;  // in lists alone
  }
  throw ContractViolation("a kind of nodes outside the enumeration");
}

/// All that a list can name.
std::vector<NodeKind> listed_kinds() {
  std::vector<NodeKind> kinds = all_node_kinds();
  kinds.push_back(NodeKind::errors);
  return kinds;
}

class Importer {
 public:
  Importer(const ScoreFile& file, const NodeLayout& layout, std::string name,
           const std::vector<Dictionary>* dictionaries)
      : file_(file), layout_(layout), name_(std::move(name)), dictionaries_(dictionaries) {
    if (dictionaries_ != nullptr) first_keys_ = first_keys(*dictionaries_, layout_.positions());
  }

  ImportedScores scores() {
    scores_.assign(static_cast<std::size_t>(layout_.nodes()), 0);
    require_model("n_layers", file_.layers, NodeKind::mlps);
    require_model("n_heads", file_.heads, NodeKind::heads);
    if (dictionaries_ != nullptr && !name_.ends_with(".csv")) {
      refuse(name_,
             "has no features, which nodes ask for (those with a score are listed, which a table can do); write "
             "a .csv with the columns kind, layer, position, index, score and maybe dictionary, or leave features "
             "out of nodes");
    } else if (file_.list) {
      take_list();
    } else {
      take_arrays();
    }
    if (!problems_.empty()) throw UserError(problems_);
    ImportedScores imported{std::move(scores_), {}};
    for (const auto& [key, score] : features_) {
      imported.features.keys.push_back(key);
      imported.features.values.push_back(score);
    }
    return imported;
  }

 private:
  void refuse(const std::string& where, const std::string& text) {
    if (problems_.size() < most_problems) problems_.push_back({where, text});
  }

  /// What a circuit says of its model.
  void require_model(const char* what, const std::optional<std::int64_t>& count, NodeKind kind) {
    const std::size_t place = layout_.find(kind);
    if (!count || place == layout_.kinds()) return;
    const NodeTable& table = layout_.tables()[place];
    const std::int64_t here = kind == NodeKind::heads ? table.nodes : table.layers;
    if (*count == here) return;
    refuse(name_, fmt::format("has {} {} where this model has {}; take the scores of this model", what, *count, here));
  }

  [[nodiscard]] std::string kinds_here() const {
    std::vector<std::string> names;
    for (const NodeTable& table : layout_.tables()) {
      if (table.kind != NodeKind::errors) names.push_back(name_of(table.kind));  // they come with features
    }
    return join(names);
  }

  /// A score as it is stored; 0 where it is refused.
  float number_of(double score, const std::string& where, const std::string& node) {
    const auto number = static_cast<float>(score);
    if (std::isfinite(number)) return number;
    refuse(where,
           fmt::format("the score of {} is {} (nothing can be ranked by a number that is not finite in float32); "
                       "give every node a finite score, 0 where there is none",
                       node, score));
    return 0;
  }

  void take_arrays() {
    const auto nameless = file_.arrays.find("");
    if (nameless != file_.arrays.end() && layout_.kinds() > 1) {
      refuse(name_, fmt::format("is one array, and nodes are of several kinds ({}); write .safetensors or .h5, with an "
                                "array of each, or name one kind in nodes",
                                kinds_here()));
      return;
    }
    for (const auto& [kind, array] : file_.arrays) {
      const auto is_it = [&kind = kind](const NodeTable& table) { return name_of(table.kind) == kind; };
      const auto& tables = layout_.tables();
      if (kind.empty() || std::any_of(tables.begin(), tables.end(), is_it)) continue;
      refuse(name_, fmt::format("has scores of {}, and nodes are {}; add {} to nodes (circuit.nodes says which of them "
                                "compete), or remove '{}'",
                                kind, kinds_here(), kind, array.name));
    }
    for (std::size_t kind = 0; kind < layout_.kinds(); ++kind) {
      const std::string noun = name_of(layout_.tables()[kind].kind);
      const auto found = nameless != file_.arrays.end() ? nameless : file_.arrays.find(noun);
      if (found == file_.arrays.end()) {
        refuse(name_,
               fmt::format("has no scores of {}, which nodes ask for; add them, or leave {} out of nodes", noun, noun));
        continue;
      }
      take_array(kind, found->second);
    }
  }

  void take_array(std::size_t kind, const ScoreArray& array) {
    const KindShape shape = shape_of_kind(layout_, kind);
    const std::string noun = name_of(layout_.tables()[kind].kind);
    if (array.shape != shape.extents) {
      refuse(name_, fmt::format("{}has the shape [{}], and {} of this run have {}{}",
                                array.name.empty() ? "" : "'" + array.name + "' ", fmt::join(array.shape, ", "), noun,
                                shape.text(), advice_on(array.shape, shape)));
      return;
    }
    const std::int64_t first = layout_.first(kind);
    std::size_t bad = 0;
    for (std::int64_t i = 0; i < layout_.nodes(kind); ++i) {
      const double score = array.values[static_cast<std::size_t>(i)];
      const bool finite = std::isfinite(static_cast<float>(score));
      if (finite || bad == 0) {
        scores_[static_cast<std::size_t>(first + i)] = number_of(score, name_, text_of(layout_.node(first + i)));
      }
      if (!finite) ++bad;
    }
    if (bad > 1) refuse(name_, fmt::format("so are the scores of {} more {}", bad - 1, noun));
  }

  [[nodiscard]] std::string advice_on(const std::vector<std::int64_t>& given, const KindShape& shape) const {
    std::vector<std::int64_t> other = given;
    if (given.size() == shape.extents.size()) other[shape.position] = shape.extents[shape.position];
    if (other != shape.extents) return "; take the scores of this model and these prompts";
    if (layout_.kept() == Positions::keep && given[shape.position] == 1) {
      return "; take positions: sum for scores of all positions at once";
    }
    if (layout_.kept() == Positions::sum) {
      return "; add the positions up, or take positions: keep and prompts of this length";
    }
    return "; scores of single positions are for prompts of their length alone: take pairs.length, or positions: sum";
  }

  void take_list() {
    std::vector<char> seen(scores_.size(), 0);
    if (file_.list->empty()) refuse(name_, "lists no node; give at least one its score");
    for (const ListedScore& one : *file_.list) {
      const std::optional<Node> node = node_of(one);
      if (!node) continue;
      const float score = number_of(one.score, one.where, text_of(*node));
      bool again = false;
      if (node->kind == NodeKind::features) {
        again = !features_.emplace(key_of(*node), score + 0.0F).second;  // no −0
      } else {
        const auto place = static_cast<std::size_t>(place_of(*node));
        again = std::exchange(seen[place], 1) != 0;
        scores_[place] = score;
      }
      if (again) {
        refuse(one.where, fmt::format("gives {} a score a second time; remove one of the two", text_of(*node)));
      }
    }
  }

  /// Where in the list of nodes.
  [[nodiscard]] std::int64_t place_of(const Node& node) const {
    const std::size_t kind = layout_.find(node.kind);
    const std::int64_t row = node.layer * layout_.positions() + std::max<std::int64_t>(node.position, 0);
    return layout_.first(kind) + row * layout_.tables()[kind].nodes + node.index;
  }

  /// The same of a feature.
  [[nodiscard]] std::int64_t key_of(const Node& node) const {
    const auto dictionary = static_cast<std::size_t>(node.layer);
    const std::int64_t features = (*dictionaries_)[dictionary].features();
    return first_keys_[dictionary] + std::max<std::int64_t>(node.position, 0) * features + node.index;
  }

  /// Nothing where there is no such node.
  std::optional<Node> node_of(const ListedScore& one) {
    const std::vector<NodeKind> kinds = listed_kinds();
    std::vector<std::string> known;
    for (const NodeKind kind : kinds) known.push_back(name_of(kind));
    const auto named = std::find(known.begin(), known.end(), one.kind);
    if (named == known.end()) {
      refuse(one.where, fmt::format("there is no kind of nodes '{}'{}; known ones: {}",
                                    printable(one.kind, LineEnds::escape), did_you_mean(one.kind, known), join(known)));
      return std::nullopt;
    }
    const NodeKind noun = kinds[static_cast<std::size_t>(named - known.begin())];
    const std::size_t kind = layout_.find(noun);
    if (kind == layout_.kinds()) {
      if (one.score != 0) {
        refuse(one.where,
               fmt::format("scores one of the {}, and nodes are {}; add {} to nodes (circuit.nodes says which "
                           "of them compete), or leave it out",
                           one.kind, kinds_here(), noun == NodeKind::errors ? "features" : one.kind));
      }
      return std::nullopt;
    }
    const NodeTable& table = layout_.tables()[kind];
    const bool kept = layout_.kept() == Positions::keep;
    if (!kept && one.position != -1) {
      refuse(one.where, fmt::format("names position {}, and positions are summed; leave it empty, or take positions: "
                                    "keep",
                                    one.position));
      return std::nullopt;
    }
    if (kept && one.position == -1) {
      refuse(one.where, "names no position, and positions are kept; give one, or take positions: sum");
      return std::nullopt;
    }
    const std::optional<std::int64_t> layer = layer_of(one, table);
    if (!layer) return std::nullopt;
    const std::int64_t nodes =
        noun == NodeKind::features ? (*dictionaries_)[static_cast<std::size_t>(*layer)].features() : table.nodes;
    const bool inside = (!kept || is_below(one, "position", one.position, layout_.positions())) &&
                        is_below(one, "index", one.index, nodes);
    if (!inside) return std::nullopt;
    return Node{*layer, one.position, one.index, noun};
  }

  /// Of features and errors their dictionary; nothing where there is none such.
  std::optional<std::int64_t> layer_of(const ListedScore& one, const NodeTable& table) {
    if (of_dictionaries(table.kind)) {
      const ListedDictionary found = dictionary_of(one, *dictionaries_);
      if (found.problem.empty()) return found.place;
      refuse(one.where, found.problem);
      return std::nullopt;
    }
    if (one.dictionary != -1) {
      refuse(one.where,
             fmt::format("names dictionary {}, and {} are of none; leave that cell empty", one.dictionary, one.kind));
      return std::nullopt;
    }
    if (!is_below(one, "layer", one.layer, table.layers)) return std::nullopt;
    return one.layer;
  }

  bool is_below(const ListedScore& one, const char* what, std::int64_t number, std::int64_t count) {
    if (number >= 0 && number < count) return true;
    const bool of_dictionary = dictionaries_ != nullptr && (one.kind == "features" || one.kind == "errors");
    refuse(one.where, fmt::format("there is no {} {} of {} ({} there, counted from 0); take the scores of {}{}", what,
                                  number, one.kind, count == 1 ? "1 is" : fmt::format("{} are", count),
                                  of_dictionary ? "these dictionaries" : "this model",
                                  std::string_view(what) == "position" ? " and these prompts" : ""));
    return false;
  }

  const ScoreFile& file_;
  const NodeLayout& layout_;
  std::string name_;
  const std::vector<Dictionary>* dictionaries_;
  std::vector<std::int64_t> first_keys_;
  std::vector<float> scores_;
  std::map<std::int64_t, float> features_;  // by key
  std::vector<Problem> problems_;
};

template <typename Number>
std::string hash_of_numbers(const std::vector<Number>& numbers) {
  return hash_of({reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)});
}

}  // namespace

ImportedScores imported_scores(const ScoreFile& scores, const NodeLayout& layout, const std::filesystem::path& file,
                               const std::vector<Dictionary>* dictionaries) {
  return Importer(scores, layout, file.string(), dictionaries).scores();
}

std::string hash_of_scores(const ImportedScores& imported) {
  std::string scores = hash_of_numbers(imported.scores);
  const SparseScores& features = imported.features;
  if (features.keys.empty()) return scores;
  return hash_of(scores + hash_of_numbers(features.keys) + hash_of_numbers(features.values));
}

}  // namespace tributary
