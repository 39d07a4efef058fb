// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The places where a replacement rule may act, as autograd functions with hand-written backward passes.
// The forward value is computed by the same code with and without a rule, so that logits(M_repl) == logits(M)
// holds bit for bit.
#pragma once

#include <ATen/core/Tensor.h>

#include "attribution/model/architecture.h"

namespace tributary {

/// Whether the backward pass is the true derivative or the rule's.
enum class Derivative { plain, replaced };

/// RMSNorm x / rms(x) * w, or LayerNorm (x - mean) / sigma * w + b, over the last dimension.
/// x [rows, d_model], w and b [d_model] (b undefined: none); statistics in float32 at least.
/// replaced (rule `norm`): the denominator is a constant; LayerNorm's centring still differentiates.
at::Tensor normalise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, NormKind kind,
                     double epsilon, Derivative derivative);

/// act(z), element-wise. replaced (rule `activation`): the coefficient act(z)/z is a constant: sigma(z) for SiLU,
/// Phi(z) for GELU, (1 + tanh)/2 for tanh-GELU, [z > 0] for ReLU.
at::Tensor activate(const at::Tensor& z, Activation activation, Derivative derivative);

/// s * u of a gated MLP, both [rows, neurons]. replaced (rule `half`): each factor receives half of the gradient.
at::Tensor gate(const at::Tensor& s, const at::Tensor& u, Derivative derivative);

}  // namespace tributary
