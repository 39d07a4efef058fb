// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What single MLP neurons do: which tokens' logits they raise and lower by themselves, and their values on prompts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "attribution/model/prompts.h"
#include "attribution/nodes/neuron.h"

namespace tributary {

/// Of each neuron the tokens whose logits it raises and lowers most, the strongest first, equal ones by token id.
struct DirectEffects {
  at::Tensor promoted, suppressed;              //!< [neuron, place] int64: token ids
  at::Tensor promoted_logit, suppressed_logit;  //!< [neuron, place] float64: logits for a unit of the neuron's value
};

/// The logit lens (nostalgebraist 2020) on what a neuron adds to the stream, its column w of the down projection (Geva
/// et al. 2022): e = W_U (g ⊙ w), with the gain g of the final norm, for LayerNorm e = W_U (g ⊙ (w − mean(w))). Left
/// out are the later layers, which may read w, and the final norm's scale: it belongs to the prompt and multiplies all
/// effects of a neuron alike, so it changes no order. `place` counts to `top`, at most the vocabulary. A neuron's
/// position does not matter.
DirectEffects direct_effects(const Transformer& model, const std::vector<Neuron>& neurons, std::int64_t top);

/// Values a of neurons, the input of the down projection; summed over the prompt where a neuron is meant at all
/// positions.
struct NeuronValues {
  at::Tensor clean, counterfactual;  //!< [pair, neuron] float64; counterfactual undefined where unpaired
  double flops = 0;                  //!< that were needed
};

NeuronValues neuron_values(const Transformer& model, const Prompts& prompts, const std::vector<Neuron>& neurons,
                           const Batching& batching);

}  // namespace tributary
