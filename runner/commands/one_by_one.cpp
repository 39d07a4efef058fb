// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/one_by_one.h"

#include <numeric>

#include "runner/commands/exit_codes.h"

namespace tributary {

int together_or_one_by_one(std::size_t runs, const GroupAttempts& attempts) {
  std::vector<std::size_t> all(runs);
  std::iota(all.begin(), all.end(), std::size_t{0});
  const GroupEnd end = attempts.compute(all);
  if (!end.in_common || end.code != exit_failed_units || runs < 2) return end.code;
  attempts.before_single();
  int worst = exit_done;
  for (const std::size_t run : all) {
    if (attempts.complete(run)) continue;
    const int code = attempts.compute({run}).code;
    worst = with_one_more(worst, code);
    if (ends_sweep(code)) break;
  }
  return worst;
}

}  // namespace tributary
