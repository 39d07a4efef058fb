// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/run_config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "common/errors.h"
#include "common/text.h"
#include "runner/job/key_checks.h"
#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

/// Looks a word up in the names that the table of keys allowed.
template <typename Enum>
Enum chosen(const Settings& settings, const std::string& path, const std::vector<std::pair<std::string, Enum>>& names) {
  const auto word = settings.at<std::string>(path);
  for (const auto& [name, value] : names) {
    if (name == word) return value;
  }
  throw ContractViolation("the key table allows a word that run_config does not know: " + path + " = " + word);
}

const std::vector<std::pair<std::string, Baseline>> baselines = {
    {"pair", Baseline::pair}, {"zero", Baseline::zero}, {"mean", Baseline::mean}};

MethodRequest method_request(const Settings& settings) {
  MethodRequest request;
  request.method = settings.at<std::string>("attribution.method");
  request.rule_preset = settings.get<std::string>("attribution.rules");
  for (const Rule rule : all_rules) {
    if (const auto on = settings.get<bool>("attribution.rules." + name_of(rule))) request.rules[rule] = *on;
  }
  if (const auto name = settings.get<std::string>("attribution.quadrature"))
    request.quadrature = quadrature_named(*name);
  if (const auto steps = settings.get<std::int64_t>("attribution.steps")) request.steps = static_cast<int>(*steps);
  if (settings.has("attribution.baseline")) request.baseline = chosen(settings, "attribution.baseline", baselines);
  if (settings.has("attribution.form")) {
    request.form = chosen<ConductanceForm>(
        settings, "attribution.form", {{"standard", ConductanceForm::standard}, {"captum", ConductanceForm::captum}});
  }
  request.tolerance = settings.at<double>("attribution.tolerance");
  request.max_points = static_cast<int>(settings.at<std::int64_t>("attribution.max_points"));
  request.direction = chosen<Direction>(settings, "attribution.direction",
                                        {{"clean", Direction::clean}, {"denoise", Direction::denoise}});
  request.aggregate = chosen<Aggregate>(settings, "attribution.aggregate",
                                        {{"mean", Aggregate::mean}, {"mean-abs", Aggregate::mean_abs}});
  request.positions = chosen<Positions>(settings, "positions", {{"keep", Positions::keep}, {"sum", Positions::sum}});
  return request;
}

PairOptions pair_options(const Settings& settings) {
  PairOptions pairs;
  const auto path = [&settings](const std::string& name) {
    return settings.get<std::filesystem::path>(name).value_or(std::filesystem::path());
  };
  pairs.file = path("pairs.file");
  pairs.train_file = path("pairs.train_file");
  pairs.test_file = path("pairs.test_file");
  pairs.train = settings.get<std::int64_t>("pairs.train");
  pairs.test = settings.get<std::int64_t>("pairs.test");
  pairs.seed = static_cast<std::uint64_t>(settings.at<std::int64_t>("pairs.seed"));
  pairs.unfit = chosen<Unfit>(settings, "pairs.unfit", {{"refuse", Unfit::refuse}, {"skip", Unfit::skip}});
  pairs.overlap = chosen<Overlap>(settings, "pairs.overlap", {{"refuse", Overlap::refuse}, {"allow", Overlap::allow}});
  pairs.answer =
      chosen<Answer>(settings, "pairs.answer",
                     {{"whole", Answer::whole}, {"first-token", Answer::first_token}, {"alone", Answer::alone}});
  if (settings.has("pairs.bos")) {
    pairs.bos = chosen<Bos>(settings, "pairs.bos", {{"file", Bos::file}, {"add", Bos::add}, {"omit", Bos::omit}});
  }
  pairs.length = settings.get<std::int64_t>("pairs.length");
  pairs.one_length = settings.at<std::string>("positions") == "keep";
  return pairs;
}

