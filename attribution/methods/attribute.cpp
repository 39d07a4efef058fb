// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/attribute.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "attribution/methods/integrate.h"
#include "attribution/methods/unit_runs.h"
#include "common/errors.h"

namespace tributary {
namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

double total(const at::Tensor& scores) { return scores.to(at::kDouble).sum().item<double>(); }

double value_at(const at::Tensor& vector, std::int64_t index) { return vector[index].to(at::kDouble).item<double>(); }

std::vector<std::int64_t> counting(std::int64_t n) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

double relative_l1(const at::Tensor& scores, const at::Tensor& finer) {
  const at::Tensor reference = finer.to(at::kDouble);
  return total((scores.to(at::kDouble) - reference).abs()) / total(reference.abs());
}

/// One unit under way: its recorded runs, and the tensors that its pairs fill in.
class Unit {
 public:
  Unit(const Networks& networks, const Method& method, const Prompts& prompts, const UnitOptions& options)
      : networks_(networks),
        method_(method),
        options_(options),
        pairs_(prompts.clean.size(0)),
        length_(prompts.clean.size(1)) {
    const MetricTokens tokens = metric_tokens(*networks.exact, prompts, options.batching);
    exact_ = record_unit(*networks.exact, method, prompts, tokens, options);
    working_ =
        networks.working == networks.exact ? exact_ : record_unit(*networks.working, method, prompts, tokens, options);
    const at::Tensor clean = exact_.clean.metric.to(at::kDouble);
    out_.metric =
        at::stack(
            {clean, exact_.paired() ? exact_.counterfactual.metric.to(at::kDouble) : at::full_like(clean, nothing)}, 1)
            .cpu();
  }

  UnitScores compute() {
    switch (method_.score) {
      case ScoreKind::exact:
        patch_exactly();
        break;
      case ScoreKind::magnitude:
        for (std::int64_t pair = 0; pair < pairs_; ++pair) {
          add(differences(pair).abs());
          pause();
        }
        break;
      case ScoreKind::noise: {
        const Architecture& a = networks_.working->architecture();
        const at::Tensor one =
            noise(a.layers, method_.positions == Positions::sum ? 1 : length_, a.neurons, options_.seed)
                .narrow(0, options_.layers.first, layers());
        for (std::int64_t pair = 0; pair < pairs_; ++pair) add(one);
        break;
      }
      default:
        if (method_.path == PathKind::activations) {
          activation_paths();
        } else {
          embedding_path();
        }
    }
    if (!out_.evaluations.defined()) out_.evaluations = at::zeros({pairs_, layers()}, at::kDouble);
    return out_;
  }

  /// Index of the cheapest pilot candidate within tolerance, for every pair and layer.
  at::Tensor pilot_choices() {
    if (method_.path == PathKind::embeddings) {
      at::Tensor chosen = at::empty({pairs_, 1}, at::kDouble);
      const EmbeddingPath path = make_embedding_path();
      for (std::int64_t pair = 0; pair < pairs_; ++pair)
        chosen[pair][0] = choose(path, pair, embedding_target(pair), embedding_sum());
      return chosen;
    }
    at::Tensor chosen = at::empty({pairs_, layers()}, at::kDouble);
    for (std::int64_t l = 0; l < layers(); ++l) {
      const LayerEnds ends = ends_of(working_, l);
      const ActivationPath path = make_activation_path(l, ends);
      const at::Tensor effect = effect_of(l);
      for (std::int64_t pair = 0; pair < pairs_; ++pair) {
        chosen[pair][l] = choose(path, pair, target(value_at(effect, pair), pair), activation_sum(ends));
      }
    }
    return chosen;
  }

 private:
  [[nodiscard]] std::int64_t layers() const { return options_.layers.end - options_.layers.first; }
  [[nodiscard]] LayerEnds ends_of(const UnitRuns& runs, std::int64_t l) const {
    return layer_ends(runs, method_, options_.mean, options_.layers.first + l);
  }
  void pause() const {
    if (options_.between_batches) options_.between_batches();
  }
  [[nodiscard]] bool audited(std::int64_t pair) const {
    return !options_.audit.empty() && options_.audit.at(static_cast<std::size_t>(pair)) != 0;
  }

