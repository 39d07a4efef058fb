// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "common/text.h"
#include "runner/report/detail/performance.h"
#include "runner/report/detail/report_runs.h"

namespace tributary::detail {
namespace {

using Type = Column::Type;

/// Files of pairs, "agreement_train.jsonl, agreement_test.jsonl", as one short name: what their stems begin with alike,
/// or the first stem.
std::string data_name(const ReportRun& run) {
  const auto files = attribute<std::string>(*run.results, "/provenance", "pairs");
  const std::size_t comma = files.find(", ");
  const auto stem = [](const std::string& file) { return file.substr(0, file.rfind('.')); };
  std::string first = stem(files.substr(0, comma));
  if (comma == std::string::npos) return first;
  const std::string second = stem(files.substr(comma + 2));
  const auto differ = std::mismatch(first.begin(), first.end(), second.begin(), second.end()).first;
  const std::string common(first.begin(), differ);
  const std::size_t word = common.find_last_of("_-. ");  // whole words: not the t of train and test
  return word == std::string::npos || word == 0 ? first : common.substr(0, word);
}

/// The first run of every data set.
std::vector<const ReportRun*> first_of_data(const Runs& runs) {
  std::vector<const ReportRun*> first;
  for (const ReportRun& run : runs) {
    if (run.data == std::ssize(first)) first.push_back(&run);
  }
  return first;
}

/// A run of the same data set that scores neurons, where there is one.
const ReportRun& with_nodes(const Runs& runs, const ReportRun& one) {
  const auto found = std::find_if(runs.begin(), runs.end(),
                                  [&one](const ReportRun& run) { return run.data == one.data && run.has_nodes(); });
  return found == runs.end() ? one : *found;
}

double training_metric(const ReportRun& run, std::size_t column) {
  const std::vector<float>& metric = values<float>(*run.results, "/attribution/metric");
  double sum = 0;
  for (std::size_t i = column; i < metric.size(); i += 2) sum += metric[i];
  return 2 * sum / static_cast<double>(metric.size());
}

std::string text_of(const Attribute& attribute) {
  return std::visit(
      [](const auto& value) -> std::string {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return value;
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          return join(value);
        } else if constexpr (std::is_arithmetic_v<T>) {
          return fmt::format("{}", value);
        } else {
          return fmt::format("{}", fmt::join(value, ", "));
        }
      },
      attribute);
}

}  // namespace

Table data_table(const Runs& runs) {
  Table table{.name = "data",
              .meaning = "What runs were made on: runs of one data set can be compared.",
              .columns = {
                  {"data", Type::integer, "1", "number of the data set"},
                  {"name", Type::text, "", "what it is called here"},
                  {"model", Type::text, "", "the checkpoint's folder"},
                  {"dtype", Type::text, "", "number type of the network"},
                  {"metric", Type::text, "", "m"},
                  {"answer", Type::text, "",
                   "what of an answer is compared: whole (one token), its first-token, or that of its text alone"},
                  {"train", Type::integer, "1", "training pairs"},
                  {"test", Type::integer, "1", "held-out pairs"},
                  {"skipped", Type::integer, "1", "pairs that could not be used"},
                  {"overlapping", Type::integer, "1", "held-out pairs whose two prompts are those of a training pair"},
                  {"test_prompts", Type::integer, "1", "different prompts of the held-out pairs"},
                  {"shared_prompts", Type::integer, "1", "those of them that are prompts of some training pair"},
                  {"nodes", Type::integer, "1", "the same of its first run that scores nodes"},
                  {"clean_metric", Type::number, "logits", "mean m of the clean training prompts"},
                  {"counterfactual_metric", Type::number, "logits", "mean m of the counterfactual ones"},
                  {"test_metric", Type::number, "logits",
                   "mean m of the clean held-out prompts: F(M), but for bfloat16 in float32"},
                  {"counterfactual_test_metric", Type::number, "logits", "mean m of the counterfactual ones"},
                  {"accuracy", Type::number, "fraction", "clean training prompts that the model answers rightly"},
                  {"counterfactual_accuracy", Type::number, "fraction", "counterfactual ones, with their own answer"},
                  {"test_accuracy", Type::number, "fraction", "the same of the clean held-out prompts"},
                  {"counterfactual_test_accuracy", Type::number, "fraction", "and of the counterfactual ones"},
              }};
  const std::vector<const ReportRun*> all = first_of_data(runs);
  std::vector<std::string> names, models, metrics, sizes, numbers;
  for (const ReportRun* run : all) {
    names.push_back(data_name(*run));
    models.push_back(attribute<std::string>(*run->results, "/provenance", "model") + " " +
                     attribute<std::string>(*run->results, "/provenance", "dtype"));
    metrics.push_back(run->metric() + ", positions " + run->attribution("positions"));
    sizes.push_back(fmt::format("{} training, {} held out", attribute<std::int64_t>(*run->results, "/pairs", "train"),
                                attribute<std::int64_t>(*run->results, "/pairs", "test")));
    numbers.push_back(std::to_string(run->data));
  }
  for (const auto* more : {&models, &metrics, &sizes, &numbers}) tell_apart(names, *more);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const ReportRun& run = *all[i];
    const auto count = [&](const std::string& name) { return attribute<std::int64_t>(*run.results, "/pairs", name); };
    const auto text = [&](const std::string& name) {
      return attribute<std::string>(*run.results, "/provenance", name);
    };
    const auto known = [&](const std::string& name) {
      const auto* found = find_attribute<std::int64_t>(*run.results, "/pairs", name);
      return found == nullptr ? Cell() : Cell(*found);
    };
    const auto* answer = find_attribute<std::string>(*run.results, "/pairs", "answer");
    table.add({run.data,
               names[i],
               text("model"),
               text("dtype"),
               run.metric(),
               answer == nullptr ? Cell() : Cell(*answer),
               count("train"),
               count("test"),
               count("skipped"),
               count("overlapping"),
               known("test_prompts"),
               known("shared_prompts"),
               with_nodes(runs, run).nodes(),
               training_metric(run, 0),
               training_metric(run, 1),
               mean_metric(*run.results, "test", Role::clean),
               mean_metric(*run.results, "test", Role::counterfactual),
               accuracy(*run.results, "train", Role::clean),
               accuracy(*run.results, "train", Role::counterfactual),
               accuracy(*run.results, "test", Role::clean),
               accuracy(*run.results, "test", Role::counterfactual)});
  }
  return table;
}