void check_pairs(const RunConfig& run, KeyChecks& checks) {
  const PairOptions& pairs = run.pairs;
  const bool one = !pairs.file.empty();
  checks.refuse_if(
      one && !(pairs.train_file.empty() && pairs.test_file.empty()), "pairs.file",
      "pairs come from one file (split by seed) or from train_file and test_file, not from both; remove one of them");
  checks.refuse_if(!one && pairs.train_file.empty(), "pairs.train_file",
                   "no pairs are named; give pairs.file, or pairs.train_file and pairs.test_file");
  checks.refuse_if(
      run.unpaired && run.metric == MetricKind::logit_difference, "metric",
      "logit-difference needs a second answer, and unpaired prompts have none; take logit or sum-of-logits");
}

/// The folder of the results is called after the run, below results/.
void check_name(const RunConfig& run, KeyChecks& checks) {
  bool is_plain = true;
  for (std::size_t first = 0; first <= run.name.size();) {
    const std::size_t end = std::min(run.name.find('/', first), run.name.size());
    is_plain = is_plain && is_plain_name(std::string_view(run.name).substr(first, end - first));
    first = end + 1;
  }
  checks.refuse_if(!is_plain, "name",
                   "'" + printable(run.name, LineEnds::escape) +
                       "' is no name of a folder below results/ (it is empty, leads elsewhere by '..', '.' or a '/' at "
                       "its beginning, holds control characters, or is longer than 255 bytes); give a plain name, and "
                       "say --out FOLDER where results are to lie elsewhere");
}

/// Keys that only some methods read.
void check_method(const RunConfig& run, KeyChecks& checks) {
  checks.refuse_if(!run.baseline_file.empty() && run.method.baseline != Baseline::mean, "attribution.baseline_file",
                   "is read for 'baseline: mean' only");
  checks.refuse_if(run.store_inputs && run.method.path != PathKind::embeddings, "attribution.inputs",
                   "input IG comes from the embedding path, and '" + run.method.name + "' does not move along it");
  checks.refuse_if(run.method.score != ScoreKind::imported && !run.scores_file.empty(), "attribution.file",
                   "is read by method imported only; remove it, or in a sweep give it to that run alone "
                   "(sweep: {include: [{attribution.method: imported, attribution.file: …}]})");
  checks.refuse_if(run.method.score == ScoreKind::imported && run.scores_file.empty(), "attribution.method",
                   "is imported, and no attribution.file names the scores; name a file of them");
  checks.refuse_if(
      run.audit > 0 && run.method.path == PathKind::none, "attribution.audit",
      "'" + run.method.name + "' evaluates one point, so there are no twice as many to compare with; remove it");
}

/// Whether two nodes have a value in common.
bool overlap(const Node& a, const Node& b) {
  const bool same_position = a.position == b.position || a.position < 0 || b.position < 0;
  return a.kind == b.kind && a.layer == b.layer && a.index == b.index && same_position;
}

std::vector<Node> listed_nodes(const Settings& settings, const std::string& key, const char* form, KeyChecks& checks) {
  std::vector<Node> nodes;
  for (const std::string& text : settings.get<std::vector<std::string>>(key).value_or(std::vector<std::string>())) {
    const std::optional<Node> node = node_of(text);
    const bool known = node && (key == "steering.nodes" || text.find(':') == std::string::npos);
    checks.refuse_if(!known, key, "'" + text + "' names no " + form);
    if (!known) continue;
    const auto same = [&node](const Node& other) { return overlap(other, *node); };
    checks.refuse_if(std::any_of(nodes.begin(), nodes.end(), same), key,
                     "'" + text + "' is in the list already (it would be multiplied twice); remove one of the two");
    nodes.push_back(*node);
  }
  return nodes;
}

constexpr double most_steering = 1e6;

