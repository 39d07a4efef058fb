// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/table.h"

#include <algorithm>

#include "common/errors.h"
#include "common/text.h"

namespace tributary {
namespace {

Rules without(Rule rule) { return Rules::all().without(rule); }
Rules only(Rule rule) { return Rules().with(rule); }

const std::vector<RulePreset>& presets() {
  static const std::vector<RulePreset> rows = {
      {"relp", Rules::all()},
      {"relp-jafari", without(Rule::attention)},
      {"relp-transluce-release", without(Rule::attention)},
      {"no-norm", without(Rule::norm)},
      {"no-activation", without(Rule::activation)},
      {"no-half", without(Rule::half)},
      {"no-attention", without(Rule::attention)},
      {"norm-only", only(Rule::norm)},
      {"activation-only", only(Rule::activation)},
      {"half-only", only(Rule::half)},
      {"attention-only", only(Rule::attention)},
  };
  return rows;
}

std::vector<MethodRow> make_table() {
  using enum Quadrature;
  std::vector<MethodRow> rows = {
      {.name = "input-ig",
       .path = PathKind::embeddings,
       .score = ScoreKind::input,
       .quadrature = midpoint,
       .steps = 50,
       .meaning = "integrated gradients of the token embeddings, per token (Sundararajan et al. 2017)"},
      {.name = "ig-inputs",
       .path = PathKind::embeddings,
       .quadrature = right,
       .steps = 10,
       .meaning = "end-point difference × mean gradient along the embedding path (EAP-IG inputs, Hanna et al. 2024)"},
      {.name = "conductance",
       .path = PathKind::embeddings,
       .score = ScoreKind::conductance,
       .quadrature = trapezoid,
       .steps = 20,
       .meaning = "integral of the gradient along the neuron's own change (Dhamdhere et al. 2018)"},
      {.name = "ig-acts",
       .path = PathKind::activations,
       .quadrature = adaptive,
       .meaning = "one layer's neurons moved jointly from baseline to clean, layer by layer (EAP-IG activations)"},
      {.name = "atp", .meaning = "attribution patching: difference × gradient at the clean prompt"},
      {.name = "gradient-x-activation",
       .baseline = Baseline::zero,
       .meaning = "(activation − its mean or 0) × gradient at the clean prompt"},
      {.name = "exact-patching",
       .score = ScoreKind::exact,
       .meaning = "the oracle: one forward pass a neuron, on a seeded sample of neurons; the others are NaN"},
      {.name = "delta",
       .score = ScoreKind::magnitude,
       .meaning = "|difference of activations|: a comparison every report should show"},
      {.name = "random", .score = ScoreKind::noise, .meaning = "seeded noise: likewise"},
      {.name = "imported",
       .score = ScoreKind::imported,
       .meaning = "scores that something else has computed, of attribution.file: the same of every pair"},
      {.name = "eap-ig-inputs",
       .path = PathKind::embeddings,
       .quadrature = left,
       .steps = 10,
       .meaning = "ig-inputs as EAP-IG's edge version sums it (left)"},
      {.name = "transluce-ig-acts",
       .path = PathKind::activations,
       .quadrature = right,
       .steps = 10,
       .meaning = "ig-acts as the transluce and feature-circuits releases sum it (their clean→patch k = 0 … n−1 is "
                  "right here)"},
      {.name = "captum-ig",
       .path = PathKind::embeddings,
       .score = ScoreKind::input,
       .quadrature = gauss_legendre,
       .steps = 50,
       .meaning = "input-ig with Captum's defaults"},
      {.name = "captum-conductance",
       .path = PathKind::embeddings,
       .score = ScoreKind::conductance,
       .quadrature = gauss_legendre,
       .steps = 50,
       .form = ConductanceForm::captum,
       .meaning = "Captum's LayerConductance with its defaults"},
  };
  for (const RulePreset& preset : presets()) {
    rows.push_back({.name = preset.name,
                    .rules = preset.rules,
                    .meaning = "attribution patching through the replacement model (RelP, Jafari et al. 2025)"});
  }
  return rows;
}

bool chooses_points(Quadrature rule) { return rule == Quadrature::adaptive || rule == Quadrature::pilot; }

/// Collects what does not fit; each check names the setting to change.
class Checks {
 public:
  explicit Checks(std::string prefix) : prefix_(std::move(prefix)) {}

