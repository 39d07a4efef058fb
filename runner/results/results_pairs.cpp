// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "runner/results/detail/datasets.h"

namespace tributary::detail {
namespace {

/// As the key has it.
std::string text_of_answer(Answer answer) {
  switch (answer) {
    case Answer::whole:
      return "whole";
    case Answer::first_token:
      return "first-token";
    case Answer::alone:
      return "alone";
  }
  return "";
}

/// A pair with the split that it belongs to.
struct SplitPair {
  const TokenPair* pair;
  std::string split;
};

/// Adds one dataset after the other to /pairs, each with one value, or one row of tokens, a pair.
class PairWriter {
 public:
  PairWriter(ResultsFile& file, const Job& job) : file_(file), job_(job) {
    for (const TokenPair& pair : job.pairs.train) pairs_.push_back({&pair, "train"});
    for (const TokenPair& pair : job.pairs.test) pairs_.push_back({&pair, "test"});
    for (const SplitPair& one : pairs_) longest_ = std::max(longest_, one.pair->length());
  }

  void splits() {
    Strings values;
    for (const SplitPair& one : pairs_) values.push_back(one.split);
    file_.datasets.push_back(list("/pairs/split", std::move(values)));
  }

  void texts(const std::string& name, const std::function<std::string(const PromptPair&)>& text_of) {
    Strings values;
    for (const SplitPair& one : pairs_) values.push_back(text_of(one.pair->text));
    file_.datasets.push_back(list("/pairs/" + name, std::move(values)));
  }

  void answer_ids(const std::string& name, std::int64_t TokenPair::*id) {
    std::vector<std::int64_t> values;
    for (const SplitPair& one : pairs_) values.push_back(one.pair->*id);
    file_.datasets.push_back(list("/pairs/" + name, std::move(values)));
  }

  /// −1 beyond a prompt's end.
  void token_ids(const std::string& name, std::vector<std::int64_t> TokenPair::*ids) {
    std::vector<std::int64_t> values;
    for (const SplitPair& one : pairs_) {
      const std::vector<std::int64_t>& row = one.pair->*ids;
      values.insert(values.end(), row.begin(), row.end());
      values.resize(values.size() + static_cast<std::size_t>(longest_ - size_of(row)), -1);
    }
    file_.datasets.push_back(dataset("/pairs/" + name, {size_of(pairs_), longest_}, std::move(values)));
  }

  /// Nothing beyond a prompt's end.
  void token_texts(const std::string& name, std::vector<std::int64_t> TokenPair::*ids) {
    Strings values;
    for (const SplitPair& one : pairs_) {
      const std::vector<std::int64_t>& row = one.pair->*ids;
      for (const std::int64_t id : row) values.push_back(job_.token_text(id));
      values.resize(values.size() + static_cast<std::size_t>(longest_ - size_of(row)));
    }
    file_.datasets.push_back(dataset("/pairs/" + name, {size_of(pairs_), longest_}, std::move(values)));
  }