Table pairs_table(const Runs& runs) {
  const std::vector<std::string> texts = {"clean_prefix", "patch_prefix", "clean_answer", "patch_answer"};
  Table table{.name = "pairs",
              .meaning = "The prompt pairs.",
              .columns = {
                  {"data", Type::integer, "1", "data set"},
                  {"pair", Type::integer, "1", "place in /pairs of results.h5"},
                  {"split", Type::text, "", "train (attribution) or test (held out: circuits, steering)"},
                  {"case", Type::text, "", "label of the pair"},
                  {"clean_prefix", Type::text, "", "clean prompt"},
                  {"patch_prefix", Type::text, "", "counterfactual prompt"},
                  {"clean_answer", Type::text, "", "y"},
                  {"patch_answer", Type::text, "", "y'"},
              }};
  for (const ReportRun* run : first_of_data(runs)) {
    const std::vector<std::string>& splits = values<std::string>(*run->results, "/pairs/split");
    for (std::size_t i = 0; i < splits.size(); ++i) {
      std::vector<Cell> row{run->data, static_cast<std::int64_t>(i), splits[i],
                            values<std::string>(*run->results, "/pairs/case").at(i)};
      for (const std::string& text : texts)
        row.emplace_back(values<std::string>(*run->results, "/pairs/" + text).at(i));
      table.add(std::move(row));
    }
  }
  return table;
}

Table tokens_table(const Runs& runs) {
  Table table{.name = "tokens",
              .meaning = "The positions, with names: those of the run, or the tokens that all prompts have there.",
              .columns = {
                  {"data", Type::integer, "1", "data set"},
                  {"position", Type::integer, "1", "position, from 0"},
                  {"position_name", Type::text, "", "its name, or the token that all clean prompts have there"},
                  {"token", Type::text, "", "of all clean prompts"},
                  {"counterfactual_token", Type::text, "", "of all counterfactual ones"},
              }};
  for (const ReportRun* run : first_of_data(runs)) {
    if (!run->keeps_positions()) continue;
    const Dataset& ids = dataset_of(*run->results, "/pairs/clean_ids");  // [pair, token]
    for (std::int64_t position = 0; position < ids.shape.at(1); ++position) {
      const auto place = static_cast<std::size_t>(position);
      if (values<std::int64_t>(ids).at(place) < 0) break;
      table.add({run->data, position, run->position_name(position), run->shared_token("/pairs/clean_tokens", position),
                 run->shared_token("/pairs/counterfactual_tokens", position)});
    }
  }
  return table;
}

Table provenance_table(const Runs& runs) {
  Table table{.name = "provenance",
              .meaning = "How each run came about: /provenance of its results.h5.",
              .columns = {
                  {"run", Type::integer, "1", "run"},
                  {"key", Type::text, "", "what"},
                  {"value", Type::text, "", "its value, as text"},
              }};
  for (const ReportRun& run : runs) {
    for (const auto& [key, value] : run.results->group_attributes.at("/provenance")) {
      table.add({run.run, key, text_of(value)});
    }
  }
  return table;
}

}  // namespace tributary::detail
