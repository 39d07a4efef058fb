// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A network on a path from baseline (alpha = 0) to clean (alpha = 1), as the path methods see it. The transformer's
// paths (paths.h) and the toy nets of the conformance tests are implementations of it: one mathematics for both.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace tributary {

/// Where a path is looked at: which example (prompt pair), and how far along.
struct PathPoint {
  std::int64_t example = 0;
  double alpha = 1;
};

/// What is seen there. Taps are the neurons that get scores: all layers on an embedding path, one layer on an
/// activation path.
struct PathSample {
  at::Tensor value;           //!< v [tap, pos, neuron]
  at::Tensor gradient;        //!< dm/dv [tap, pos, neuron], score dtype
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

  /// Evaluates the points, in whatever batches, and visits the samples in the order of the list.
  virtual void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const = 0;
};

}  // namespace tributary