SteeringConfig steering_config(const Settings& settings, KeyChecks& checks) {
  SteeringConfig steering;
  steering.factors = settings.get<std::vector<double>>("steering.factors").value_or(std::vector<double>());
  const bool sensible = std::all_of(steering.factors.begin(), steering.factors.end(),
                                    [](double factor) { return std::abs(factor) <= most_steering; });
  checks.refuse_if(!sensible, "steering.factors",
                   "has a factor beyond 1e6, at which float32 has no room left; activations are multiplied by them");
  steering.top = settings.at<std::int64_t>("steering.top");
  steering.nodes = listed_nodes(settings, "steering.neurons",
                                "neuron; write layer/position/neuron, or layer/neuron for all positions", checks);
  const std::vector<Node> others = listed_nodes(
      settings, "steering.nodes",
      "node; write kind:layer/position/index (heads:3/5/2), or kind:layer/index for all positions", checks);
  steering.nodes.insert(steering.nodes.end(), others.begin(), others.end());
  std::vector<std::string> given;
  for (const char* const key : {"steering.top", "steering.neurons", "steering.nodes"}) {
    if (settings.given(key)) given.emplace_back(key);
  }
  checks.refuse_if(!given.empty() && steering.factors.empty(), given.empty() ? "steering.top" : given.front(),
                   "steering needs steering.factors, the numbers to multiply with ([-2, 0, 2])");
  if (given.size() > 1) {
    checks.refuse_if(true, given.front(),
                     "what is multiplied is listed in " + given.back() + " already; remove one of the two");
  }
  return steering;
}

/// Kinds of nodes by their names, each once.
std::vector<NodeKind> kinds_of(const Settings& settings, const std::string& key, std::vector<NodeKind> fallback,
                               KeyChecks& checks) {
  if (!settings.has(key)) return fallback;
  std::vector<NodeKind> kinds;
  for (const std::string& word : settings.at<std::vector<std::string>>(key)) {
    for (const NodeKind kind : all_node_kinds()) {
      if (name_of(kind) != word) continue;
      checks.refuse_if(std::find(kinds.begin(), kinds.end(), kind) != kinds.end(), key,
                       word + " is in the list twice; remove one of the two");
      kinds.push_back(kind);
    }
  }
  checks.refuse_if(kinds.empty(), key, "names no kind of nodes; give at least one, or leave the key out");
  return kinds;
}

std::vector<FeatureSource> feature_sources(const Settings& settings, KeyChecks& checks) {
  std::vector<FeatureSource> sources;
  for (const Record& item : settings.get<Records>("features").value_or(Records())) {
    FeatureSource source;
    source.path = std::get<std::string>(item.at("path"));
    if (const auto hook = item.find("hook"); hook != item.end()) source.hook = std::get<std::string>(hook->second);
    if (const auto layer = item.find("layer"); layer != item.end()) {
      const auto* number = std::get_if<std::int64_t>(&layer->second);
      source.all_layers = number == nullptr;
      if (number != nullptr) source.layer = *number;
    }
    const bool holds = source.path.string().find("{layer}") != std::string::npos;
    checks.refuse_if(source.all_layers != holds, "features",
                     source.all_layers ? "layer: all needs {layer} in path ('" + source.path.string() + "' has none)"
                                       : "'" + source.path.string() + "' holds {layer}, which needs layer: all");
    sources.push_back(std::move(source));
  }
  return sources;
}

/// What features cannot be used with.
void check_features(const RunConfig& run, bool scored, KeyChecks& checks) {
  checks.refuse_if(scored && run.features.empty(), "nodes",
                   "features need their dictionaries; give features: [{path: …, hook: …, layer: …}]");
  checks.refuse_if(!scored && !run.features.empty(), "features",
                   "features are not among the nodes; add them to nodes, remove the key, or on the command line say "
                   "features=[]. A sweep over nodes gives both together: zip: {nodes: [[heads], [features]], features: "
                   "[null, [{path: …}]]}");
  checks.refuse_if(scored && run.device == "cuda", "model.device",
                   "is cuda, and features are computed on the host alone yet; say cpu, or leave them out of nodes");
  if (!scored || run.method.name.empty()) return;
  checks.refuse_if(
      run.method.score == ScoreKind::conductance, "attribution.method",
      "is conductance, for which every feature would have to be followed along the path; take ig-inputs or "
      "ig-acts, or leave features out of nodes");
  checks.refuse_if(run.method.score == ScoreKind::exact, "attribution.method",
                   "is exact-patching, which features do not have yet; leave them out of nodes");
  checks.refuse_if(run.method.quadrature == Quadrature::pilot, "attribution.quadrature",
                   "is pilot, which features do not have; take adaptive or a fixed rule");
  checks.refuse_if(run.audit > 0 && run.nodes.size() == 1, "attribution.audit",
                   "is of other kinds of nodes than features; compare with a run of twice the attribution.steps");
}

