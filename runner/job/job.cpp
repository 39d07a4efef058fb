// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/job.h"

#include <algorithm>

namespace tributary {

std::int64_t Job::scored_nodes() const {
  if (!config.method.has_neurons()) return 0;
  return config.method.score == ScoreKind::exact ? config.sample : nodes();
}

std::int64_t Job::gap_pairs() const {
  const auto all = static_cast<std::int64_t>(pairs.train.size());
  return std::min(all, config.gap_pairs.value_or(std::clamp<std::int64_t>(all / 20, 1, 2)));
}

bool Job::has_circuit() const { return !pairs.test.empty() && config.method.has_neurons(); }

std::string Job::token_text(std::int64_t id) const {
  std::string text;
  for (const char c : tokenizer->text_of(id)) text += c == '\0' ? std::string("\xE2\x90\x80") : std::string(1, c);
  return text;
}

bool Job::has_steering() const {
  const bool any = !config.steering.neurons.empty() || config.method.has_neurons();
  return !config.steering.factors.empty() && any;
}

bool Job::has_agreement() const {
  return config.agreement.sample > 0 && config.method.has_neurons() && config.method.score != ScoreKind::exact;
}

}  // namespace tributary
