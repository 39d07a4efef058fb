// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Tiny networks as `doctor` examines a model: a job with two pairs, made in memory.
#pragma once

#include <memory>
#include <utility>

#include "runner/job/job.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing {

/// Two pairs of 7 tokens that differ from the third on, with answers of their own.
inline Job examined(Transformer network) {
  Job job;
  job.working = job.exact = std::make_shared<const Transformer>(std::move(network));
  job.measures = std::make_shared<ModelMeasures>();
  for (const std::int64_t shift : {0, 5}) {
    TokenPair pair;
    for (std::int64_t i = 0; i < 7; ++i) {
      pair.clean.push_back((3 * i + shift) % 40);
      pair.counterfactual.push_back(i < 2 ? pair.clean.back() : (7 * i + shift + 1) % 40);
    }
    pair.clean_answer = 3 + shift;
    pair.patch_answer = 7 + shift;
    job.pairs.train.push_back(pair);
  }
  return job;
}

inline Job examined(Kind kind) { return examined(tiny_model(kind, at::kFloat)); }

}  // namespace tributary::testing
