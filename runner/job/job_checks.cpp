// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/job_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "attribution/nodes/feature_edit.h"
#include "common/errors.h"
#include "common/text.h"
#include "runner/job/averaged_prompts.h"
#include "runner/job/imported_scores.h"
#include "runner/job/key_checks.h"
#include "runner/job/model.h"
#include "runner/job/post_norms.h"
#include "runner/job/prompts.h"

namespace tributary {

namespace {

/// Prompts of attribution.baseline_file that have the run's token length.
std::vector<std::vector<std::int64_t>> read_baseline(const RunConfig& config, const Tokenizer& tokenizer,
                                                     std::int64_t length, std::int64_t vocabulary) {
  std::vector<std::vector<std::int64_t>> prompts;
  for (const PromptPair& pair : read_pairs(config.baseline_file)) {
    const std::string& text = config.unpaired || !pair.patch_prefix ? pair.clean_prefix : *pair.patch_prefix;
    std::vector<std::int64_t> ids = tokenizer.encode(text, SpecialTokens::add);
    if (static_cast<std::int64_t>(ids.size()) != length) continue;
    require_in_vocabulary(ids, tokenizer, vocabulary, fmt::format("{}:{}", pair.file, pair.line));
    prompts.push_back(std::move(ids));
  }
  if (prompts.empty()) {
    throw UserError(
        config.baseline_file.string(),
        "no prompt has " + std::to_string(length) +
            " tokens (the mean is taken position by position, so they must be as long as the training pairs)");
  }
  return prompts;
}

/// "neurons", "heads and mlps"
std::string names_of(const NodeLayout& layout) {
  std::vector<std::string> names;
  for (const NodeTable& table : layout.tables()) names.push_back(name_of(table.kind));
  return join(names, names.size() > 2 ? ", " : " and ");
}

/// Means must serve held-out pairs of every length, and be more than a pair's own values.
void require_ablation_means(const Job& job, const Settings& settings) {
  const std::vector<std::int64_t> lengths = lengths_without_mean(job);
  if (lengths.empty()) return;
  if (job.config.circuit.means_from == CircuitConfig::MeansFrom::train) {
    throw UserError(
        settings.where("circuit.ablation_pairs"),
        fmt::format("circuit.ablation_pairs: held-out pairs have {} tokens and no training "
                    "pair has, so there is no mean to ablate them with; take test, or circuit.ablation: zero",
                    in_ranges(lengths)));
  }
  throw UserError(
      settings.where("circuit.ablation"),
      fmt::format("circuit.ablation: mean is taken over prompts of one token length, and there is a single one "
                  "of {} tokens held out and no two in training: its mean would be its own values. Give more "
                  "pairs of this length, leave it out, or take circuit.ablation: resample or zero",
                  in_ranges(lengths)));
}

/// Of a kind with one node at each place, what is to be written where another index is given.
std::string only_index(const Node& node) {
  const std::string kind = name_of(node.kind);
  std::string text = fmt::format("{} have index 0", kind);
  if (node.position < 0) {
    text += fmt::format("; write {0}:{1}/{2}/0 for position {2}, or {0}:{1}/0 for all positions", kind, node.layer,
                        node.index);
  }
  return text;
}

/// Whether it is known how many nodes there are: of features it is when they have scores.
bool is_counted(const NodeLayout& layout) {
  const std::vector<NodeTable>& tables = layout.tables();
  return std::none_of(tables.begin(), tables.end(), [](const NodeTable& table) { return table.is_list(); });
}

}  // namespace

void settle_sizes(Job& job, const Settings& settings) {
  RunConfig& config = job.config;
  KeyChecks checks(settings);
  const NodeLayout layout = job.layout();
  const std::int64_t nodes = job.nodes();
  const std::int64_t in_circuit = job.circuit_layout().nodes();
  std::int64_t of_a_kind = 0;  // at most
  for (std::size_t kind = 0; kind < layout.kinds(); ++kind) of_a_kind = std::max(of_a_kind, layout.nodes(kind));
  constexpr std::int64_t most_nodes = std::numeric_limits<std::int32_t>::max();  // of a ranking's places
  // norm(α w) = norm(w): along such a path nothing changes but at its very beginning.
  const bool from_zero = config.method.path == PathKind::activations && config.method.baseline == Baseline::zero;
  const std::string normed = normed_parts(job);
  checks.refuse_if(
      from_zero && !normed.empty(), "attribution.baseline",
      fmt::format("is zero, and in a {} model a norm stands behind each {}: it makes the same of what is written "
                  "whatever its size, so the path from zero says nothing; take pair or mean",
                  job.architecture().family, normed));
  checks.refuse_if(nodes > most_nodes && config.method.has_neurons(), "positions",
                   fmt::format("the model's layers × positions × {} are {} nodes, and no ranking holds more than "
                               "{}; take positions: sum, or shorter prompts",
                               names_of(layout), nodes, most_nodes));
  checks.finish();
  std::vector<std::int64_t>& counts = config.circuit.counts;
  const bool counted = is_counted(job.circuit_layout());
  for (const std::int64_t count : counts) {
    checks.refuse_if(count > in_circuit && counted && settings.given("circuit.counts") && config.method.has_neurons(),
                     "circuit.counts",
                     fmt::format("asks for {} nodes where there are {} (layers × positions × {}); lower it", count,
                                 in_circuit, names_of(job.circuit_layout())));
  }
  if (counted) std::erase_if(counts, [in_circuit](std::int64_t count) { return count > in_circuit; });
  if (config.method.score == ScoreKind::exact && config.sample > nodes) {
    checks.refuse_if(
        settings.given("attribution.sample"), "attribution.sample",
        fmt::format("asks for {} {} where there are {}; lower it", config.sample, names_of(layout), nodes));
    config.sample = nodes;
  }
  checks.refuse_if(config.keep.count > of_a_kind && is_counted(layout) && config.method.has_neurons(),
                   "attribution.keep",
                   fmt::format("asks for {} scores of each pair where there are {}; lower it, or take full",
                               config.keep.count, of_a_kind));
  checks.refuse_if(
      job.has_agreement() && config.agreement.sample > nodes && is_counted(layout), "agreement.sample",
      fmt::format("asks for {} {} where there are {}; lower it", config.agreement.sample, names_of(layout), nodes));
  const std::int64_t vocabulary = job.architecture().vocabulary;
  checks.refuse_if(
      config.metric == MetricKind::sum_of_logits && config.metric_top > vocabulary, "metric_top",
      fmt::format("{} is more than the {} tokens of the vocabulary; lower it", config.metric_top, vocabulary));
  const auto names = static_cast<std::int64_t>(config.positions_names.size());
  checks.refuse_if(names > 0 && names != job.node_positions(), "pairs.positions_names",
                   fmt::format("has {} names where prompts have {} tokens, special ones included; give one each ('' "
                               "for a position without a name)",
                               names, job.node_positions()));
  checks.finish();
  require_ablation_means(job, settings);
}

void check_steering(const Job& job, const Settings& settings) {
  if (!job.has_steering()) return;
  KeyChecks checks(settings);
  checks.refuse_if(job.pairs.test.empty(), "steering.factors",
                   "there are no held-out pairs to steer; give pairs.test_file or pairs.test");
  checks.finish();
  const Architecture& a = job.architecture();
  std::int64_t positions = job.pairs.test.front().length();
  for (const TokenPair& pair : job.pairs.test) positions = std::min(positions, pair.length());
  const auto require = [&](const char* what, std::int64_t number, std::int64_t count, const std::string& why) {
    checks.refuse_if(number >= count, settings.given("steering.nodes") ? "steering.nodes" : "steering.neurons",
                     fmt::format("there is no {} {} ({}, counted from 0)", what, number, why));
  };
  for (const Node& node : job.config.steering.nodes) {
    if (of_dictionaries(node.kind)) {
      const std::int64_t count = job.dictionaries ? std::ssize(*job.dictionaries) : 0;
      require("dictionary", node.layer, count, fmt::format("`features` names {}", count));
      if (node.layer < count) {
        const Dictionary& dictionary = (*job.dictionaries)[static_cast<std::size_t>(node.layer)];
        const std::int64_t nodes = node.kind == NodeKind::features ? dictionary.features() : 1;
        require(node.kind == NodeKind::features ? "feature" : "error", node.index, nodes,
                nodes > 1 ? fmt::format("dictionary {} has {}", node.layer, nodes) : only_index(node));
        const FeatureTarget& own = dictionary.targets.front();
        const std::int64_t owner = error_places(*job.dictionaries).at({own.site, own.layer});
        checks.refuse_if(node.kind == NodeKind::errors && owner != node.layer, "steering.nodes",
                         fmt::format("the error where dictionary {} writes is that of dictionary {}; write errors:{}",
                                     node.layer, owner, owner));
      }
      require("position", node.position, positions,
              fmt::format("held-out prompts have as few as {} tokens", positions));
      continue;
    }
    const NodeTable table = node_table(node.kind, a, job.config.mlp_side);
    const std::string kind = name_of(node.kind);
    const bool layered = node.kind != NodeKind::embeddings;
    require("layer", node.layer, table.layers,
            layered ? fmt::format("the model has {}", table.layers) : "embeddings have layer 0");
    require(kind.substr(0, kind.size() - 1).c_str(), node.index, table.nodes,
            table.nodes > 1 ? fmt::format("the model has {}", table.nodes) : only_index(node));
    require("position", node.position, positions, fmt::format("held-out prompts have as few as {} tokens", positions));
  }
  checks.finish();
}

void settle_rules(Job& job) {
  const Fired& sites = job.measures->sites(*job.working);
  Method& method = job.config.method;
  const std::string place = " in a " + job.architecture().family + " model (it fired 0 times)";
  for (const Rule rule : method.asked) {
    if (sites.of(rule) == 0) {
      throw UserError("attribution.rules." + name_of(rule), "the rule has no place to act" + place + "; remove it");
    }
  }
  const bool had_any = method.rules.any();
  for (const Rule rule : all_rules) {
    if (!method.rules.has(rule) || sites.of(rule) > 0) continue;
    method.rules = method.rules.without(rule);
    job.dropped.push_back(rule);
  }
  if (had_any && !method.rules.any()) {
    throw UserError("attribution",
                    "no rule of '" + method.name + "' has a place to act" + place + "; take another method");
  }
}

void settle_quadrature(Job& job) {
  Method& method = job.config.method;
  if (dtype_named(job.config.dtype) != at::kBFloat16) return;
  if (method.quadrature != Quadrature::adaptive) return;
  if (method.rules.any()) {
    throw UserError("attribution.quadrature",
                    "in bfloat16 adaptive takes its points from a pilot, which needs true effects to compare with, and "
                    "replacement rules have none; take a fixed rule, or dtype float32");
  }
  method.quadrature = Quadrature::pilot;
}

void settle_job(Job& job, const Settings& settings) {
  job.config.unpaired = lacks_counterfactuals(job.pairs);
  const bool kept = job.config.method.positions == Positions::keep;
  job.train_length = kept ? job.pairs.train.front().length() : 1;
  if (!job.config.baseline_file.empty()) {
    if (buckets_of(job.pairs.train).size() > 1) {
      throw UserError("attribution.baseline_file",
                      "holds means for one token length, and the training pairs have several; set pairs.length and "
                      "positions: keep");
    }
    job.baseline_prompts =
        read_baseline(job.config, *job.tokenizer, job.pairs.train.front().length(), job.architecture().vocabulary);
  }
  settle_sizes(job, settings);
  if (job.config.method.score == ScoreKind::imported) {
    job.imported = imported_scores(read_score_file(job.config.scores_file), job.layout(), job.config.scores_file,
                                   job.dictionaries.get());
  }
  check_steering(job, settings);
  settle_rules(job);
  settle_quadrature(job);
}

void require_in_vocabulary(const std::vector<std::int64_t>& ids, const Tokenizer& tokenizer, std::int64_t vocabulary,
                           const std::string& where) {
  const std::int64_t largest = ids.empty() ? -1 : *std::max_element(ids.begin(), ids.end());
  if (largest < vocabulary) return;
  throw UserError(where, fmt::format("token {} ('{}') is outside the model's vocabulary of {}; use the tokenizer.json "
                                     "that belongs to the model",
                                     largest, tokenizer.text_of(largest), vocabulary));
}

bool lacks_counterfactuals(const PairSet& pairs) {
  const auto lacks = [](const TokenPair& pair) { return pair.counterfactual.empty(); };
  return std::any_of(pairs.train.begin(), pairs.train.end(), lacks) ||
         std::any_of(pairs.test.begin(), pairs.test.end(), lacks);
}

PairOptions pair_options_for(const RunConfig& config, const Architecture& architecture) {
  PairOptions options = config.pairs;
  options.vocabulary = architecture.vocabulary;
  options.max_length = architecture.max_positions;
  return options;
}

}  // namespace tributary
