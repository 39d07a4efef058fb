// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A table of keys that is no program's, for the tests of io/config.h.
#pragma once

#include <vector>

#include "io/config.h"

namespace tributary {

/// A small table with every kind, a word that is also a group, words beside numbers, and one required key.
inline std::vector<Key> small_table() {
  using enum Kind;
  return {
      {.path = "name", .kind = text, .meaning = "Name of the sweep.", .presence = Key::Presence::required},
      {.path = "model.path", .kind = path, .meaning = "The checkpoint folder."},
      {.path = "model.dtype", .kind = text, .fallback = "float32", .choices = {"float32", "bfloat16"}},
      {.path = "attribution.method", .kind = text, .fallback = "relp", .choices = {"relp", "atp", "ig-acts"}},
      {.path = "attribution.steps", .kind = integer, .fallback = "10", .meaning = "Points.", .least = 1, .most = 1000},
      {.path = "attribution.tolerance", .kind = number, .least = 0},
      {.path = "attribution.rules", .kind = text, .choices = {"relp", "none"}},
      {.path = "attribution.rules.norm", .kind = boolean},
      {.path = "attribution.rules.half", .kind = boolean},
      {.path = "pairs.seed", .kind = integer, .fallback = "0"},
      {.path = "pairs.file", .kind = path, .fallback = "pairs.jsonl"},
      {.path = "circuit.counts", .kind = integers, .fallback = "[10, 30]", .least = 1, .effect = Effect::evaluation},
      {.path = "circuit.fractions", .kind = numbers, .least = 0, .most = 1},
      {.path = "circuit.notes", .kind = texts},
      {.path = "threads",
       .kind = integer,
       .fallback = "auto",
       .choices = {"auto"},
       .least = 1,
       .effect = Effect::speed},
      {.path = "fused", .kind = boolean, .fallback = "true", .effect = Effect::speed},
      {.path = "features",
       .kind = records,
       .meaning = "Dictionaries.",
       .fields = {{.path = "path", .kind = path, .meaning = "a folder", .presence = Key::Presence::required},
                  {.path = "hook", .kind = text, .choices = {"resid_pre", "resid_post", "mlp_out"}},
                  {.path = "layer", .kind = integer, .choices = {"all"}, .least = 0},
                  {.path = "note", .kind = text}}},
  };
}

}  // namespace tributary
