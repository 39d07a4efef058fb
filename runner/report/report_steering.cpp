// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "runner/report/detail/report_runs.h"

namespace tributary::detail {
namespace {

constexpr std::size_t shown_tokens = 5;  // a factor

using Type = Column::Type;

double mean_of_row(const Dataset& table, std::size_t row) {
  const auto pairs = static_cast<std::size_t>(table.shape.at(1));
  const auto first = values<float>(table).begin() + static_cast<std::ptrdiff_t>(row * pairs);
  return std::accumulate(first, first + static_cast<std::ptrdiff_t>(pairs), 0.0) / static_cast<double>(pairs);
}

}  // namespace

Table steering_table(const Runs& runs) {
  Table table{.name = "steering",
              .meaning = "Held-out clean prompts with the steered nodes multiplied by a factor, means over pairs.",
              .columns = {
                  {"run", Type::integer, "1", "run"},
                  {"factor", Type::number, "1", "what the nodes were multiplied by; 1 changes nothing"},
                  {"metric", Type::number, "logits", "m"},
                  {"metric_low", Type::number, "logits", "lower end of its 95 % bootstrap interval"},
                  {"metric_high", Type::number, "logits", "upper end of its 95 % bootstrap interval"},
                  {"clean_probability", Type::number, "fraction", "probability of y"},
                  {"patch_probability", Type::number, "fraction", "probability of y'"},
                  {"kl", Type::number, "nats", "KL(unsteered, steered) of the next token"},
              }};
  for (const ReportRun& run : runs) {
    if (run.find("/steering/factor") == nullptr) continue;
    const std::vector<double>& factors = values<double>(*run.results, "/steering/factor");
    for (std::size_t i = 0; i < factors.size(); ++i) {
      const auto mean = [&](const std::string& name) {
        return mean_of_row(dataset_of(*run.results, "/steering/" + name), i);
      };
      table.add({run.run, factors[i], mean("metric"), values<double>(*run.results, "/steering/metric_low").at(i),
                 values<double>(*run.results, "/steering/metric_high").at(i), mean("clean_probability"),
                 mean("patch_probability"), mean("divergence")});
    }
  }
  return table;
}

Table steering_tokens_table(const Runs& runs) {
  Table table{.name = "steering_tokens",
              .meaning = "What the steered model says most often.",
              .columns = {
                  {"run", Type::integer, "1", "run"},
                  {"factor", Type::number, "1", "what the nodes were multiplied by"},
                  {"rank", Type::integer, "1", "place by number of pairs, from 1"},
                  {"token", Type::text, "", "a most likely next token"},
                  {"pairs", Type::integer, "1", "held-out pairs in which it is the most likely one"},
                  {"probability", Type::number, "fraction", "its mean probability there"},
              }};
  for (const ReportRun& run : runs) {
    const Dataset* tokens = run.find("/steering/token");
    if (tokens == nullptr) continue;
    const auto pairs = static_cast<std::size_t>(tokens->shape.at(1));
    const auto places = static_cast<std::size_t>(tokens->shape.at(2));
    const std::vector<double>& factors = values<double>(*run.results, "/steering/factor");
    for (std::size_t factor = 0; factor < factors.size(); ++factor) {
      std::map<std::string, std::pair<std::int64_t, double>> first;  // token → pairs, sum of probabilities
      for (std::size_t pair = 0; pair < pairs; ++pair) {
        const std::size_t place = (factor * pairs + pair) * places;
        auto& [count, probability] = first[values<std::string>(*tokens).at(place)];
        ++count;
        probability += values<float>(*run.results, "/steering/token_probability").at(place);
      }
      std::vector<std::pair<std::string, std::pair<std::int64_t, double>>> order(first.begin(), first.end());
      std::stable_sort(order.begin(), order.end(),
                       [](const auto& a, const auto& b) { return a.second.first > b.second.first; });
      for (std::size_t i = 0; i < std::min(shown_tokens, order.size()); ++i) {
        const auto& [count, probability] = order[i].second;
        table.add({run.run, factors[factor], static_cast<std::int64_t>(i) + 1, order[i].first, count,
                   probability / static_cast<double>(count)});
      }
    }
  }
  return table;
}

Table steered_table(const Runs& runs) {
  Table table{.name = "steered",
              .meaning = "The nodes that were steered.",
              .columns = {
                  {"run", Type::integer, "1", "run"},
                  {"layer", Type::integer, "1", "layer, from 0"},
                  {"position", Type::integer, "1", "position, from 0; −1: all positions"},
                  {"neuron", Type::integer, "1", "index in the layer"},
                  {"dictionary", Type::text, "", "of a feature or an error: its number: where it reads, layer, name"},
                  {"kind", Type::text, "", "of the node"},
              }};
  for (const ReportRun& run : runs) {
    const Dataset* layers = run.find("/steering/layer");
    if (layers == nullptr) continue;
    for (std::size_t i = 0; i < static_cast<std::size_t>(layers->shape.at(0)); ++i) {
      const Node node = listed_node(run, "/steering", i);
      table.add(
          {run.run, node.layer, node.position, node.index, listed_dictionary(run, "/steering", i), name_of(node.kind)});
    }
  }
  return table;
}

}  // namespace tributary::detail
