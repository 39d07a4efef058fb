// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A network on a path from baseline (alpha = 0) to clean (alpha = 1), as the path methods see it. The transformer's
// paths (embedding_path.h, activation_path.h) and the toy nets of the conformance tests are implementations of it: one
// mathematics for both.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace tributary {

/// Where a path is looked at: which example, and how far along. What an example is, is the path's own: a prompt pair,
/// or a pair and a layer.
struct PathPoint {
  std::int64_t example = 0;
  double alpha = 1;
};

/// What is seen there.
struct PathSample {
  double metric = 0;          //!< m
  double slope = 0;           //!< dm/dalpha: what the sum of scores integrates
  at::Tensor value;           //!< v [tap, pos, neuron]; undefined when nobody asked
  at::Tensor gradient;        //!< dm/dv of the same shape, score dtype; on an ActivationPath dm/dresid_post instead
                              //!< [1, suffix, d_model], which its to_values turns into dm/dv
  at::Tensor input_gradient;  //!< dm/de [pos, d_model]; undefined where the path does not move the embeddings
};

class PathNetwork {
 public:
  /// Gets the index of the point in the list, and its sample.
  using Visit = std::function<void(std::size_t index, const PathSample& sample)>;

  PathNetwork() = default;
  PathNetwork(const PathNetwork&) = delete;
  PathNetwork& operator=(const PathNetwork&) = delete;
  virtual ~PathNetwork() = default;

  /// Evaluates the points, in whatever batches. The points of one example are in ascending order of alpha, and are
  /// visited in that order.
  virtual void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const = 0;
};

}  // namespace tributary