void check_nodes(const RunConfig& run, const Settings& settings, KeyChecks& checks) {
  const auto has = [&run](NodeKind kind) {
    return std::find(run.nodes.begin(), run.nodes.end(), kind) != run.nodes.end();
  };
  checks.refuse_if(settings.given("nodes") && !run.method.name.empty() && !run.method.has_neurons(), "nodes",
                   run.method.name + " scores tokens, not nodes; remove it");
  checks.refuse_if(settings.given("mlps.side") && !has(NodeKind::mlps), "mlps.side",
                   "there are no mlps among the nodes; remove it, or add them to nodes");
  for (const NodeKind kind : run.circuit.nodes) {
    checks.refuse_if(!has(kind), "circuit.nodes", name_of(kind) + " are not among the nodes that are scored; add them");
  }
  const bool from_zero = run.method.path == PathKind::activations && run.method.baseline == Baseline::zero;
  checks.refuse_if(
      from_zero && has(NodeKind::embeddings) && evaluates_start(run.method), "attribution.quadrature",
      "evaluates the all-zero embedding (nodes have embeddings, and the baseline is zero), where the norms "
      "are undefined; take right, midpoint or gauss-legendre");
  checks.refuse_if(
      run.method.direction == Direction::denoise && run.method.path == PathKind::activations &&
          has(NodeKind::embeddings),
      "attribution.direction",
      "is denoise, which has no meaning on the path of embeddings (the whole network moves); take clean, or "
      "leave embeddings out of nodes");
}

std::optional<std::int64_t> gap_pairs(const Settings& settings) {
  const std::string key = "attribution.linearisation_gap";
  if (const auto number = settings.get<std::int64_t>(key)) return number;
  const auto word = settings.at<std::string>(key);
  if (word == "all") return std::numeric_limits<std::int64_t>::max();
  if (word == "skip") return 0;
  return std::nullopt;
}

}  // namespace

