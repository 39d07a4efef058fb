// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Replacement rules of RelP (Jafari et al. 2025, arXiv 2508.21258; docs/methods.md): they change
// derivatives only, never a forward value. Each is a switch of its own.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace tributary {

enum class Rule { norm, activation, half, attention, softcap };
inline constexpr std::array<Rule, 5> all_rules = {Rule::norm, Rule::activation, Rule::half, Rule::attention,
                                                  Rule::softcap};

/// "norm", "activation", "half", "attention", "softcap"
std::string name_of(Rule rule);

/// Which rules are on.
class Rules {
 public:
  Rules() = default;
  /// RelP's own four; `softcap` is no part of it.
  [[nodiscard]] static Rules all() {
    return Rules().with(Rule::norm).with(Rule::activation).with(Rule::half).with(Rule::attention);
  }

  [[nodiscard]] bool has(Rule rule) const { return on_.at(static_cast<std::size_t>(rule)); }
  [[nodiscard]] bool any() const { return *this != Rules(); }
  [[nodiscard]] Rules with(Rule rule) const { return set(rule, true); }
  [[nodiscard]] Rules without(Rule rule) const { return set(rule, false); }
  friend bool operator==(const Rules&, const Rules&) = default;

 private:
  [[nodiscard]] Rules set(Rule rule, bool value) const {
    Rules changed = *this;
    changed.on_.at(static_cast<std::size_t>(rule)) = value;
    return changed;
  }
  std::array<bool, 5> on_{};
};

/// How many times each rule acted in a backward pass of one pass.
class Fired {
 public:
  void count(Rule rule) { ++counts_.at(static_cast<std::size_t>(rule)); }
  [[nodiscard]] std::int64_t of(Rule rule) const { return counts_.at(static_cast<std::size_t>(rule)); }
  /// Without the counts of rules that are off: whether one acts does not depend on the others.
  [[nodiscard]] Fired only(Rules rules) const;

 private:
  std::array<std::int64_t, 5> counts_{};
};

}  // namespace tributary
