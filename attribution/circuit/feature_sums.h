// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Sums of features over prompts: the means of ablation are made of them (mean_features).
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <vector>

#include "attribution/methods/attribute.h"
#include "attribution/nodes/feature_edit.h"

namespace tributary {

struct FeatureSums {
  SparseScores features;                    //!< by key (first_keys of the prompts' positions)
  std::map<SitePlace, at::Tensor> written;  //!< of what stands where features write [pos, width], float64
};

/// Over prompts ids [batch, pos].
FeatureSums sum_features(const Transformer& model, const std::vector<Dictionary>& dictionaries, const at::Tensor& ids,
                         const Batching& batching);

}  // namespace tributary
