// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Small nets of linear and ReLU stages as PathNetworks: what the conformance rows and the live comparison with
// Captum run through the same integrals as the transformer.
#pragma once

#include <torch/csrc/autograd/autograd.h>
#include "attribution/model/tensors.h"

#include <utility>
#include <vector>

#include "attribution/methods/path.h"

namespace tributary::testing {

/// y = W x + b, or relu(x) where W is undefined.
struct Stage {
  at::Tensor weight, bias;

  [[nodiscard]] at::Tensor apply(const at::Tensor& x) const {
    return weight.defined() ? at::linear(x, weight, bias) : at::relu(x);
  }
};

struct ToyNet {
  std::vector<Stage> stages;
  std::int64_t target = 0;  //!< the output that is m
};

/// Which state moves: the input with everything following, or the tapped stage's output with everything below as at the
/// end.
enum class Moves { input, tap };

/// The path of one net; `tap` is the stage whose output gets scores.
class ToyPath : public PathNetwork {
 public:
  /// start, end [example, width] of what moves.
  ToyPath(ToyNet net, std::size_t tap, Moves moves, at::Tensor start, at::Tensor end)
      : net_(std::move(net)), tap_(tap), moves_(moves), start_(std::move(start)), end_(std::move(end)) {}

  void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const override {
    for (std::size_t i = 0; i < points.size(); ++i) {
      const double alpha = points[i].alpha;
      const at::Tensor moved =
          (start_[points[i].example] * (1 - alpha) + end_[points[i].example] * alpha).requires_grad_();
      at::Tensor x = moved;
      at::Tensor v = moved;
      for (std::size_t s = moves_ == Moves::input ? 0 : tap_ + 1; s < net_.stages.size(); ++s) {
        x = net_.stages[s].apply(x);
        if (s == tap_) v = x;
      }
      const std::vector<at::Tensor> gradients = torch::autograd::grad({x.select(-1, net_.target)}, {v, moved}, {},
                                                                      std::nullopt, false, /*allow_unused=*/true);
      const at::Tensor gradient = gradients[0].defined() ? gradients[0] : at::zeros_like(v);
      const at::Tensor along = end_[points[i].example] - start_[points[i].example];
      visit(i, {x.select(-1, net_.target).item<double>(), (along * gradients[1]).sum().item<double>(),
                v.detach().view({1, 1, -1}), gradient.view({1, 1, -1}),
                moves_ == Moves::input ? gradients[1].view({1, -1}) : at::Tensor()});
    }
  }

 private:
  ToyNet net_;
  std::size_t tap_;
  Moves moves_;
  at::Tensor start_, end_;
};

/// Value of the stage's output at input x [width].
inline at::Tensor output_of(const ToyNet& net, std::size_t stage, at::Tensor x) {
  for (std::size_t s = 0; s <= stage; ++s) x = net.stages[s].apply(x);
  return x;
}

}  // namespace tributary::testing
