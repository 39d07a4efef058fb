// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <utility>

#include "attribution/circuit/ranking.h"
#include "runner/report/detail/first_nodes.h"
#include "runner/report/detail/report_runs.h"

namespace tributary::detail {
namespace {

constexpr std::size_t unasked_nodes = 50;  // of files that do not describe their first nodes
constexpr std::size_t compared_nodes = 10;
constexpr std::size_t compared_pairs = 100;

using Type = Column::Type;

constexpr std::size_t all_tokens = 5;

/// Missing where there is none.
template <typename T>
Cell cell_of(const std::optional<T>& value) {
  return value ? Cell(*value) : Cell();
}

}  // namespace

Table top_table(const Runs& runs) {
  Table table{.name = "top",
              .meaning = "The nodes with the largest |score| of each run, and what they do.",
              .columns = {
                  {"run", Type::integer, "1", "run"},
                  {"rank", Type::integer, "1", "place in the run's order of |score|, from 1"},
                  {"layer", Type::integer, "1", "layer, from 0"},
                  {"position", Type::integer, "1", "position, from 0; −1: all positions summed"},
                  {"position_name", Type::text, "", "its name, or the token that all clean prompts have there"},
                  {"neuron", Type::integer, "1", "index in the layer"},
                  {"score", Type::number, "logits", "attribution; positive supports the clean answer"},
                  {"standard_error", Type::number, "logits", "of the score as a mean over training pairs"},
                  {"sign_share", Type::number, "fraction", "training pairs whose own score has its sign"},
                  {"value_change", Type::number, "1", "mean |difference| of the node's value between a pair's prompts"},
                  {"promotes", Type::text, "", "tokens whose logits the node's output raises most, by itself"},
                  {"suppresses", Type::text, "", "tokens whose logits it lowers most"},
                  {"clean_value", Type::number, "1", "value of the node, mean over the clean training prompts"},
                  {"counterfactual_value", Type::number, "1", "value of the node, mean over the counterfactual ones"},
                  {"share", Type::number, "fraction", "of all |score|"},
                  {"dictionary", Type::text, "", "of a feature or an error: its number: where it reads, layer, name"},
                  {"kind", Type::text, "", "of the node: neurons, heads, mlps, embeddings, features, errors"},
              }};
  for (const ReportRun& run : runs) {
    if (!run.has_nodes()) continue;
    const auto of_node = [](const std::vector<float>& all, std::int64_t node) {
      return all.empty() ? Cell() : Cell(all.at(static_cast<std::size_t>(node)));
    };
    const std::vector<float> errors = run.stored->of_all("standard_error");
    const std::vector<float> signs = run.stored->of_all("sign_share");
    const FirstNodes first(*run.results);
    const std::vector<float>& scores = run.scores();
    double all = 0;
    for (const float score : scores) all += std::isnan(score) ? 0.0 : std::abs(static_cast<double>(score));
    const std::vector<std::int64_t> order = ranked(scores, Ranking::absolute);
    for (std::size_t i = 0; i < std::min(first.there() ? first.ranks() : unasked_nodes, order.size()); ++i) {
      const float score = scores[static_cast<std::size_t>(order[i])];
      if (std::isnan(score)) break;
      const Node node = run.node(order[i]);
      table.add({run.run, static_cast<std::int64_t>(i) + 1, run.stored->layer_of(node), node.position,
                 run.position_name(node.position), node.index, score, of_node(errors, order[i]),
                 of_node(signs, order[i]), cell_of(first.mean_change(i)),
                 cell_of(first.tokens("/top/promoted", i, all_tokens)),
                 cell_of(first.tokens("/top/suppressed", i, all_tokens)), cell_of(first.mean(i, 0)),
                 cell_of(first.mean(i, 1)), std::abs(score) / all, run.dictionary(node), name_of(node.kind)});
    }
  }
  return table;
}

Table values_table(const Runs& runs) {
  Table table{.name = "values",
              .meaning = "Values of each run's ten first nodes on single training pairs, at most a hundred.",
              .columns = {
                  {"run", Type::integer, "1", "run"},
                  {"rank", Type::integer, "1", "place in the run's order of |score|, from 1"},
                  {"layer", Type::integer, "1", "layer, from 0"},
                  {"position", Type::integer, "1", "position, from 0; −1: all positions summed"},
                  {"neuron", Type::integer, "1", "index in the layer"},
                  {"pair", Type::integer, "1", "place in /pairs of results.h5"},
                  {"clean", Type::number, "1", "value of the node on the clean prompt"},
                  {"counterfactual", Type::number, "1", "the same on the counterfactual one"},
                  {"dictionary", Type::text, "", "of a feature or an error: its number: where it reads, layer, name"},
                  {"kind", Type::text, "", "of the node"},
              }};
  for (const ReportRun& run : runs) {
    const FirstNodes first(*run.results);
    if (!first.there()) continue;
    const std::vector<std::size_t> pairs = run.pairs_of("train");
    for (std::size_t rank = 0; rank < std::min(compared_nodes, first.ranks()); ++rank) {
      const Node node = listed_node(run, "/top", rank);
      for (std::size_t i = 0; i < std::min({compared_pairs, first.pairs(), pairs.size()}); ++i) {
        table.add({run.run, static_cast<std::int64_t>(rank) + 1, node.layer, node.position, node.index,
                   static_cast<std::int64_t>(pairs[i]), first.value(rank, i, 0), first.value(rank, i, 1),
                   listed_dictionary(run, "/top", rank), name_of(node.kind)});
      }
    }
  }
  return table;
}

}  // namespace tributary::detail