  /// Adds one pair's scores [layer, pos, neuron] to the sum, from layer `first` of the unit on.
  void add(const at::Tensor& scores, std::int64_t first = 0) {
    at::Tensor s = scores.to(at::kDouble);
    if (method_.positions == Positions::sum && s.size(1) != 1) s = s.sum(1, true);  // [layer, 1, neuron]
    if (method_.aggregate == Aggregate::mean_abs) s = s.abs();
    if (!out_.scores.defined()) {
      out_.scores = at::zeros({method_.has_neurons() ? layers() : 1, s.size(1), s.size(2)}, s.options());
    }
    out_.scores.narrow(0, first, s.size(0)).add_(s);
  }

  /// a_x - baseline of one pair [layer, pos, neuron], in score dtype.
  [[nodiscard]] at::Tensor differences(std::int64_t pair) const {
    std::vector<at::Tensor> by_layer;
    for (std::int64_t l = 0; l < layers(); ++l) {
      const std::int64_t layer = options_.layers.first + l;
      const at::ScalarType type = networks_.working->score_type();
      by_layer.push_back(working_.clean.activations[layer][pair].to(type) -
                         baseline_activations(working_, method_, options_.mean, layer)[pair].to(type));
    }
    return at::stack(by_layer);
  }

  [[nodiscard]] at::Tensor effect_of(std::int64_t l) const {
    return layer_effect(*networks_.exact, options_.layers.first + l, ends_of(exact_, l), method_.direction,
                        exact_.tokens, options_.batching);
  }

  /// The tolerance is relative to the effect, but not to one that float32 cannot resolve beside m(x) - m(x').
  [[nodiscard]] Target target(double difference, std::int64_t pair) const {
    const double clean = value_at(exact_.clean.metric, pair);
    const double far = exact_.paired() ? clean - value_at(exact_.counterfactual.metric, pair) : clean;
    return {difference, std::max(std::abs(difference), 0.01 * std::abs(far))};
  }

  /// residual or linearisation gap, whichever this method's difference is called.
  void store_difference(std::int64_t pair, std::int64_t column, double difference, std::int64_t columns) {
    at::Tensor& where = method_.has_identity() ? out_.residual : out_.gap;
    if (!where.defined()) where = at::full({pairs_, columns}, nothing, at::kDouble);
    where[pair][column] = difference;
  }

  void store_spent(std::int64_t pair, std::int64_t l, std::int64_t count, const PathIntegral& integral) {
    if (!out_.evaluations.defined()) {
      out_.evaluations = at::zeros({pairs_, layers()}, at::kDouble);
      if (method_.quadrature == Quadrature::adaptive) out_.converged = at::ones({pairs_, layers()}, at::kDouble);
    }
    out_.evaluations[pair].narrow(0, l, count).fill_(integral.evaluations);
    if (out_.converged.defined()) out_.converged[pair].narrow(0, l, count).fill_(integral.converged ? 1 : 0);
  }

  void store_audit(std::int64_t pair, std::int64_t l, double error) {
    if (!out_.audit.defined()) out_.audit = at::full({pairs_, layers()}, nothing, at::kDouble);
    out_.audit[pair][l] = error;
  }

  /// The sweep with twice the points that an audit compares with.
  [[nodiscard]] SweepPlan doubled(int used) const {
    const bool equispaced = method_.quadrature == Quadrature::adaptive || method_.quadrature == Quadrature::pilot ||
                            fixed_points(*method_.quadrature) != 0;
    if (equispaced && method_.score == ScoreKind::conductance)
      return sweep_of(method_, Quadrature::trapezoid, 2 * (used - 1));
    if (equispaced) return sweep_of(method_, Quadrature::trapezoid, 2 * (used - 1) + 1);
    return sweep_of(method_, *method_.quadrature, 2 * method_.steps);
  }

