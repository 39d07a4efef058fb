// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a run needs of its configuration, typed and checked as far as that goes without its model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "attribution/circuit/ablation.h"
#include "attribution/circuit/ranking.h"
#include "attribution/methods/attribute.h"
#include "attribution/methods/table.h"
#include "attribution/nodes/node_table.h"
#include "io/checkpoint.h"
#include "io/config.h"
#include "io/pairs.h"

namespace tributary {

enum class MetricKind { logit_difference, logit, sum_of_logits };

/// How circuits are cut and evaluated; keys under `circuit`.
struct CircuitConfig {
  std::vector<std::int64_t> counts;
  std::vector<double> fractions, thresholds, mass;
  Ranking ranking = Ranking::absolute;
  Ablation ablation = Ablation::mean;
  enum class MeansFrom { test, train } means_from = MeansFrom::test;
  bool areas = true;            //!< whether CPR and CMD are evaluated
  std::vector<NodeKind> nodes;  //!< kinds that compete
};

/// Comparison with exact patching; keys under `agreement`.
struct AgreementConfig {
  std::int64_t sample = 0;  //!< nodes of each kind; 0: none
  std::uint64_t seed = 0;
};

/// Keys under `steering`.
struct SteeringConfig {
  std::vector<double> factors;  //!< empty: no steering
  std::int64_t top = 0;
  std::vector<Node> nodes;  //!< empty: the top ones
};

/// A dictionary of features, or with layer `all` one of every layer; keys under `features`.
struct FeatureSource {
  std::filesystem::path path;         //!< with {layer} in it where there is one of every layer
  std::string hook;                   //!< empty: what its folder says
  std::optional<std::int64_t> layer;  //!< none: what its folder says
  bool all_layers = false;
};

/// One run, typed and checked.
struct RunConfig {
  std::string name;
  ModelPlace model;      //!< as it is given, until locate_model has found it
  std::string revision;  //!< of a repository; empty: not given
  std::string dtype;
  std::string device;
  PairOptions pairs;
  bool correct_only = false;  //!< of those, the pairs that the model solves
  bool unpaired = false;      //!< some prompt has no counterfactual: then none is used (known once the pairs are read)
  MetricKind metric = MetricKind::logit_difference;
  std::int64_t metric_top = 0;
  Method method;
  std::vector<NodeKind> nodes{NodeKind::neurons};  //!< kinds that are scored, in the order of the ranking's ties
  MlpSide mlp_side = MlpSide::added;
  std::vector<FeatureSource> features;
  bool store_inputs = false;
  std::optional<std::int64_t> gap_pairs;  //!< whose linearisation gap is measured; none: auto
  TaskOptions::Spread spread = TaskOptions::Spread::measure;
  std::int64_t audit = 0;
  std::int64_t pilot_pairs = 0;
  std::int64_t sample = 0;
  std::uint64_t seed = 0;
  std::filesystem::path baseline_file;
  std::filesystem::path scores_file;  //!< method imported
  Keep keep;
  std::int64_t top = 0;                      //!< first nodes that are described
  std::vector<std::string> positions_names;  //!< empty: not given
  CircuitConfig circuit;
  AgreementConfig agreement;
  SteeringConfig steering;
  std::int64_t threads = 0;      //!< worker threads a rank; 0: auto
  std::int64_t batch_rows = 0;   //!< 0: planned from memory
  std::uint64_t memory = 0;      //!< bytes a rank may take; 0: auto
  bool strict = false;           //!< on a card, running out of memory is an error, not smaller batches
  bool mix_processors = true;    //!< whether sums may come from several kinds of processor
  std::int64_t unit_pairs = 0;   //!< 0: auto
  std::int64_t unit_layers = 0;  //!< 0: auto
};

/// Lists of numbers that a run sums up side by side: its scores, and where the spread is measured squares and signs.
inline std::int64_t sums_of(const RunConfig& run) { return run.spread == TaskOptions::Spread::measure ? 3 : 1; }

/// Throws UserError: parts that do not fit each other, each with its place in the file.
RunConfig run_config(const Settings& settings);

/// Finds the run's model on this machine's disk (find_model). Throws UserError.
void locate_model(RunConfig& run);

}  // namespace tributary
