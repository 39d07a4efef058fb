// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "attribution/circuit/ranking.h"
#include "runner/report/detail/report_runs.h"

namespace tributary::detail {
namespace {

constexpr std::size_t neurons_of_a_case = 20;
constexpr std::size_t case_candidates = 1000;

using Type = Column::Type;

/// Calls body(run, kind, group) for each run and kind of its nodes whose group of `part` ("/agreement",
/// "/nodes/heads/agreement") has a dataset.
template <typename Body>
void for_each_kind(const Runs& runs, const std::string& part, const std::string& dataset, const Body& body) {
  for (const ReportRun& run : runs) {
    for (const NodeTable& table : run.layout().tables()) {
      const std::string group = stored_group(table.kind, part);
      if (run.find(fmt::format("{}/{}", group, dataset)) != nullptr) body(run, table.kind, group);
    }
  }
}

}  // namespace

Table curve_table(const Runs& runs) {
  Table table{
      .name = "curve",
      .meaning = "Circuits of growing size on held-out pairs, with 95 % bootstrap intervals over unique prompt pairs.",
      .columns = {
          {"run", Type::integer, "1", "run"},
          {"count", Type::integer, "nodes", "nodes in the circuit"},
      }};
  const std::vector<std::string> names = {"faithfulness", "completeness"};
  for (const std::string& name : names) {
    const std::string what = name == "faithfulness" ? "of the behaviour, what the circuit alone carries; ideal 1"
                                                    : "of the behaviour, what is left without it; ideal 0";
    table.columns.push_back({name, Type::number, "fraction", what});
    table.columns.push_back({name + "_low", Type::number, "fraction", "lower end of its interval"});
    table.columns.push_back({name + "_high", Type::number, "fraction", "upper end of its interval"});
  }
  for (const ReportRun& run : runs) {
    if (run.find("/circuit/count") == nullptr) continue;
    const std::vector<std::int64_t>& count = values<std::int64_t>(*run.results, "/circuit/count");
    for (std::size_t i = 0; i < count.size(); ++i) {
      std::vector<Cell> row{run.run, count[i]};
      for (const std::string& name : names) {
        for (const char* const end : {"", "_low", "_high"}) {
          row.emplace_back(values<double>(*run.results, "/circuit/" + name + end).at(i));
        }
      }
      table.add(std::move(row));
    }
  }
  return table;
}

Table agreement_table(const Runs& runs) {
  Table table{
      .name = "agreement",
      .meaning =
          "Agreement of scores with exact patching: estimates for all nodes from a sample of them, of its random ones "
          "alone, and within it; with 95 % bootstrap intervals over unique prompt pairs and sampled neurons.",
      .columns = {
          {"run", Type::integer, "1", "run"},
          {"statistic", Type::text, "", "which one"},
          {"value", Type::number, "1", "its value; 1 is full agreement"},
          {"low", Type::number, "1", "lower end of its interval"},
          {"high", Type::number, "1", "upper end of its interval"},
          {"kind", Type::text, "", "of the nodes"},
      }};
  for_each_kind(runs, "agreement", "statistic", [&](const ReportRun& run, NodeKind kind, const std::string& group) {
    const std::vector<std::string>& names = values<std::string>(*run.results, group + "/statistic");
    for (std::size_t i = 0; i < names.size(); ++i) {
      table.add({run.run, names[i], values<double>(*run.results, group + "/value").at(i),
                 values<double>(*run.results, group + "/value_low").at(i),
                 values<double>(*run.results, group + "/value_high").at(i), name_of(kind)});
    }
  });
  return table;
}

Table exact_table(const Runs& runs) {
  Table table{.name = "exact",
              .meaning = "The sampled nodes: exact patching and the method's score, means over the training pairs.",
              .columns = {
                  {"run", Type::integer, "1", "run"},
                  {"layer", Type::integer, "1", "layer, from 0"},
                  {"position", Type::integer, "1", "position, from 0; −1: all positions"},
                  {"neuron", Type::integer, "1", "index in the layer"},
                  {"stratum", Type::text, "", "why it is in the sample"},
                  {"inclusion", Type::number, "1", "how probable that was"},
                  {"exact", Type::number, "logits", "exact patching: what the score approximates"},
                  {"score", Type::number, "logits", "attribution"},
                  {"dictionary", Type::text, "", "of a feature or an error: its number: where it reads, layer, name"},
                  {"kind", Type::text, "", "of the node"},
              }};
  for_each_kind(runs, "agreement", "exact", [&](const ReportRun& run, NodeKind kind, const std::string& group) {
    const Dataset* exact = run.find(group + "/exact");
    const auto pairs = static_cast<std::size_t>(exact->shape.at(0));
    const auto count = static_cast<std::size_t>(exact->shape.at(1));
    const auto mean = [&](const std::string& path, std::size_t i) {
      double sum = 0;
      for (std::size_t pair = 0; pair < pairs; ++pair) sum += values<float>(*run.results, path).at(pair * count + i);
      return sum / static_cast<double>(pairs);
    };
    const bool probable = run.find(group + "/inclusion") != nullptr;  // earlier versions did not say
    for (std::size_t i = 0; i < count; ++i) {
      const Node node = listed_node(run, group, i);
      const double inclusion = probable ? values<double>(*run.results, group + "/inclusion").at(i)
                                        : std::numeric_limits<double>::quiet_NaN();
      table.add({run.run, node.layer, node.position, node.index,
                 values<std::string>(*run.results, group + "/stratum").at(i), inclusion, mean(group + "/exact", i),
                 mean(group + "/score", i), listed_dictionary(run, group, i), name_of(kind)});
    }
  });
  return table;
}

Table cases_table(const Runs& runs) {
  Table table{
      .name = "cases",
      .meaning =
          "Of the 1000 nodes with the largest mean |score| over the pairs of some case, those whose scores tell the "
          "pairs of one case best from the others.",
      .columns = {
          {"run", Type::integer, "1", "run"},
          {"case", Type::text, "", "label of the pairs"},
          {"pairs", Type::integer, "1", "training pairs of the case"},
          {"other_pairs", Type::integer, "1", "training pairs of the other cases"},
          {"rank", Type::integer, "1", "place by |AUROC − ½|, from 1"},
          {"layer", Type::integer, "1", "layer, from 0"},
          {"position", Type::integer, "1", "position, from 0; −1: all positions"},
          {"neuron", Type::integer, "1", "index in the layer"},
          {"auroc", Type::number, "fraction",
           "how probable it is that its score of a pair of the case is larger than of another pair"},
          {"score", Type::number, "logits", "its mean score over the pairs of the case"},
          {"dictionary", Type::text, "", "of a feature or an error: its number: where it reads, layer, name"},
          {"kind", Type::text, "", "of the node"},
      }};
  for_each_kind(runs, "cases", "auroc", [&](const ReportRun& run, NodeKind kind, const std::string& group) {
    const std::vector<float>& auroc = values<float>(*run.results, group + "/auroc");
    const std::vector<float>& means = values<float>(*run.results, group + "/mean");
    const std::vector<std::string>& labels = values<std::string>(*run.results, "/cases/label");
    const std::vector<std::int64_t>& pairs = values<std::int64_t>(*run.results, "/cases/pairs");
    const std::int64_t all_pairs = std::accumulate(pairs.begin(), pairs.end(), std::int64_t{0});
    const std::size_t place_of_kind = run.layout().find(kind);
    const auto nodes = static_cast<std::size_t>(run.layout().nodes(place_of_kind));
    std::vector<float> largest(nodes, std::nanf(""));  // mean |score| over the pairs of some case
    for (std::size_t i = 0; i < means.size(); ++i)
      largest[i % nodes] = std::fmax(largest[i % nodes], std::abs(means[i]));
    std::vector<std::int64_t> candidates = ranked(largest, Ranking::absolute);
    candidates.resize(std::min(case_candidates, candidates.size()));
    for (std::size_t label = 0; label < labels.size(); ++label) {
      const auto place = [&](std::int64_t node) { return label * nodes + static_cast<std::size_t>(node); };
      std::vector<std::int64_t> order = candidates;
      std::erase_if(order, [&](std::int64_t node) { return std::isnan(auroc.at(place(node))); });
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
        return std::abs(auroc.at(place(a)) - 0.5F) > std::abs(auroc.at(place(b)) - 0.5F);
      });
      for (std::size_t i = 0; i < std::min(neurons_of_a_case, order.size()); ++i) {
        const Node node = run.node(run.layout().first(place_of_kind) + order[i]);
        table.add({run.run, labels[label], pairs.at(label), all_pairs - pairs.at(label),
                   static_cast<std::int64_t>(i) + 1, run.stored->layer_of(node), node.position, node.index,
                   auroc.at(place(order[i])), means.at(place(order[i])), run.dictionary(node), name_of(kind)});
      }
    }
  });
  return table;
}

}  // namespace tributary::detail
