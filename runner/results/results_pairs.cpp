// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "runner/results/detail/datasets.h"

namespace tributary::detail {
namespace {

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

void add_pairs(ResultsFile& file, const Job& job) {
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
  file.group_attributes["/pairs"] = {{"train", size_of(job.pairs.train)},
                                     {"test", size_of(job.pairs.test)},
                                     {"skipped", size_of(job.pairs.skipped)},
                                     {"overlapping", job.pairs.overlapping}};
}

}  // namespace tributary::detail
