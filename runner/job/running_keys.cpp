// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How a run is carried out: threads, batches, memory, units. None of these changes a number.
#include "runner/job/key_rows.h"

namespace tributary {

std::vector<Key> running_keys() {
  return {
      {.path = "threads",
       .kind = Kind::integer,
       .fallback = "auto",
       .meaning = "worker threads per rank; changes no number",
       .choices = {"auto"},
       .least = 1,
       .most = 1024,
       .effect = Effect::speed},
      {.path = "batch_rows",
       .kind = Kind::integer,
       .fallback = "auto",
       .meaning =
           "rows (pairs × steps × positions) in one network call; auto: planned from memory; changes no number on the "
           "CPU",
       .choices = {"auto"},
       .least = 1,
       .most = 1 << 24,
       .effect = Effect::speed},
      {.path = "memory",
       .kind = Kind::text,
       .fallback = "auto",
       .meaning = "what a rank may take ('8 GiB'): resident memory on the CPU, the card's on a card; auto: 80 % of "
                  "what the job "
                  "may take of the node (control groups, Slurm's --mem) or of what is free on the card, shared by the "
                  "ranks there",
       .effect = Effect::speed},
      {.path = "strict",
       .kind = Kind::boolean,
       .fallback = "false",
       .meaning =
           "on a card: running out of memory is an error instead of smaller batches, which may change the last digits",
       .effect = Effect::speed},
      {.path = "processors",
       .kind = Kind::text,
       .fallback = "mixed",
       .meaning =
           "one: ranks, and blocks of the journal, on another kind of processor or of other libraries are refused; "
           "mixed: they are taken with a warning, and the last digits depend on who computed what",
       .choices = {"mixed", "one"},
       .effect = Effect::speed},
      {.path = "unit.pairs",
       .kind = Kind::integer,
       .fallback = "auto",
       .meaning = "pairs in one unit of work, a power of two; changes no number",
       .choices = {"auto"},
       .least = 1,
       .most = 1 << 20,
       .effect = Effect::speed},
      {.path = "unit.layers",
       .kind = Kind::integer,
       .fallback = "auto",
       .meaning = "layers in one unit of work (ig-acts and exact-patching alone); changes no number",
       .choices = {"auto"},
       .least = 1,
       .most = 1 << 20,
       .effect = Effect::speed},
  };
}

}  // namespace tributary
