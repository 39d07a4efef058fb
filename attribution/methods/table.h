// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The table of methods and presets: a method = path × score × rules × quadrature × baseline (docs/methods.md).
// A new method is a new row.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "attribution/methods/quadrature.h"
#include "attribution/model/rules.h"
#include "attribution/nodes/node.h"
#include "common/text.h"

namespace tributary {

/// Which state of the network moves as alpha goes 0 -> 1.
enum class PathKind { none, embeddings, activations };

/// What is made of values and gradients.
enum class ScoreKind {
  input,        // per token: sum over d of (e_x - e_x') × mean gradient
  delta,        // delta_v × (mean) gradient
  conductance,  // integral of gradient dv
  exact,        // one forward a neuron
  magnitude,    // |delta_v|
  noise,        // seeded noise
  imported,     // scores that are given
};

enum class Baseline { pair, zero, mean };
enum class Direction { clean, denoise };
enum class ConductanceForm { standard, captum };
enum class Aggregate { mean, mean_abs };

/// One row: a published method or preset, with the defaults that its name stands for.
struct MethodRow {
  std::string name;
  PathKind path = PathKind::none;
  ScoreKind score = ScoreKind::delta;
  Rules rules{};
  std::optional<Quadrature> quadrature{};  //!< nothing: the method has none
  int steps = 0;                           //!< default n; 0: none
  Baseline baseline = Baseline::pair;
  ConductanceForm form = ConductanceForm::standard;
  std::string meaning;
};

const std::vector<MethodRow>& method_table();
std::vector<std::string> method_names();
/// Names that the literature and other programs give to methods of the table.
const std::vector<Synonym>& method_synonyms();

/// A named set of rules, for `rules: relp` on any path.
struct RulePreset {
  std::string name;
  Rules rules;
};
const std::vector<RulePreset>& rule_presets();

/// What a user asked for; whatever is not given comes from the method's row.
struct MethodRequest {
  std::string method;
  std::optional<std::string> rule_preset;
  std::map<Rule, bool> rules;  //!< switches given one by one; they win over row and preset
  std::optional<Quadrature> quadrature;
  std::optional<int> steps;
  std::optional<Baseline> baseline;
  std::optional<ConductanceForm> form;
  double tolerance = 0.01;
  int max_points = 65;
  Direction direction = Direction::clean;
  Aggregate aggregate = Aggregate::mean;
  Positions positions = Positions::keep;
};

/// A method with everything decided.
struct Method {
  std::string name;
  PathKind path = PathKind::none;
  ScoreKind score = ScoreKind::delta;
  Rules rules;
  std::vector<Rule> asked;  //!< rules switched on by their own name: each must fire
  std::optional<Quadrature> quadrature;
  int steps = 0;
  Baseline baseline = Baseline::pair;
  ConductanceForm form = ConductanceForm::standard;
  double tolerance = 0.01;
  int max_points = 65;
  Direction direction = Direction::clean;
  Aggregate aggregate = Aggregate::mean;
  Positions positions = Positions::keep;

  /// Whether the sum of scores tends to an end-point difference (a residual), or only differs from one (a linearisation
  /// gap).
  [[nodiscard]] bool has_identity() const { return path != PathKind::none && !rules.any(); }
  [[nodiscard]] bool has_neurons() const { return score != ScoreKind::input; }
};

/// Whether one of a method's points is alpha = 0, whatever its baseline; those that choose their points have it.
bool evaluates_start(const Method& method);

/// Fills in the row's defaults and checks that the parts fit. Throws UserError with every part that does not, where =
/// prefix + the setting's name ("quadrature", "rules", …): what the caller calls its settings.
Method resolve_method(const MethodRequest& request, const std::string& prefix = "");

std::string name_of(Baseline baseline);
std::string name_of(Direction direction);
std::string name_of(ConductanceForm form);
std::string name_of(Aggregate aggregate);
std::string name_of(Positions positions);

}  // namespace tributary
