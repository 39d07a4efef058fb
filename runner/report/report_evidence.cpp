// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "attribution/circuit/agreement.h"
#include "attribution/circuit/ranking.h"
#include "runner/report/detail/report_runs.h"

namespace tributary::detail {
namespace {

constexpr std::size_t shown_tokens = 5;  // a factor
constexpr std::size_t neurons_of_a_case = 20;
constexpr std::size_t case_candidates = 1000;

using Type = Column::Type;

double mean_of_row(const Dataset& table, std::size_t row) {
  const auto pairs = static_cast<std::size_t>(table.shape[1]);
  const auto first = values<float>(table).begin() + static_cast<std::ptrdiff_t>(row * pairs);
  return std::accumulate(first, first + static_cast<std::ptrdiff_t>(pairs), 0.0) / static_cast<double>(pairs);
}

Neuron listed_neuron(const ReportRun& run, const std::string& group, std::size_t i) {
  const auto of = [&](const std::string& name) { return values<std::int64_t>(*run.results, group + "/" + name)[i]; };
  return {of("layer"), of("position"), of("neuron")};
}

}  // namespace

Table curve_table(const Runs& runs) {
  Table table{"curve",
              "Circuits of growing size on held-out pairs, with 95 % bootstrap intervals over unique prompt pairs.",
              {{"run", Type::integer, "1", "run"}, {"count", Type::integer, "nodes", "nodes in the circuit"}},
              {}};
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
          row.emplace_back(values<double>(*run.results, "/circuit/" + name + end)[i]);
        }
      }
      table.add(std::move(row));
    }
  }
  return table;
}

Table agreement_table(const Runs& runs) {
  Table table{"agreement",
              "Agreement of scores with exact patching over a sample of neurons, with 95 % bootstrap intervals over "
              "unique prompt pairs.",
              {
                  {"run", Type::integer, "1", "run"},
                  {"statistic", Type::text, "", "which one"},
                  {"value", Type::number, "1", "its value; 1 is full agreement"},
                  {"low", Type::number, "1", "lower end of its interval"},
                  {"high", Type::number, "1", "upper end of its interval"},
              },
              {}};
  for (const ReportRun& run : runs) {
    if (run.find("/agreement/statistic") == nullptr) continue;
    const std::vector<std::string>& names = values<std::string>(*run.results, "/agreement/statistic");
    for (std::size_t i = 0; i < names.size(); ++i) {
      table.add({run.run, names[i], values<double>(*run.results, "/agreement/value")[i],
                 values<double>(*run.results, "/agreement/value_low")[i],
                 values<double>(*run.results, "/agreement/value_high")[i]});
    }
  }
  return table;
}

Table exact_table(const Runs& runs) {
  Table table{"exact",
              "The sampled neurons: exact patching and the method's score, means over the training pairs.",
              {
                  {"run", Type::integer, "1", "run"},
                  {"layer", Type::integer, "1", "layer, from 0"},
                  {"position", Type::integer, "1", "position, from 0; −1: all positions"},
                  {"neuron", Type::integer, "1", "index in the layer"},
                  {"stratum", Type::text, "", "why it is in the sample"},
                  {"exact", Type::number, "logits", "exact patching: what the score approximates"},
                  {"score", Type::number, "logits", "attribution"},
              },
              {}};
  for (const ReportRun& run : runs) {
    const Dataset* exact = run.find("/agreement/exact");
    if (exact == nullptr) continue;
    const auto pairs = static_cast<std::size_t>(exact->shape[0]);
    const auto count = static_cast<std::size_t>(exact->shape[1]);
    const auto mean = [&](const std::string& path, std::size_t i) {
      double sum = 0;
      for (std::size_t pair = 0; pair < pairs; ++pair) sum += values<float>(*run.results, path)[pair * count + i];
      return sum / static_cast<double>(pairs);
    };
    for (std::size_t i = 0; i < count; ++i) {
      const Neuron neuron = listed_neuron(run, "/agreement", i);
      table.add({run.run, neuron.layer, neuron.position, neuron.index,
                 values<std::string>(*run.results, "/agreement/stratum")[i], mean("/agreement/exact", i),
                 mean("/agreement/score", i)});
    }
  }
  return table;
}

Table steering_table(const Runs& runs) {
  Table table{"steering",
              "Held-out clean prompts with the steered neurons multiplied by a factor, means over pairs.",
              {
                  {"run", Type::integer, "1", "run"},
                  {"factor", Type::number, "1", "what the neurons were multiplied by; 1 changes nothing"},
                  {"metric", Type::number, "logits", "m"},
                  {"metric_low", Type::number, "logits", "lower end of its 95 % bootstrap interval"},
                  {"metric_high", Type::number, "logits", "upper end of its 95 % bootstrap interval"},
                  {"clean_probability", Type::number, "fraction", "probability of y"},
                  {"patch_probability", Type::number, "fraction", "probability of y'"},
                  {"kl", Type::number, "nats", "KL(unsteered, steered) of the next token"},
              },
              {}};
  for (const ReportRun& run : runs) {
    if (run.find("/steering/factor") == nullptr) continue;
    const std::vector<double>& factors = values<double>(*run.results, "/steering/factor");
    for (std::size_t i = 0; i < factors.size(); ++i) {
      const auto mean = [&](const std::string& name) { return mean_of_row(*run.find("/steering/" + name), i); };
      table.add({run.run, factors[i], mean("metric"), values<double>(*run.results, "/steering/metric_low")[i],
                 values<double>(*run.results, "/steering/metric_high")[i], mean("clean_probability"),
                 mean("patch_probability"), mean("divergence")});
    }
  }
  return table;
}

