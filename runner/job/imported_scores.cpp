// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/imported_scores.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>

#include "common/errors.h"
#include "common/hash.h"
#include "common/text.h"

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
      break;  // refused in the configuration
  }
  throw ContractViolation("a kind of nodes outside the enumeration");
}

class Importer {
 public:
  Importer(const ScoreFile& file, const NodeLayout& layout, std::string name)
      : file_(file), layout_(layout), name_(std::move(name)) {}

  std::vector<float> scores() {
    scores_.assign(static_cast<std::size_t>(layout_.nodes()), 0);
    require_model("n_layers", file_.layers, NodeKind::mlps);
    require_model("n_heads", file_.heads, NodeKind::heads);
    if (file_.list) {
      take_list();
    } else {
      take_arrays();
    }
    if (!problems_.empty()) throw UserError(problems_);
    return std::move(scores_);
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
    for (const NodeTable& table : layout_.tables()) names.push_back(name_of(table.kind));
    return join(names);
  }

  void put(std::int64_t place, double score, const std::string& where, const std::string& node) {
    const auto number = static_cast<float>(score);
    if (std::isfinite(number)) {
      scores_[static_cast<std::size_t>(place)] = number;
      return;
    }
    refuse(where,
           fmt::format("the score of {} is {} (nothing can be ranked by a number that is not finite in float32); "
                       "give every node a finite score, 0 where there is none",
                       node, score));
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
      if (finite || bad == 0) put(first + i, score, name_, text_of(layout_.node(first + i)));
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
      const std::optional<std::int64_t> place = place_of(one);
      if (!place) continue;
      char& before = seen[static_cast<std::size_t>(*place)];
      const std::string node = text_of(layout_.node(*place));
      if (before != 0) refuse(one.where, fmt::format("gives {} a score a second time; remove one of the two", node));
      before = 1;
      put(*place, one.score, one.where, node);
    }
  }

  /// Where in the list of nodes; nothing where there is no such node.
  std::optional<std::int64_t> place_of(const ListedScore& one) {
    std::vector<std::string> known;
    for (const NodeKind kind : all_node_kinds()) known.push_back(name_of(kind));
    const auto named = std::find(known.begin(), known.end(), one.kind);
    if (named == known.end()) {
      refuse(one.where, fmt::format("there is no kind of nodes '{}'{}; known ones: {}",
                                    printable(one.kind, LineEnds::escape), did_you_mean(one.kind, known), join(known)));
      return std::nullopt;
    }
    const std::size_t kind = layout_.find(all_node_kinds()[static_cast<std::size_t>(named - known.begin())]);
    if (kind == layout_.kinds()) {
      if (one.score != 0) {
        refuse(one.where,
               fmt::format("scores one of the {}, and nodes are {}; add {} to nodes (circuit.nodes says which "
                           "of them compete), or leave it out",
                           one.kind, kinds_here(), one.kind));
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
    const std::int64_t position = kept ? one.position : 0;
    const bool inside = is_below(one, "layer", one.layer, table.layers) &&
                        is_below(one, "position", position, layout_.positions()) &&
                        is_below(one, "index", one.index, table.nodes);
    if (!inside) return std::nullopt;
    return layout_.first(kind) + (one.layer * layout_.positions() + position) * table.nodes + one.index;
  }

  bool is_below(const ListedScore& one, const char* what, std::int64_t number, std::int64_t count) {
    if (number >= 0 && number < count) return true;
    refuse(one.where, fmt::format("there is no {} {} of {} ({} there, counted from 0); take the scores of this model{}",
                                  what, number, one.kind, count == 1 ? "1 is" : fmt::format("{} are", count),
                                  std::string_view(what) == "position" ? " and these prompts" : ""));
    return false;
  }

  const ScoreFile& file_;
  const NodeLayout& layout_;
  std::string name_;
  std::vector<float> scores_;
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<float> imported_scores(const ScoreFile& scores, const NodeLayout& layout,
                                   const std::filesystem::path& file) {
  return Importer(scores, layout, file.string()).scores();
}

std::string hash_of_scores(const std::vector<float>& scores) {
  return hash_of({reinterpret_cast<const char*>(scores.data()), scores.size() * sizeof(float)});
}

}  // namespace tributary
