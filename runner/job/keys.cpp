// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/keys.h"

#include <functional>
#include <limits>

#include "common/errors.h"
#include "common/text.h"

namespace tributary {
namespace {

constexpr double unbounded = std::numeric_limits<double>::infinity();
using Presence = Key::Presence;

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const RulePreset& preset : rule_presets()) names.push_back(preset.name);
  return names;
}

Key key(std::string path, Kind kind, std::string fallback, std::string meaning, std::vector<std::string> choices = {},
        double least = -unbounded, double most = unbounded, Effect effect = Effect::numbers,
        Presence presence = Presence::optional) {
  return {std::move(path), kind,    std::move(fallback), std::move(meaning), std::move(choices), least, most,
          effect,          presence};
}

std::vector<Key> make_table() {
  const std::vector<std::string> none;
  return {
      key("schema", Kind::integer, "", "version of this file's form; 1", none, 1, 1, Effect::numbers,
          Presence::required),
      key("name", Kind::text, "", "name of the run: its results lie in results/<name> unless --out says otherwise",
          none, -unbounded, unbounded, Effect::speed, Presence::required),
      key("model.path", Kind::path, "", "Hugging Face checkpoint folder: config.json, safetensors, tokenizer.json",
          none, -unbounded, unbounded, Effect::numbers, Presence::required),
      key("model.dtype", Kind::text, "float32",
          "number type of the network; scores are float32 and folds float64 in any case",
          {"float64", "float32", "bfloat16"}),
      key("model.device", Kind::text, "auto",
          "where the network runs, chosen per rank; auto: a card where there is one", {"auto", "cpu", "cuda"},
          -unbounded, unbounded, Effect::speed),
      key("pairs.file", Kind::path, "",
          "prompt pairs, one JSON object a line, split into training and test pairs by prompt pair with pairs.seed"),
      key("pairs.train_file", Kind::path, "", "training pairs, in file order (instead of pairs.file)"),
      key("pairs.test_file", Kind::path, "", "held-out pairs, in file order"),
      key("pairs.train", Kind::integer, "", "at most this many training pairs; default: all", none, 1),
      key("pairs.test", Kind::integer, "", "at most this many held-out pairs; default: all; 0: no circuit is evaluated",
          none, 0),
      key("pairs.seed", Kind::integer, "0", "seed of the split of pairs.file", none, 0),
      key("pairs.unfit", Kind::text, "refuse",
          "pairs that cannot be used: refuse (listing every reason) or skip (and count)", {"refuse", "skip"}),
      key("pairs.overlap", Kind::text, "refuse", "test pairs whose prompts are training prompts", {"refuse", "allow"}),
      key("pairs.length", Kind::integer, "first",
          "token length of the prompts with positions: keep; first: that of the first fitting training pair", {"first"},
          1),
      key("metric", Kind::text, "logit-difference",
          "m, on the logits of the last position: logit(clean_answer) − logit(patch_answer), logit(clean_answer), or "
          "the sum of the metric_top best of the clean run",
          {"logit-difference", "logit", "sum-of-logits"}),
      key("metric_top", Kind::integer, "5", "how many logits metric: sum-of-logits adds", none, 1, 1000),
      key("attribution.method", Kind::text, "", "how neurons are scored", method_names(), -unbounded, unbounded,
          Effect::numbers, Presence::required),
      key("attribution.quadrature", Kind::text, "", "rule along the path; default: the method's own",
          quadrature_names()),
      key("attribution.steps", Kind::integer, "",
          "n: gradient evaluations at the rule's n points; for conductance, n intervals", none, 1, 100000),
      key("attribution.tolerance", Kind::number, "0.01",
          "adaptive and pilot: largest |residual|, as a fraction of the effect", none, 1e-9, 1),
      key("attribution.max_points", Kind::integer, "65", "adaptive: most evaluations a pair and layer; 2^k + 1", none,
          3, 4097),
      key("attribution.pilot_pairs", Kind::integer, "4",
          "pilot: training pairs on which the rules are tried, in float32", none, 1),
      key("attribution.rules", Kind::text, "", "replacement rules by a preset's name, or one by one below",
          preset_names()),
      key("attribution.rules.norm", Kind::boolean, "", "the denominator of RMSNorm or LayerNorm is a constant"),
      key("attribution.rules.activation", Kind::boolean, "", "the coefficient act(z)/z is a constant"),
      key("attribution.rules.half", Kind::boolean, "",
          "each factor of a gated MLP's product receives half of the gradient"),
      key("attribution.rules.attention", Kind::boolean, "", "the attention pattern is a constant"),
      key("attribution.baseline", Kind::text, "",
          "what the clean run is compared with: the counterfactual, zero, or a mean; default: the method's own",
          {"pair", "zero", "mean"}),
      key("attribution.baseline_file", Kind::path, "",
          "pairs whose counterfactual prompts the mean baseline is taken over; default: the training pairs"),
      key("attribution.direction", Kind::text, "clean",
          "clean: gradients on the clean run; denoise: on the counterfactual one", {"clean", "denoise"}),
      key("attribution.form", Kind::text, "",
          "conductance: standard, or captum (left gradient × forward difference at the rule's own points)",
          {"standard", "captum"}),
      key("attribution.aggregate", Kind::text, "mean",
          "over training pairs: mean of signed scores, or of their absolute values", {"mean", "mean-abs"}),
      key("attribution.inputs", Kind::boolean, "false",
          "store input IG per token of each pair (methods on the embedding path)"),
      key("attribution.linearisation_gap", Kind::text, "measure",
          "methods without a residual: measure how far their layer sums are from the true effects (costs forward "
          "passes), or skip",
          {"measure", "skip"}),
      key("attribution.keep", Kind::integer, "mean",
          "scores of single pairs to store beside the mean: of the K largest a pair, or full; the groups of `case` are "
          "compared by them",
          {"mean", "full"}, 1),
      key("attribution.audit", Kind::integer, "0", "seeded training pairs to recompute with twice the points", none, 0),
      key("attribution.sample", Kind::integer, "1000",
          "exact-patching: neurons to patch, seeded, spread over all layers", none, 1),
      key("attribution.seed", Kind::integer, "0", "seed of random, of sampled neurons and of audited and pilot pairs",
          none, 0),
      key("positions", Kind::text, "keep",
          "nodes are (layer, position, neuron), or summed over positions: (layer, neuron)", {"keep", "sum"}),
      key("circuit.counts", Kind::integers, "[10, 30, 100, 300, 1000]", "circuits of the k first nodes", none, 0),
      key("circuit.fractions", Kind::numbers, "", "circuits of a fraction of all nodes", none, 0, 1),
      key("circuit.thresholds", Kind::numbers, "",
          "circuits of the nodes with |score| (or score) at least this, in logits"),
      key("circuit.mass", Kind::numbers, "", "circuits of the fewest nodes that hold this share of all |score|", none,
          0, 1),
      key("circuit.ranking", Kind::text, "abs", "largest |score| first, or largest score", {"abs", "signed"}),
      key("circuit.ablation", Kind::text, "mean",
          "what neurons outside are set to: the mean over counterfactual prompts, zero, or the pair's own "
          "counterfactual",
          {"mean", "zero", "resample"}),
      key("circuit.ablation_pairs", Kind::text, "test", "pairs the ablation mean is taken over", {"test", "train"}),
      key("agreement.sample", Kind::integer, "0",
          "neurons that are also patched exactly, in float32 or better, to compare the scores with; of all layers, "
          "with "
          "high and low scores, the same ones for every method; 0: none",
          none, 0, 1 << 14),
      key("agreement.seed", Kind::integer, "0", "seed of those neurons", none, 0),
      key("steering.factors", Kind::numbers, "",
          "on the held-out pairs' clean prompts, multiply neurons by each of these and record what the model says"),
      key("steering.top", Kind::integer, "10", "the neurons to multiply: so many first ones of the run's own ranking",
          none, 1, 100000),
      key("steering.neurons", Kind::texts, "",
          "or these: layer/position/neuron, or layer/neuron for all positions, counted from 0"),
      key("threads", Kind::integer, "auto", "worker threads per rank; changes no number", {"auto"}, 1, 1024,
          Effect::speed),
      key("batch_rows", Kind::integer, "auto",
          "rows (pairs × steps × positions) in one network call; auto: planned from memory; changes no number on the "
          "CPU",
          {"auto"}, 1, 1 << 24, Effect::speed),
      key("memory", Kind::text, "auto",
          "what a rank may take ('8 GiB'): resident memory on the CPU, the card's on a card; auto: 80 % of what is "
          "free, "
          "shared by the ranks there",
          none, -unbounded, unbounded, Effect::speed),
      key("strict", Kind::boolean, "false",
          "on a card: running out of memory is an error instead of smaller batches, which may change the last digits",
          none, -unbounded, unbounded, Effect::speed),
      key("unit.pairs", Kind::integer, "auto", "pairs in one unit of work, a power of two; changes no number", {"auto"},
          1, 1 << 20, Effect::speed),
      key("unit.layers", Kind::integer, "auto",
          "layers in one unit of work (ig-acts and exact-patching alone); changes no number", {"auto"}, 1, 1 << 20,
          Effect::speed),
  };
}

}  // namespace

const std::vector<Key>& key_table() {
  static const std::vector<Key> table = make_table();
  return table;
}

}  // namespace tributary