  [[nodiscard]] AdaptiveOptions adaptive_options() const {
    return {method_.tolerance, method_.max_points,
            method_.score == ScoreKind::conductance ? AdaptiveOptions::Agreement::conductance
                                                    : AdaptiveOptions::Agreement::sum};
  }

  /// The fixed plan of a layer (`l` = 0 on embedding paths): the method's own, or the pilot's choice.
  [[nodiscard]] SweepPlan plan_of(std::int64_t l) const {
    if (method_.path == PathKind::none)
      return {{{method_.direction == Direction::clean ? 1.0 : 0.0}, {1.0}}, IntervalGradient::mean};
    if (method_.quadrature != Quadrature::pilot) return sweep_of(method_, *method_.quadrature, method_.steps);
    const std::size_t place =
        method_.path == PathKind::embeddings ? 0 : static_cast<std::size_t>(options_.layers.first + l);
    return pilot_plan(options_.layer_rules.at(place), options_.layer_points.at(place));
  }

  /// Conductance sums over intervals, so there every candidate stands for its number of equispaced points.
  [[nodiscard]] SweepPlan pilot_plan(Quadrature rule, int points) const {
    return method_.score == ScoreKind::conductance ? sweep_of(method_, Quadrature::trapezoid, points - 1)
                                                   : sweep_of(method_, rule, points);
  }

  double choose(const PathNetwork& path, std::int64_t pair, const Target& goal, const SumOf& sum_of) const {
    const auto& candidates = pilot_candidates();
    for (std::size_t i = 0; i + 1 < candidates.size(); ++i) {
      const std::vector<PathIntegral> one =
          integrate(path, {pair}, pilot_plan(candidates[i].rule, candidates[i].points));
      pause();
      if (std::abs(sum_of(static_cast<std::size_t>(pair), one.front()) - goal.difference) <=
          method_.tolerance * goal.scale) {
        return static_cast<double>(i);
      }
    }
    return static_cast<double>(candidates.size() - 1);
  }

  // Activation paths: one layer at a time.

  [[nodiscard]] ActivationPath make_activation_path(std::int64_t l, const LayerEnds& ends) const {
    const std::int64_t layer = options_.layers.first + l;
    return {*networks_.working, layer,         ends.run.residuals[layer], ends.start, ends.end,
            working_.tokens,    method_.rules, options_.batching};
  }

  /// Scores delta × mean gradient of one pair in one layer [1, pos, neuron].
  [[nodiscard]] at::Tensor activation_scores(const LayerEnds& ends, std::int64_t pair,
                                             const PathIntegral& integral) const {
    const at::ScalarType type = networks_.working->score_type();
    return (ends.end[pair].to(type) - ends.start[pair].to(type)) * integral.gradient;
  }

  [[nodiscard]] SumOf activation_sum(const LayerEnds& ends) const {
    return [this, &ends](std::size_t pair, const PathIntegral& integral) {
      return total(activation_scores(ends, static_cast<std::int64_t>(pair), integral));
    };
  }

  void activation_paths() {
    const bool need_effect = method_.has_identity() || options_.gap == UnitOptions::Gap::measure;
    for (std::int64_t l = 0; l < layers(); ++l) {
      const LayerEnds ends = ends_of(working_, l);
      const ActivationPath path = make_activation_path(l, ends);
      const at::Tensor effect = need_effect ? effect_of(l) : at::Tensor();
      std::vector<PathIntegral> integrals;
      if (method_.quadrature == Quadrature::adaptive) {
        std::vector<Target> targets;
        for (std::int64_t pair = 0; pair < pairs_; ++pair) targets.push_back(target(value_at(effect, pair), pair));
        integrals = integrate_adaptive(path, targets, activation_sum(ends), adaptive_options());
      } else {
        integrals = integrate(path, counting(pairs_), plan_of(l));
      }
      for (std::int64_t pair = 0; pair < pairs_; ++pair) {
        const PathIntegral& integral = integrals[static_cast<std::size_t>(pair)];
        const at::Tensor scores = activation_scores(ends, pair, integral);
        add(scores, l);
        if (need_effect) store_difference(pair, l, total(scores) - value_at(effect, pair), layers());
        store_spent(pair, l, 1, integral);
        if (audited(pair)) {
          store_audit(
              pair, l,
              relative_l1(scores, activation_scores(ends, pair,
                                                    integrate(path, {pair}, doubled(integral.evaluations)).front())));
        }
      }
      pause();
    }
  }

