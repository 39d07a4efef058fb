// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/execution.h"

#include <chrono>
#include <cstddef>
#include <iterator>

namespace tributary {

Batching Execution::batching() const {
  return {rows.get(), [flag = stop] {
            if (flag != nullptr && flag->requested()) throw Stopped();
          }};
}

Execution Execution::evaluating(const std::string& identity) const {
  Execution own = *this;
  own.scope += " as " + identity.substr(0, 8);
  return own;
}

StageResult run_plan(const Execution& execution, const std::string& name, const StagePlan& plan,
                     const std::function<UnitResult(const Chunk&)>& compute) {
  execution.timings.begin(name);
  const auto start = std::chrono::steady_clock::now();
  StageResult result = execution.stages.result_of({name, execution.scope, plan.units, [&](std::int64_t unit, int) {
                                                     return compute(plan.chunks[static_cast<std::size_t>(unit)]);
                                                   }});
  execution.timings.add_seconds(name, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (execution.comm.rank() == 0) {
    execution.timings.add_units(std::ssize(plan.units), result.restored);
    execution.timings.add_computing(name, result.computing);
    execution.timings.add_earlier(name, result.earlier_seconds);
  }
  return result;
}

}  // namespace tributary