  void require(bool fits, const std::string& setting, const std::string& text) {
    if (!fits) problems_.push_back({prefix_ + setting, text});
  }
  void finish() const {
    if (!problems_.empty()) throw UserError(problems_);
  }

 private:
  std::string prefix_;
  std::vector<Problem> problems_;
};

void check_quadrature(const Method& method, const MethodRequest& request, Checks& checks) {
  if (!method.quadrature) {
    checks.require(!request.quadrature, "quadrature",
                   "'" + method.name + "' evaluates one point (it has no path), so it takes no quadrature");
    checks.require(!request.steps, "steps",
                   "'" + method.name + "' evaluates one point (it has no path), so it takes no steps");
    return;
  }
  const Quadrature rule = *method.quadrature;
  const bool chooses = chooses_points(rule);
  checks.require(!(chooses && request.steps), "steps",
                 "quadrature '" + name_of(rule) + "' chooses its own points; remove steps, or set max_points");
  const int fixed = fixed_points(rule);
  checks.require(fixed == 0 || !request.steps || *request.steps == fixed, "steps",
                 "quadrature '" + name_of(rule) + "' has exactly " + std::to_string(fixed) + " points");
  const bool trapezoid = rule == Quadrature::trapezoid || rule == Quadrature::trapezoid_captum;
  checks.require(!trapezoid || method.score == ScoreKind::conductance || method.steps >= 2, "steps",
                 "the trapezoid rule needs at least 2 points (both ends)");
  if (method.score == ScoreKind::conductance && method.form == ConductanceForm::standard) {
    checks.require(rule == Quadrature::left || rule == Quadrature::right || rule == Quadrature::trapezoid || chooses,
                   "quadrature",
                   "conductance sums over intervals: left, right, trapezoid, adaptive or pilot (other rules have only "
                   "Captum's form: 'form: captum')");
  }
  checks.require(!(method.form == ConductanceForm::captum && chooses), "quadrature",
                 "Captum's form has no adaptive rule");
  checks.require(
      !(method.form == ConductanceForm::captum && fixed != 0), "quadrature",
      "Captum's form takes one point more than its steps, and '" + name_of(rule) + "' has only one number of points");
  checks.require(!(rule == Quadrature::pilot && method.rules.any()), "quadrature",
                 "the pilot compares sums with true effects, which scores under replacement rules do not tend to; take "
                 "adaptive or a fixed rule");
  if (method.path == PathKind::embeddings && method.baseline == Baseline::zero) {
    // Standard conductance drops the point; the weights of a mean gradient cannot.
    const bool drops = method.score == ScoreKind::conductance && method.form == ConductanceForm::standard && !chooses;
    checks.require(drops || chooses || !evaluates_start(method), "quadrature",
                   "'" + name_of(rule) +
                       "' evaluates the all-zero embedding, where the norms are undefined; take right, midpoint or "
                       "gauss-legendre");
    checks.require(!chooses, "quadrature",
                   "'" + name_of(rule) +
                       "' needs the all-zero embedding as an end point, where the norms are undefined; take right, "
                       "midpoint or gauss-legendre");
  }
}

}  // namespace

const std::vector<MethodRow>& method_table() {
  static const std::vector<MethodRow> table = make_table();
  return table;
}

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const MethodRow& row : method_table()) names.push_back(row.name);
  return names;
}

const std::vector<Synonym>& method_synonyms() {
  static const std::vector<Synonym> rows = {
      {"ig-activations", "ig-acts"},
      {"integrated-gradients-activations", "ig-acts"},
      {"eap-ig-activations", "ig-acts"},
      {"eap-ig", "eap-ig-inputs"},
      {"ig-input", "ig-inputs"},
      {"ig-embeddings", "ig-inputs"},
      {"integrated-gradients", "ig-inputs"},
      {"integrated-gradients", "ig-acts"},
      {"integrated-gradients-inputs", "ig-inputs"},
      {"attribution-patching", "atp"},
      {"activation-patching", "exact-patching"},
      {"exact", "exact-patching"},
      {"layer-conductance", "conductance"},
      {"neuron-conductance", "conductance"},
      {"captum-layer-conductance", "captum-conductance"},
      {"captum-integrated-gradients", "captum-ig"},
      {"input-x-gradient", "gradient-x-activation"},
      {"relevance-patching", "relp"},
      {"lrp", "relp"},
      {"layer-wise-relevance-propagation", "relp"},
  };
  return rows;
}