  // Embedding paths, and the one-point methods, which are a look at one of their ends.

  [[nodiscard]] EmbeddingPath make_embedding_path() const {
    const bool moves = method_.path == PathKind::embeddings;
    const bool zero = method_.baseline == Baseline::zero;
    const at::Tensor& end = working_.clean.embeddings;
    at::Tensor start = moves ? (zero ? at::zeros_like(end) : working_.start.embeddings) : end;
    if (!moves && method_.direction == Direction::denoise) start = working_.counterfactual.embeddings;
    return {*networks_.working, start, end, working_.tokens, method_.rules, options_.batching};
  }

  /// Input IG per token [pos] from a sweep's mean input gradient.
  [[nodiscard]] at::Tensor token_scores(std::int64_t pair, const PathIntegral& integral) const {
    const at::ScalarType type = networks_.working->score_type();
    at::Tensor moved = working_.clean.embeddings[pair].to(type);  // [pos, d_model]
    if (method_.baseline != Baseline::zero) moved = moved - working_.start.embeddings[pair].to(type);
    return (moved * integral.input_gradient).sum(-1);
  }

  [[nodiscard]] SumOf embedding_sum() const {
    return [this](std::size_t pair, const PathIntegral& integral) {
      return total(token_scores(static_cast<std::int64_t>(pair), integral));
    };
  }

  [[nodiscard]] Target embedding_target(std::int64_t pair) const {
    return target(value_at(exact_.clean.metric, pair) - value_at(exact_.start.metric, pair), pair);
  }

  /// What the method makes of a sweep: [layer, pos, neuron], or [1, pos, 1] for input IG.
  [[nodiscard]] at::Tensor sweep_scores(std::int64_t pair, const PathIntegral& integral) const {
    if (method_.score == ScoreKind::input) return token_scores(pair, integral).view({1, -1, 1});
    const auto range = [this](const at::Tensor& all) { return all.narrow(0, options_.layers.first, layers()); };
    if (method_.score == ScoreKind::conductance) return range(integral.conductance);
    if (method_.path == PathKind::none) return differences(pair) * range(integral.gradient);
    const at::ScalarType type = networks_.working->score_type();
    const at::Tensor delta =
        working_.clean.activations.select(1, pair).to(type) - working_.start.activations.select(1, pair).to(type);
    return range(delta) * range(integral.gradient);
  }

  void embedding_path() {
    const EmbeddingPath path = make_embedding_path();
    std::vector<at::Tensor> effects;
    if (method_.path == PathKind::none && options_.gap == UnitOptions::Gap::measure) {
      for (std::int64_t l = 0; l < layers(); ++l) {
        effects.push_back(effect_of(l));
        pause();
      }
    }
    std::vector<PathIntegral> integrals;
    if (method_.quadrature == Quadrature::adaptive) {
      std::vector<Target> targets;
      for (std::int64_t pair = 0; pair < pairs_; ++pair) targets.push_back(embedding_target(pair));
      integrals = integrate_adaptive(path, targets, embedding_sum(), adaptive_options());
    } else {
      integrals = integrate(path, counting(pairs_), plan_of(0));
    }
    for (std::int64_t pair = 0; pair < pairs_; ++pair) {
      finish_sweep(path, pair, integrals[static_cast<std::size_t>(pair)], effects);
      pause();
    }
  }