RunConfig run_config(const Settings& settings) {
  KeyChecks checks(settings);
  RunConfig run;
  run.name = settings.at<std::string>("name");
  run.model.folder = settings.at<std::filesystem::path>("model.path");
  run.revision = settings.get<std::string>("model.revision").value_or("");
  run.dtype = settings.at<std::string>("model.dtype");
  run.device = settings.at<std::string>("model.device");
  run.pairs = pair_options(settings);
  run.metric = chosen<MetricKind>(settings, "metric",
                                  {{"logit-difference", MetricKind::logit_difference},
                                   {"logit", MetricKind::logit},
                                   {"sum-of-logits", MetricKind::sum_of_logits}});
  run.correct_only = settings.at<bool>("pairs.correct_only");
  run.metric_top = settings.at<std::int64_t>("metric_top");
  run.pairs.patch_answer = run.metric == MetricKind::logit_difference ? Needs::it : Needs::nothing;
  run.store_inputs = settings.at<bool>("attribution.inputs");
  run.gap_pairs = gap_pairs(settings);
  run.spread = chosen<TaskOptions::Spread>(
      settings, "attribution.spread", {{"measure", TaskOptions::Spread::measure}, {"skip", TaskOptions::Spread::skip}});
  run.audit = settings.at<std::int64_t>("attribution.audit");
  run.pilot_pairs = settings.at<std::int64_t>("attribution.pilot_pairs");
  run.sample = settings.at<std::int64_t>("attribution.sample");
  run.seed = static_cast<std::uint64_t>(settings.at<std::int64_t>("attribution.seed"));
  run.baseline_file =
      settings.get<std::filesystem::path>("attribution.baseline_file").value_or(std::filesystem::path());
  run.scores_file = settings.get<std::filesystem::path>("attribution.file").value_or(std::filesystem::path());
  run.circuit.counts = settings.get<std::vector<std::int64_t>>("circuit.counts").value_or(std::vector<std::int64_t>());
  run.circuit.fractions = settings.get<std::vector<double>>("circuit.fractions").value_or(std::vector<double>());
  run.circuit.thresholds = settings.get<std::vector<double>>("circuit.thresholds").value_or(std::vector<double>());
  run.circuit.mass = settings.get<std::vector<double>>("circuit.mass").value_or(std::vector<double>());
  const bool other_selection =
      settings.given("circuit.fractions") || settings.given("circuit.thresholds") || settings.given("circuit.mass");
  if (other_selection && !settings.given("circuit.counts"))
    run.circuit.counts.clear();  // the default is for those who choose nothing
  run.circuit.ranking =
      chosen<Ranking>(settings, "circuit.ranking", {{"abs", Ranking::absolute}, {"signed", Ranking::signed_score}});
  run.circuit.ablation =
      chosen<Ablation>(settings, "circuit.ablation",
                       {{"mean", Ablation::mean}, {"zero", Ablation::zero}, {"resample", Ablation::resample}});
  run.circuit.means_from = chosen<CircuitConfig::MeansFrom>(
      settings, "circuit.ablation_pairs",
      {{"test", CircuitConfig::MeansFrom::test}, {"train", CircuitConfig::MeansFrom::train}});
  run.circuit.areas = settings.at<bool>("circuit.areas");
  run.nodes = kinds_of(settings, "nodes", {NodeKind::neurons}, checks);
  run.features = feature_sources(settings, checks);
  run.circuit.nodes = kinds_of(settings, "circuit.nodes", run.nodes, checks);
  if (settings.has("mlps.side")) {
    run.mlp_side = chosen<MlpSide>(settings, "mlps.side", {{"added", MlpSide::added}, {"written", MlpSide::written}});
  }
  run.threads = settings.get<std::int64_t>("threads").value_or(0);
  run.batch_rows = settings.get<std::int64_t>("batch_rows").value_or(0);
  run.strict = settings.at<bool>("strict");
  run.mix_processors = settings.at<std::string>("processors") == "mixed";
  if (const auto memory = settings.at<std::string>("memory"); memory != "auto") {
    try {
      run.memory = parse_bytes(memory);
    } catch (const std::invalid_argument& error) {
      checks.refuse_if(true, "memory", error.what());
    }
  }
  run.unit_pairs = settings.get<std::int64_t>("unit.pairs").value_or(0);
  run.unit_layers = settings.get<std::int64_t>("unit.layers").value_or(0);
  checks.refuse_if((run.unit_pairs & (run.unit_pairs - 1)) != 0, "unit.pairs",
                   std::to_string(run.unit_pairs) + " is no power of two; take 1, 2, 4, 8, …");
  try {
    run.method = resolve_method(method_request(settings), "attribution.");
  } catch (const UserError& error) {
    checks.add(error);
  }
  run.keep.what = Keep::What::largest;
  run.keep.count = settings.get<std::int64_t>("attribution.keep").value_or(0);
  if (run.keep.count == 0) {
    run.keep.what = settings.at<std::string>("attribution.keep") == "full" ? Keep::What::all : Keep::What::sums;
  }
  if (run.method.score == ScoreKind::imported) {  // of all pairs alike: single ones, and their spread, tell nothing
    run.spread = TaskOptions::Spread::skip;
    run.keep = {};
  }
  run.top = settings.at<std::int64_t>("top");
  run.positions_names =
      settings.get<std::vector<std::string>>("pairs.positions_names").value_or(std::vector<std::string>());
  run.agreement.sample = settings.at<std::int64_t>("agreement.sample");
  run.agreement.seed = static_cast<std::uint64_t>(settings.at<std::int64_t>("agreement.seed"));
  run.steering = steering_config(settings, checks);
  const bool compares = run.method.baseline == Baseline::pair || run.circuit.ablation == Ablation::resample;
  run.pairs.counterfactual = compares ? Needs::it : Needs::nothing;
  checks.refuse_if(!run.positions_names.empty() && run.method.positions == Positions::sum, "pairs.positions_names",
                   "'positions: sum' keeps no position apart, so there is nothing to name; remove it");
  check_name(run, checks);
  check_pairs(run, checks);
  check_nodes(run, settings, checks);
  check_features(run, std::find(run.nodes.begin(), run.nodes.end(), NodeKind::features) != run.nodes.end(), checks);
  if (!run.method.name.empty()) check_method(run, checks);
  checks.finish();
  return run;
}

void locate_model(RunConfig& run) { run.model = find_model(run.model.folder, run.revision); }

}  // namespace tributary