 private:
  ResultsFile& file_;
  const Job& job_;
  std::vector<SplitPair> pairs_;
  std::int64_t longest_ = 0;
};

}  // namespace

namespace {

/// Means of a table's columns over some of its rows, NaN where a column says nothing.
std::vector<double> column_means(const PairTable& table, std::int64_t first, std::int64_t count) {
  std::vector<double> means;
  for (std::size_t column = 0; column < 2; ++column) {
    double sum = 0;
    for (std::int64_t i = first; i < first + count; ++i) sum += table.rows[static_cast<std::size_t>(i)][column];
    means.push_back(sum / static_cast<double>(count));
  }
  return means;
}

/// What the model says of each pair, and how often it is right.
void add_performance(ResultsFile& file, const Job& job, const PerformanceOutcome& performance) {
  std::vector<std::int64_t> clean, counterfactual;
  for (const std::vector<double>& row : performance.correct.rows) {
    clean.push_back(static_cast<std::int64_t>(row[0]));
    counterfactual.push_back(std::isnan(row[1]) ? -1 : static_cast<std::int64_t>(row[1]));
  }
  file.datasets.push_back(list("/pairs/correct", std::move(clean)));
  file.datasets.push_back(list("/pairs/correct_counterfactual", std::move(counterfactual)));
  file.datasets.push_back(table("/pairs/metric", performance.metric.rows));
  for (const auto& [name, column] : {std::pair{"likeliest_id", 0}, std::pair{"likeliest_counterfactual_id", 1}}) {
    std::vector<std::int64_t> ids;
    for (const std::vector<double>& row : performance.likeliest.rows) {
      ids.push_back(static_cast<std::int64_t>(row[static_cast<std::size_t>(column)]));
    }
    file.datasets.push_back(list(std::string("/pairs/") + name, std::move(ids)));
  }
  auto& attributes = file.group_attributes["/pairs"];
  const std::int64_t train = size_of(job.pairs.train);
  attributes["accuracy_train"] = column_means(performance.correct, 0, train);
  attributes["metric_train"] = column_means(performance.metric, 0, train);
  if (job.pairs.test.empty()) return;
  attributes["accuracy_test"] = column_means(performance.correct, train, size_of(job.pairs.test));
  attributes["metric_test"] = column_means(performance.metric, train, size_of(job.pairs.test));
  PairTable said;  // 1: the right answer is what the model says, of all tokens
  for (std::size_t i = 0; i < job.pairs.test.size(); ++i) {
    const std::vector<double>& likeliest = performance.likeliest.rows[static_cast<std::size_t>(train) + i];
    const TokenPair& pair = job.pairs.test[i];
    const auto says = [&likeliest](std::size_t prompt, std::int64_t answer) {
      return static_cast<std::int64_t>(likeliest[prompt]) == answer ? 1.0 : 0.0;
    };
    constexpr double none = std::numeric_limits<double>::quiet_NaN();
    said.rows.push_back(
        {says(0, pair.clean_answer), likeliest[1] < 0 || pair.patch_answer < 0 ? none : says(1, pair.patch_answer)});
  }
  attributes["said_test"] = column_means(said, 0, size_of(job.pairs.test));
}

}  // namespace

void add_pairs(ResultsFile& file, const Job& job, const PerformanceOutcome& performance) {
  PairWriter writer(file, job);
  writer.splits();
  writer.texts("clean_prefix", [](const PromptPair& text) { return text.clean_prefix; });
  writer.texts("patch_prefix", [](const PromptPair& text) { return text.patch_prefix.value_or(""); });
  writer.texts("clean_answer", [](const PromptPair& text) { return text.clean_answer; });
  writer.texts("patch_answer", [](const PromptPair& text) { return text.patch_answer.value_or(""); });
  writer.texts("case", [](const PromptPair& text) { return text.case_label; });
  writer.token_ids("clean_ids", &TokenPair::clean);
  writer.token_ids("counterfactual_ids", &TokenPair::counterfactual);
  writer.token_texts("clean_tokens", &TokenPair::clean);
  writer.token_texts("counterfactual_tokens", &TokenPair::counterfactual);
  writer.answer_ids("clean_answer_id", &TokenPair::clean_answer);
  writer.answer_ids("patch_answer_id", &TokenPair::patch_answer);

  Strings skipped;
  for (const SkippedPair& pair : job.pairs.skipped) {
    skipped.push_back(std::filesystem::path(pair.file).filename().string() + ":" + std::to_string(pair.line) + ": " +
                      pair.reason);
  }
  file.datasets.push_back(list("/pairs/skipped", std::move(skipped)));
  file.group_attributes["/pairs"] = {{"answer", text_of_answer(job.config.pairs.answer)},
                                     {"train", size_of(job.pairs.train)},
                                     {"test", size_of(job.pairs.test)},
                                     {"skipped", size_of(job.pairs.skipped)},
                                     {"overlapping", job.pairs.overlapping},
                                     {"test_prompts", job.pairs.test_prompts},
                                     {"shared_prompts", job.pairs.shared_prompts}};
  if (!job.config.positions_names.empty()) {
    file.group_attributes["/pairs"]["positions_names"] = job.config.positions_names;
  }
  add_performance(file, job, performance);
}

}  // namespace tributary::detail