const std::vector<RulePreset>& rule_presets() { return presets(); }

bool evaluates_start(const Method& method) {
  const Quadrature rule = *method.quadrature;
  if (chooses_points(rule)) return true;
  const int fixed = fixed_points(rule);
  return nodes_of(rule, fixed != 0 ? fixed : std::max(method.steps, 2)).alpha.front() == 0;
}

Method resolve_method(const MethodRequest& request, const std::string& prefix) {
  const auto& table = method_table();
  const auto row =
      std::find_if(table.begin(), table.end(), [&](const MethodRow& r) { return r.name == request.method; });
  if (row == table.end()) {
    throw UserError(prefix + "method", "unknown method '" + request.method + "'" +
                                           did_you_mean(request.method, method_names(), method_synonyms()) +
                                           "; known ones: " + join(method_names()));
  }
  Method method;
  method.name = row->name;
  method.path = row->path;
  method.score = row->score;
  method.rules = row->rules;
  if (request.rule_preset) {
    const auto preset = std::find_if(presets().begin(), presets().end(),
                                     [&](const RulePreset& p) { return p.name == *request.rule_preset; });
    TRIBUTARY_EXPECT(preset != presets().end(), "the config's choices are the presets");
    method.rules = preset->rules;
  }
  for (const auto& [rule, on] : request.rules) {
    method.rules = on ? method.rules.with(rule) : method.rules.without(rule);
    if (on) method.asked.push_back(rule);
  }
  method.form = request.form.value_or(row->form);
  method.quadrature = row->quadrature;
  if (request.quadrature && row->quadrature) method.quadrature = request.quadrature;
  if (method.quadrature) {
    const int fixed = fixed_points(*method.quadrature);
    method.steps = fixed != 0 ? fixed : request.steps.value_or(row->steps != 0 ? row->steps : 10);
    if (chooses_points(*method.quadrature)) method.steps = 0;
  }
  method.baseline = request.baseline.value_or(row->baseline);
  method.tolerance = request.tolerance;
  method.max_points = request.max_points;
  method.direction = request.direction;
  method.aggregate = request.aggregate;
  method.positions = request.positions;

  Checks checks(prefix);
  const bool uses_gradient =
      method.score == ScoreKind::input || method.score == ScoreKind::delta || method.score == ScoreKind::conductance;
  checks.require(uses_gradient || (request.rules.empty() && !request.rule_preset), "rules",
                 "'" + method.name + "' takes no gradient, so replacement rules cannot act");
  checks.require(method.form == ConductanceForm::standard || method.score == ScoreKind::conductance, "form",
                 "'captum' is a form of conductance; '" + method.name + "' has only the standard one");
  checks.require(
      method.direction == Direction::clean || method.path != PathKind::embeddings, "direction",
      "'denoise' has no meaning on an embedding path (the whole network moves); '" + method.name + "' runs on one");
  checks.require(method.direction == Direction::clean || method.baseline == Baseline::pair, "direction",
                 "'denoise' moves a layer from the counterfactual run to the clean one, so its baseline is 'pair'");
  check_quadrature(method, request, checks);
  checks.finish();
  return method;
}

std::string name_of(Baseline baseline) {
  return baseline == Baseline::pair ? "pair" : baseline == Baseline::zero ? "zero" : "mean";
}
std::string name_of(Direction direction) { return direction == Direction::clean ? "clean" : "denoise"; }
std::string name_of(ConductanceForm form) { return form == ConductanceForm::standard ? "standard" : "captum"; }
std::string name_of(Aggregate aggregate) { return aggregate == Aggregate::mean ? "mean" : "mean-abs"; }
std::string name_of(Positions positions) { return positions == Positions::keep ? "keep" : "sum"; }

}  // namespace tributary
