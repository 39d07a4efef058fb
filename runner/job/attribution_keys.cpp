// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What is computed of it: the method, its path and its rules, and what is kept.
#include "runner/job/key_rows.h"

#include "attribution/methods/table.h"

namespace tributary {
namespace {

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const RulePreset& preset : rule_presets()) names.push_back(preset.name);
  return names;
}

std::vector<std::string> node_kind_names() {
  std::vector<std::string> names;
  for (const NodeKind kind : all_node_kinds()) names.push_back(name_of(kind));
  return names;
}

}  // namespace

std::vector<Key> attribution_keys() {
  return {
      {.path = "attribution.method",
       .kind = Kind::text,
       .meaning = "how nodes are scored",
       .choices = method_names(),
       .synonyms = method_synonyms(),
       .presence = Key::Presence::required},
      {.path = "attribution.file",
       .kind = Kind::path,
       .meaning = "imported: the file of scores (.npy, .safetensors, .h5, .json, .csv; docs/imported.md)"},
      {.path = "attribution.quadrature",
       .kind = Kind::text,
       .meaning = "rule along the path; default: the method's own",
       .choices = quadrature_names()},
      {.path = "attribution.steps",
       .kind = Kind::integer,
       .meaning = "n: gradient evaluations at the rule's n points; for conductance, n intervals",
       .least = 1,
       .most = 100000},
      {.path = "attribution.tolerance",
       .kind = Kind::number,
       .fallback = "0.01",
       .meaning = "adaptive and pilot: largest |residual|, as a fraction of the effect",
       .least = 1e-9,
       .most = 1},
      {.path = "attribution.max_points",
       .kind = Kind::integer,
       .fallback = "65",
       .meaning = "adaptive: most evaluations a pair and layer; 2^k + 1",
       .least = 3,
       .most = 4097},
      {.path = "attribution.pilot_pairs",
       .kind = Kind::integer,
       .fallback = "4",
       .meaning = "pilot: training pairs on which the rules are tried, in float32",
       .least = 1},
      {.path = "attribution.rules",
       .kind = Kind::text,
       .meaning = "replacement rules by a preset's name, or one by one below",
       .choices = preset_names()},
      {.path = "attribution.rules.norm",
       .kind = Kind::boolean,
       .meaning = "the denominator of RMSNorm or LayerNorm is a constant"},
      {.path = "attribution.rules.activation",
       .kind = Kind::boolean,
       .meaning = "the coefficient act(z)/z is a constant"},
      {.path = "attribution.rules.half",
       .kind = Kind::boolean,
       .meaning = "each factor of a gated MLP's product receives half of the gradient"},
      {.path = "attribution.rules.attention", .kind = Kind::boolean, .meaning = "the attention pattern is a constant"},
      {.path = "attribution.rules.softcap",
       .kind = Kind::boolean,
       .meaning = "the coefficient cap(z)/z of a soft-cap is a constant; in no preset"},
      {.path = "attribution.baseline",
       .kind = Kind::text,
       .meaning = "what the clean run is compared with: the counterfactual, zero, or a mean; default: the method's own",
       .choices = {"pair", "zero", "mean"}},
      {.path = "attribution.baseline_file",
       .kind = Kind::path,
       .meaning = "pairs whose counterfactual prompts the mean baseline is taken over; default: the training pairs"},
      {.path = "attribution.direction",
       .kind = Kind::text,
       .fallback = "clean",
       .meaning = "clean: gradients on the clean run; denoise: on the counterfactual one",
       .choices = {"clean", "denoise"}},
      {.path = "attribution.form",
       .kind = Kind::text,
       .meaning = "conductance: standard, or captum (left gradient × forward difference at the rule's own points)",
       .choices = {"standard", "captum"}},
      {.path = "attribution.aggregate",
       .kind = Kind::text,
       .fallback = "mean",
       .meaning = "over training pairs: mean of signed scores, or of their absolute values",
       .choices = {"mean", "mean-abs"}},
      {.path = "attribution.inputs",
       .kind = Kind::boolean,
       .fallback = "false",
       .meaning = "store input IG per token of each pair (methods on the embedding path)"},
      {.path = "attribution.linearisation_gap",
       .kind = Kind::integer,
       .fallback = "auto",
       .meaning = "methods without a residual: seeded training pairs on which to measure how far their layer sums are "
                  "from the true effects (a forward pass a layer and pair); auto: two, but at most a twentieth of the "
                  "pairs and at least one",
       .choices = {"auto", "all", "skip"},
       .least = 1},
      {.path = "attribution.spread",
       .kind = Kind::text,
       .fallback = "measure",
       .meaning =
           "spread of each score over the training pairs, as its standard error and the share of pairs that have its "
           "sign: measure (sums, messages and journal are three times as large), or skip",
       .choices = {"measure", "skip"}},
      {.path = "attribution.keep",
       .kind = Kind::integer,
       .fallback = "mean",
       .meaning = "scores of single pairs to store beside the mean: of the K largest a pair, or full; the groups of "
                  "`case` are "
                  "compared by them",
       .choices = {"mean", "full"},
       .least = 1},
      {.path = "attribution.audit",
       .kind = Kind::integer,
       .fallback = "0",
       .meaning = "seeded training pairs to recompute with twice the points",
       .least = 0},
      {.path = "attribution.sample",
       .kind = Kind::integer,
       .fallback = "1000",
       .meaning = "exact-patching: nodes of each kind to patch, seeded, spread over all layers",
       .least = 1},
      {.path = "attribution.seed",
       .kind = Kind::integer,
       .fallback = "0",
       .meaning = "seed of random, of sampled neurons and of audited, measured and pilot pairs",
       .least = 0},
      {.path = "positions",
       .kind = Kind::text,
       .fallback = "keep",
       .meaning = "nodes are (layer, position, neuron), or summed over positions: (layer, neuron)",
       .choices = {"keep", "sum"}},
      {.path = "nodes",
       .kind = Kind::texts,
       .implied = "[neurons]",
       .meaning = "the kinds of nodes that are scored; several compete in one ranking",
       .choices = node_kind_names(),
       .synonyms = {{"neuron", "neurons"},
                    {"head", "heads"},
                    {"attention", "heads"},
                    {"mlp", "mlps"},
                    {"embedding", "embeddings"},
                    {"tokens", "embeddings"},
                    {"input", "embeddings"}}},
      {.path = "features",
       .kind = Kind::records,
       .meaning = "the dictionaries whose latents are nodes of the kind features: sparse autoencoders, transcoders, "
                  "cross-layer transcoders",
       .fields = {{.path = "path",
                   .kind = Kind::path,
                   .meaning = "a folder of SAELens or circuit-tracer, or a safetensors file",
                   .presence = Key::Presence::required},
                  {.path = "hook",
                   .kind = Kind::text,
                   .meaning = "where it reads; default: what its folder says",
                   .choices = {"resid_pre", "resid_mid", "resid_post", "mlp_out", "z", "mlp_in", "mlp_in_normed"}},
                  {.path = "layer",
                   .kind = Kind::integer,
                   .meaning = "of the model, from 0; all: one item a layer, with {layer} in its path; default: what "
                              "its folder says",
                   .choices = {"all"},
                   .least = 0}}},
      {.path = "mlps.side",
       .kind = Kind::text,
       .implied = "added",
       .meaning = "an MLP's output is what it adds to the residual stream, or what its last matrix writes: without a "
                  "norm behind it the same up to a multiplier, and the sum of what its neurons write",
       .choices = {"added", "written"}},
      {.path = "top",
       .kind = Kind::integer,
       .fallback = "50",
       .meaning =
           "the first nodes by |score| that tables list, with the tokens that their neurons promote and suppress and "
           "their values on the training pairs",
       .least = 1,
       .most = 10000,
       .effect = Effect::evaluation},
  };
}

}  // namespace tributary
