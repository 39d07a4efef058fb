// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Results of other kinds of nodes than neurons: what /attribution, /agreement and /cases hold of neurons, under
// /nodes/<kind> and with that kind's axes.
#include <algorithm>
#include <map>
#include <string>

#include "attribution/nodes/node.h"
#include "runner/results/detail/schema_rows.h"

namespace tributary::detail {
namespace {

/// What sets a kind apart in the table.
struct KindWords {
  NodeKind kind;
  std::vector<std::string> axes;  //!< of its nodes
  const char* scores;             //!< what they are scores of
};

const std::vector<KindWords>& kind_words() {
  static const std::vector<KindWords> words = {
      {NodeKind::heads,
       {"layer", "position", "head"},
       "attribution of each attention head (its slice of the input of the output projection)"},
      {NodeKind::mlps, {"layer", "position"}, "attribution of each MLP's output"},
      {NodeKind::embeddings, {"position"}, "attribution of each token's embedding"},
      {NodeKind::errors,
       {"dictionary", "position"},
       "attribution of what each dictionary's features do not explain: true minus reconstructed"},
      {NodeKind::features, {}, ""},  // but for the comparison with exact patching they have rows of their own
  };
  return words;
}

const std::vector<std::string> neuron_axes = {"layer", "position", "neuron"};

/// The group of a kind that corresponds to one of neurons.
std::string group_for(const KindWords& words, const std::string& group) {
  const std::string own = "/nodes/" + name_of(words.kind);
  return group == "/attribution" ? own : own + group;
}

/// [..., layer, position, neuron] with the kind's own axes in their place; other axes stay.
std::vector<std::string> axes_for(const KindWords& words, std::vector<std::string> axes) {
  const auto place = std::search(axes.begin(), axes.end(), neuron_axes.begin(), neuron_axes.end());
  if (place == axes.end()) {
    if (words.kind == NodeKind::errors)
      std::replace(axes.begin(), axes.end(), std::string("layer"), std::string("dictionary"));
    return axes;
  }
  const auto rest = axes.erase(place, axes.end());
  axes.insert(rest, words.axes.begin(), words.axes.end());
  return axes;
}

std::string when_for(const KindWords& words, const std::string& when) {
  if (words.kind == NodeKind::features) return when + ", and some feature has a score";
  std::string kind = "`nodes` have " + name_of(words.kind == NodeKind::errors ? NodeKind::features : words.kind);
  if (when == when::scored_neurons || when == always) return kind;
  return (when == when::cases_of_neurons ? when::cases : when) + ", and " + kind;
}

/// What is said of neurons, said of nodes.
std::string of_nodes(std::string text) {
  const std::string neuron = "neuron";
  for (std::size_t at = text.find(neuron); at != std::string::npos; at = text.find(neuron)) {
    text.replace(at, neuron.size(), "node");
  }
  return text;
}

/// Rows that tell of the run, or are there once for all kinds.
bool is_of_run(const std::string& path) {
  static const std::vector<std::string> paths = {"/attribution/metric", "/attribution/inputs", "/attribution/passes",
                                                 "/cases/label", "/cases/pairs"};
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

/// Whether a kind has what neurons have in a group, by the name of its dataset.
bool has(const KindWords& words, const std::string& group, const std::string& name) {
  if (group == "/agreement") return true;
  if (words.kind == NodeKind::features) return false;
  if (words.kind != NodeKind::errors) return true;
  return group == "/cases" || (group == "/attribution" && name != "/audit");
}

std::string group_in(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

namespace {

/// Features are a list: of the widths that dictionaries have few are ever anything but zero.
std::vector<DatasetRow> feature_rows() {
  const char* const there = "`nodes` have features";
  const std::string spread = std::string(when::spread) + ", and " + there;
  const std::string kept = std::string("attribution.keep, and ") + there + ", but for method random";
  const std::string cases = std::string(when::cases) + ", and " + there + ", but for method random";
  const auto whole_number = [&](const char* name, const char* meaning) {
    return DatasetRow{.path = std::string("/nodes/features/") + name,
                      .axes = {"entry"},
                      .type = ValueType::int64,
                      .units = "1",
                      .long_name = meaning,
                      .when = there};
  };
  const auto kept_number = [&](const char* name, const char* meaning) {
    return DatasetRow{.path = std::string("/nodes/features/") + name,
                      .axes = {"kept"},
                      .type = ValueType::int64,
                      .units = "1",
                      .long_name = meaning,
                      .when = kept};
  };
  return {
      whole_number("dictionary", "number of the feature's dictionary"),
      whole_number("layer", "layer that the dictionary reads"),
      whole_number("position", "position of the feature, −1: at all of them"),
      whole_number("feature", "its index in the dictionary"),
      {.path = "/nodes/features/score",
       .axes = {"entry"},
       .units = "logits",
       .long_name =
           "attribution of each feature that is not zero on some training prompt, mean over training pairs; by "
           "dictionary, position and feature",
       .when = there},
      {.path = "/nodes/features/standard_error",
       .axes = {"entry"},
       .units = "logits",
       .long_name = "standard error of each score as a mean over training pairs; NaN for a single pair",
       .when = spread},
      {.path = "/nodes/features/sign_share",
       .axes = {"entry"},
       .units = "fraction",
       .long_name = "share of the training pairs whose own score has the sign of the mean",
       .when = spread},
      kept_number("kept_pair", "row of /pairs of a kept score; pair after pair"),
      kept_number("kept_entry", "the feature's place in the list of entries"),
      {.path = "/nodes/features/kept_score",
       .axes = {"kept"},
       .units = "logits",
       .long_name = "scores of single training pairs: of the features that change on the pair (all others score 0), or "
                    "the K largest of them",
       .when = kept},
      {.path = "/nodes/features/cases/auroc",
       .axes = {"case", "entry"},
       .units = "fraction",
       .long_name = "probability that the feature's score of a pair of this case is larger than of any other pair, "
                    "ties counting half; NaN where no pair kept its score",
       .when = cases},
      {.path = "/nodes/features/cases/mean",
       .axes = {"case", "entry"},
       .units = "logits",
       .long_name = "mean score over the pairs of this case",
       .when = cases},
  };
}

}  // namespace

std::vector<DatasetRow> node_rows() {
  std::vector<DatasetRow> rows = feature_rows();
  std::vector<DatasetRow> of_neurons = attribution_rows();
  for (DatasetRow& row : agreement_rows()) of_neurons.push_back(std::move(row));
  for (const KindWords& words : kind_words()) {
    for (DatasetRow row : of_neurons) {
      if (is_of_run(row.path)) continue;
      std::string name = row.path.substr(row.path.rfind('/'));
      if (!has(words, group_in(row.path), name)) continue;
      if (name == "/neuron") name = "/index";
      row.long_name = of_nodes(row.long_name);
      const bool of_dictionary = of_dictionaries(words.kind);
      if (of_dictionary && name == "/layer") row.long_name = "layer that the node's dictionary reads";
      if (name == "/scores") row.long_name = std::string(words.scores) + ", mean over training pairs";
      row.path = group_for(words, group_in(row.path)) + name;
      row.axes = axes_for(words, row.axes);
      row.when = when_for(words, row.when);
      rows.push_back(row);
      if (!of_dictionary || name != "/layer") continue;
      row.path = row.path.substr(0, row.path.rfind('/')) + "/dictionary";
      row.long_name = "number of the node's dictionary";
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

std::vector<AttributeRow> node_attribute_rows() {
  const std::map<std::string, std::vector<std::string>> per_kind = {
      {"/attribution", {"pilot_rules", "pilot_ratio", "unconverged", "tolerance"}},
      {"/agreement", {"population", "first_position"}}};
  std::vector<AttributeRow> rows;
  for (const KindWords& words : kind_words()) {
    for (AttributeRow row : attribute_rows()) {
      const auto names = per_kind.find(row.owner);
      if (names == per_kind.end() || !has(words, row.owner, "/" + row.name)) continue;
      if (words.kind == NodeKind::errors && row.name.starts_with("pilot")) continue;
      if (std::find(names->second.begin(), names->second.end(), row.name) == names->second.end()) continue;
      row.owner = group_for(words, row.owner);
      row.when = when_for(words, row.when);
      rows.push_back(std::move(row));
    }
  }
  rows.push_back({.owner = "/nodes/features",
                  .name = "dictionaries",
                  .type = AttributeType::texts,
                  .meaning = "features: hook, layer and name of each, in the order of `dictionary`",
                  .when = "`nodes` have features",
                  .need = Need::optional});
  rows.push_back({.owner = "/nodes/mlps",
                  .name = "side",
                  .meaning = "mlps.side: what an MLP's output is",
                  .when = when_for(kind_words()[1], always),
                  .need = Need::optional});
  rows.push_back({.owner = "/nodes/heads",
                  .name = "d_model",
                  .type = AttributeType::integer,
                  .meaning = "width of the model's residual stream",
                  .when = when_for(kind_words()[0], always),
                  .need = Need::optional});
  rows.push_back({.owner = "/nodes/heads",
                  .name = "parallel",
                  .type = AttributeType::integer,
                  .meaning =
                      "1: attention and MLP of a layer read the same stream; 0: the MLP reads what attention has "
                      "written too",
                  .when = when_for(kind_words()[0], always),
                  .need = Need::optional});
  return rows;
}

std::vector<AxisRow> node_axis_rows() {
  std::vector<AxisRow> rows = {
      {.group = "/nodes/features", .name = "entry", .meaning = "feature with a score"},
      {.group = "/nodes/features", .name = "kept", .meaning = "score of a single pair"},
      {.group = "/nodes/features/cases", .name = "case", .meaning = "case, in order of the labels"},
      {.group = "/nodes/features/cases",
       .name = "entry",
       .meaning = "feature with a score",
       .as_in = "/nodes/features"},
  };
  for (const KindWords& words : kind_words()) {
    const std::string kind = name_of(words.kind);
    for (AxisRow row : axis_rows()) {
      if (row.group != "/attribution" && row.group != "/agreement" && row.group != "/cases") continue;
      if (!has(words, row.group, "/" + row.name)) continue;
      if (row.group == "/attribution" && (row.name == "run" || row.name == "token")) continue;
      if (row.name == "neuron") {
        if (words.kind != NodeKind::heads) continue;
        row.name = "head";
        row.meaning = "attention head of the layer";
      }
      if (row.name == "layer" && words.kind == NodeKind::errors) {
        row.name = "dictionary";
        row.meaning = "dictionary of features, as in /nodes/features";
      } else if (row.name == "layer") {
        row.meaning = words.kind == NodeKind::embeddings ? "embeddings have 1" : "layer of the model";
        if (row.group == "/cases" && words.kind == NodeKind::embeddings) continue;
      }
      if (row.name == "sample") row.meaning = "node of the sample";
      if (!row.as_in.empty()) row.as_in = group_for(words, row.as_in);
      row.group = group_for(words, row.group);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace tributary::detail
