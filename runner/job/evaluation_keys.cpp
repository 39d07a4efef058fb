// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the result is held against: circuits, agreement with exact patching, steering.
#include "runner/job/key_rows.h"

namespace tributary {

std::vector<Key> evaluation_keys() {
  return {
      {.path = "circuit.counts",
       .kind = Kind::integers,
       .fallback = "[10, 30, 100, 300, 1000]",
       .meaning = "circuits of the k first nodes",
       .least = 0,
       .effect = Effect::evaluation},
      {.path = "circuit.fractions",
       .kind = Kind::numbers,
       .meaning = "circuits of a fraction of all nodes",
       .least = 0,
       .most = 1,
       .effect = Effect::evaluation},
      {.path = "circuit.thresholds",
       .kind = Kind::numbers,
       .meaning = "circuits of the nodes with |score| (or score) at least this, in logits",
       .effect = Effect::evaluation},
      {.path = "circuit.mass",
       .kind = Kind::numbers,
       .meaning = "circuits of the fewest nodes that hold this share of all |score|",
       .least = 0,
       .most = 1,
       .effect = Effect::evaluation},
      {.path = "circuit.nodes",
       .kind = Kind::texts,
       .implied = "all of `nodes`",
       .meaning = "the kinds of nodes that circuits are made of; nodes of the others stay as they are",
       .choices = {"neurons", "heads", "mlps", "embeddings"},
       .effect = Effect::evaluation},
      {.path = "circuit.ranking",
       .kind = Kind::text,
       .fallback = "abs",
       .meaning = "largest |score| first, or largest score",
       .choices = {"abs", "signed"},
       .effect = Effect::evaluation},
      {.path = "circuit.ablation",
       .kind = Kind::text,
       .fallback = "mean",
       .meaning = "what nodes outside are set to: the mean over counterfactual prompts, zero, or the pair's own "
                  "counterfactual",
       .choices = {"mean", "zero", "resample"},
       .effect = Effect::evaluation},
      {.path = "circuit.ablation_pairs",
       .kind = Kind::text,
       .fallback = "test",
       .meaning = "pairs the ablation mean is taken over",
       .choices = {"test", "train"},
       .effect = Effect::evaluation},
      {.path = "circuit.areas",
       .kind = Kind::boolean,
       .fallback = "true",
       .meaning = "evaluate twenty more circuits for the areas CPR and CMD",
       .effect = Effect::evaluation},
      {.path = "agreement.sample",
       .kind = Kind::integer,
       .fallback = "0",
       .meaning = "nodes of each kind that are also patched exactly, in float32 or better, to compare the scores with: "
                  "half of "
                  "them random, the same ones for every method, half the run's own first ones; 0: none",
       .least = 0,
       .most = 1 << 14,
       .effect = Effect::evaluation},
      {.path = "agreement.seed",
       .kind = Kind::integer,
       .fallback = "0",
       .meaning = "seed of the random ones",
       .least = 0,
       .effect = Effect::evaluation},
      {.path = "steering.factors",
       .kind = Kind::numbers,
       .meaning = "on the held-out pairs' clean prompts, multiply nodes by each of these, and by 1 for comparison, "
                  "and record "
                  "what the model says",
       .effect = Effect::evaluation},
      {.path = "steering.top",
       .kind = Kind::integer,
       .fallback = "10",
       .meaning = "the nodes to multiply: so many first ones of the run's own ranking",
       .least = 1,
       .most = 100000,
       .effect = Effect::evaluation},
      {.path = "steering.neurons",
       .kind = Kind::texts,
       .meaning = "or these: layer/position/neuron, or layer/neuron for all positions, counted from 0",
       .effect = Effect::evaluation},
      {.path = "steering.nodes",
       .kind = Kind::texts,
       .meaning =
           "or these, of any kind: kind:layer/position/index, or kind:layer/index for all positions; of features and "
           "errors the first number is that of their dictionary (`plan` names them), an MLP, an embedding and an "
           "error have index 0",
       .effect = Effect::evaluation},
  };
}

}  // namespace tributary