Table steering_tokens_table(const Runs& runs) {
  Table table{"steering_tokens",
              "What the steered model says most often.",
              {
                  {"run", Type::integer, "1", "run"},
                  {"factor", Type::number, "1", "what the neurons were multiplied by"},
                  {"rank", Type::integer, "1", "place by number of pairs, from 1"},
                  {"token", Type::text, "", "a most likely next token"},
                  {"pairs", Type::integer, "1", "held-out pairs in which it is the most likely one"},
                  {"probability", Type::number, "fraction", "its mean probability there"},
              },
              {}};
  for (const ReportRun& run : runs) {
    const Dataset* tokens = run.find("/steering/token");
    if (tokens == nullptr) continue;
    const auto pairs = static_cast<std::size_t>(tokens->shape[1]);
    const auto places = static_cast<std::size_t>(tokens->shape[2]);
    const std::vector<double>& factors = values<double>(*run.results, "/steering/factor");
    for (std::size_t factor = 0; factor < factors.size(); ++factor) {
      std::map<std::string, std::pair<std::int64_t, double>> first;  // token → pairs, sum of probabilities
      for (std::size_t pair = 0; pair < pairs; ++pair) {
        const std::size_t place = (factor * pairs + pair) * places;
        auto& [count, probability] = first[values<std::string>(*tokens)[place]];
        ++count;
        probability += values<float>(*run.results, "/steering/token_probability")[place];
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
  Table table{"steered",
              "The neurons that were steered.",
              {
                  {"run", Type::integer, "1", "run"},
                  {"layer", Type::integer, "1", "layer, from 0"},
                  {"position", Type::integer, "1", "position, from 0; −1: all positions"},
                  {"neuron", Type::integer, "1", "index in the layer"},
              },
              {}};
  for (const ReportRun& run : runs) {
    const Dataset* layers = run.find("/steering/layer");
    if (layers == nullptr) continue;
    for (std::size_t i = 0; i < static_cast<std::size_t>(layers->shape[0]); ++i) {
      const Neuron neuron = listed_neuron(run, "/steering", i);
      table.add({run.run, neuron.layer, neuron.position, neuron.index});
    }
  }
  return table;
}

Table cases_table(const Runs& runs) {
  Table table{
      "cases",
      "Of the 1000 neurons with the largest mean |score| over the pairs of some case, those whose scores tell the "
      "pairs of one case best from the others.",
      {
          {"run", Type::integer, "1", "run"},
          {"case", Type::text, "", "label of the pairs"},
          {"rank", Type::integer, "1", "place by |AUROC − ½|, from 1"},
          {"layer", Type::integer, "1", "layer, from 0"},
          {"position", Type::integer, "1", "position, from 0; −1: all positions"},
          {"neuron", Type::integer, "1", "index in the layer"},
          {"auroc", Type::number, "fraction",
           "how probable it is that its score of a pair of the case is larger than of another pair"},
          {"score", Type::number, "logits", "its mean score over the pairs of the case"},
      },
      {}};
  for (const ReportRun& run : runs) {
    if (run.find("/cases/auroc") == nullptr) continue;
    const std::vector<float>& auroc = values<float>(*run.results, "/cases/auroc");
    const std::vector<float>& means = values<float>(*run.results, "/cases/mean");
    const std::vector<std::string>& labels = values<std::string>(*run.results, "/cases/label");
    const std::size_t nodes = run.scores().size();
    std::vector<float> largest(nodes, std::nanf(""));  // mean |score| over the pairs of some case
    for (std::size_t i = 0; i < means.size(); ++i)
      largest[i % nodes] = std::fmax(largest[i % nodes], std::abs(means[i]));
    std::vector<std::int64_t> candidates = ranked(largest, Ranking::absolute);
    candidates.resize(std::min(case_candidates, candidates.size()));
    for (std::size_t label = 0; label < labels.size(); ++label) {
      const auto at = [&](std::int64_t node) { return label * nodes + static_cast<std::size_t>(node); };
      std::vector<std::int64_t> order = candidates;
      std::erase_if(order, [&](std::int64_t node) { return std::isnan(auroc[at(node)]); });
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
        return std::abs(auroc[at(a)] - 0.5F) > std::abs(auroc[at(b)] - 0.5F);
      });
      for (std::size_t i = 0; i < std::min(neurons_of_a_case, order.size()); ++i) {
        const Neuron neuron = run.neuron(order[i]);
        table.add({run.run, labels[label], static_cast<std::int64_t>(i) + 1, neuron.layer, neuron.position,
                   neuron.index, auroc[at(order[i])], means[at(order[i])]});
      }
    }
  }
  return table;
}

}  // namespace tributary::detail
