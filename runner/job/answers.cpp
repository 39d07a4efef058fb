// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/answers.h"

#include "attribution/model/tensors.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "attribution/circuit/performance.h"
#include "runner/job/key_checks.h"
#include "runner/job/prompts.h"

namespace tributary {
namespace {

double as_number(bool holds) { return holds ? 1 : 0; }

std::vector<double> row_of(const at::Tensor& table, std::int64_t i) {
  const at::Tensor row = table.select(0, i).to(at::kDouble);
  return {row[0].item<double>(), row[1].item<double>()};
}

/// By pair: 1 where the model solves it.
std::vector<std::int64_t> solved(const Job& job, const std::vector<TokenPair>& pairs) {
  const Batching calls{};  // the same for every run, whatever memory it has
  std::vector<std::int64_t> found(pairs.size(), 0);
  for (const Bucket& bucket : buckets_of(pairs)) {
    const Prompts prompts = prompts_of(job, pairs, bucket.members);
    const PerformanceUnit unit = measure_performance(*job.exact, prompts, calls);
    for (std::size_t i = 0; i < bucket.members.size(); ++i) {
      const auto pair = static_cast<std::size_t>(bucket.members[i]);
      const auto row = static_cast<std::int64_t>(i);
      const std::vector<double> correct =
          correct_answers(job, pairs[pair], row_of(unit.metric, row), row_of(unit.likeliest, row));
      found[pair] = correct[0] == 1 && correct[1] != 0 ? 1 : 0;  // NaN: nothing to fail at
    }
  }
  return found;
}

/// What the choice depends on besides the checkpoint.
std::string choice_key(const Job& job) {
  return fmt::format("{} {} {} {} {}", job.pairs.hash, static_cast<int>(job.config.metric), job.config.metric_top,
                     job.config.dtype, job.device.str());
}

}  // namespace

std::vector<double> correct_answers(const Job& job, const TokenPair& pair, const std::vector<double>& metric,
                                    const std::vector<double>& likeliest) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  if (sign_tells(job)) return {as_number(metric[0] > 0), std::isnan(metric[1]) ? none : as_number(metric[1] < 0)};
  const auto said = [&likeliest](std::size_t prompt) { return static_cast<std::int64_t>(likeliest[prompt]); };
  const bool has_other = said(1) >= 0 && pair.patch_answer >= 0;
  return {as_number(said(0) == pair.clean_answer), has_other ? as_number(said(1) == pair.patch_answer) : none};
}

void keep_solved_pairs(Job& job, const Settings& settings, LoadedModel& model, const Communicator& comm) {
  std::vector<std::int64_t>& choice = model.choice_of_pairs(choice_key(job));
  if (choice.empty()) {
    std::vector<std::int64_t> found;
    agreed(comm, [&] {
      if (comm.rank() != 0) return;
      found = solved(job, job.pairs.train);
      const std::vector<std::int64_t> test = solved(job, job.pairs.test);
      found.insert(found.end(), test.begin(), test.end());
    });
    comm.broadcast(found);
    choice = std::move(found);
  }
  agreed(comm, [&] {
    const PairSet all = std::exchange(job.pairs, chosen_pairs(job.pairs, choice, unsolved_pair));
    KeyChecks checks(settings);
    checks.refuse_if(
        job.pairs.train.empty(), "pairs.correct_only",
        fmt::format("the model solves none of the {} training pairs, so none is left; take other pairs, or "
                    "another model",
                    all.train.size()));
    checks.refuse_if(job.pairs.test.empty() && !all.test.empty(), "pairs.correct_only",
                     fmt::format("the model solves none of the {} held-out pairs, so none is left to evaluate circuits "
                                 "on; take other pairs, another model, or with pairs.test: 0 scores alone",
                                 all.test.size()));
    checks.finish();
  });
}

}  // namespace tributary
