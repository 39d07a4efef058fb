// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Features of dictionaries as nodes: their scores and their errors' (docs/methods.md, "Features").
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "attribution/methods/detail/task_scores.h"
#include "attribution/nodes/dictionary.h"

namespace tributary::detail {

inline bool scores_features(const Task& task) { return task.options.dictionaries != nullptr; }

/// dm/dv, or its mean along a path, of what stands at a site of a layer [pair, pos, width], stream dtype; pos are the
/// last positions.
using GradientAt = std::function<at::Tensor(Site site, std::int64_t layer)>;

/// Clean − baseline of what stands at a site [pair, pos, width], stream dtype.
at::Tensor moved_at(const BaseRuns& runs, const Task& task, Site site, std::int64_t layer);

/// One dictionary on a micro-batch's pairs: rows are pair × pos, the last positions.
struct Encoded {
  std::int64_t positions = 0;
  FeatureDifferences features;
};

/// How features of clean prompts differ from their baseline.
Encoded encoded(const BaseRuns& runs, const Task& task, const Dictionary& dictionary, Flops* flops);

/// Adds scores of the micro-batch's pairs: of a feature Δf_j Σ_targets ⟨W_dec[j], g⟩, of an error ⟨Δwritten, g⟩ less
/// its features' scores (Marks et al. 2024: the gradient passes the dictionary straight through).
void add_features(const MicroBatch& micro, TaskScores& task, const GradientAt& gradient);

/// One-point methods, |Δf|, noise and given scores; IG-activations, along the line of what stands at each site that is
/// written to.
void run_feature_task(const MicroBatch& micro, TaskScores& task);

/// Given scores of the listed features, whatever those are on the prompts, and of the errors: of every pair the same.
void add_imported_features(const MicroBatch& micro, TaskScores& task);

/// Exact effects of the sampled features and errors: m(x) − m(x; do f_j = f'_j), or from the other side when denoising,
/// with the difference added wherever the feature writes and everything behind it as it then runs.
void add_exact_features(const MicroBatch& micro, TaskScores& task);

/// The sites that the features of a task read and write.
std::vector<NodeTable> feature_sites(const Task& task, const Architecture& architecture);

}  // namespace tributary::detail