  void finish_sweep(const EmbeddingPath& path, std::int64_t pair, const PathIntegral& integral,
                    const std::vector<at::Tensor>& effects) {
    const at::Tensor scores = sweep_scores(pair, integral);
    add(scores);
    store_spent(pair, 0, layers(), integral);
    for (std::size_t l = 0; l < effects.size(); ++l) {
      const auto column = static_cast<std::int64_t>(l);
      store_difference(pair, column, total(scores[column]) - value_at(effects[l], pair), layers());
    }
    if (method_.path != PathKind::embeddings) return;
    const at::Tensor tokens = token_scores(pair, integral);
    if (!out_.inputs.defined()) out_.inputs = at::zeros({pairs_, length_}, at::kDouble);
    out_.inputs[pair] = tokens.to(at::kDouble).cpu();
    store_difference(pair, 0, total(tokens) - embedding_target(pair).difference, 1);
    if (audited(pair)) {
      const at::Tensor finer = sweep_scores(pair, integrate(path, {pair}, doubled(integral.evaluations)).front());
      for (std::int64_t l = 0; l < layers(); ++l) {
        const std::int64_t row = method_.has_neurons() ? l : 0;
        store_audit(pair, l, relative_l1(scores[row], finer[row]));
      }
    }
  }

  void patch_exactly() {
    const Architecture& a = networks_.exact->architecture();
    out_.scores =
        at::full({layers(), method_.positions == Positions::sum ? 1 : length_, a.neurons}, nothing, at::kDouble);
    for (std::int64_t l = 0; l < layers(); ++l) {
      std::vector<Neuron> here;
      for (const Neuron& neuron : options_.sample) {
        if (neuron.layer == options_.layers.first + l) here.push_back(neuron);
      }
      if (here.empty()) continue;
      at::Tensor effects = exact_patching(*networks_.exact, here, ends_of(exact_, l), method_.direction, exact_.tokens,
                                          options_.batching);
      if (method_.aggregate == Aggregate::mean_abs) effects = effects.abs();
      const at::Tensor sums = effects.sum(0);  // [neuron of the sample]
      for (std::size_t n = 0; n < here.size(); ++n) {
        out_.scores[l][std::max<std::int64_t>(here[n].position, 0)][here[n].index] = sums[static_cast<std::int64_t>(n)];
      }
      pause();
    }
  }

  const Networks& networks_;
  const Method& method_;
  const UnitOptions& options_;
  std::int64_t pairs_, length_;
  UnitRuns exact_, working_;
  UnitScores out_;
};

}  // namespace

const std::vector<PilotCandidate>& pilot_candidates() {
  static const std::vector<PilotCandidate> candidates = {
      {Quadrature::radau, 2},      {Quadrature::simpson, 3},    {Quadrature::boole, 5},      {Quadrature::trapezoid, 9},
      {Quadrature::trapezoid, 17}, {Quadrature::trapezoid, 33}, {Quadrature::trapezoid, 65},
  };
  return candidates;
}

UnitScores attribute(const Networks& networks, const Method& method, const Prompts& prompts,
                     const UnitOptions& options) {
  return Unit(networks, method, prompts, options).compute();
}

at::Tensor pilot(const Networks& networks, const Method& method, const Prompts& prompts, const UnitOptions& options) {
  return Unit(networks, method, prompts, options).pilot_choices();
}

Fired count_fired(const Transformer& model, const Prompts& prompts, Rules rules) {
  Fired fired;
  Prompts first{prompts.clean.narrow(0, 0, 1), {}, prompts.tokens, prompts.top_k};
  if (first.tokens.tokens.defined()) first.tokens.tokens = first.tokens.tokens.narrow(0, 0, 1);
  const MetricTokens tokens = metric_tokens(model, first, {});
  const at::Tensor e = model.embed(first.clean);
  const EmbeddingPath path(model, e, e, {tokens.tokens, tokens.coefficients.to(model.score_type())}, rules, {});
  path.evaluate(
      {{0, 1.0}}, [](std::size_t, const PathSample&) {}, &fired);
  return fired;
}

}  // namespace tributary
