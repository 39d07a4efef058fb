// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/execution.h"

#include <chrono>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include "runner/stages/numbers.h"

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

namespace {

/// Units of a lane as one chunk, and the rows of each again.
RunResult compute_joined(const StagePlan& plan, const std::vector<std::int64_t>& units,
                         const std::function<UnitResult(const Chunk&)>& compute) {
  Chunk joined;
  std::vector<std::int64_t> pairs;  // [unit]
  for (const std::int64_t unit : units) {
    const Chunk& chunk = plan.chunks[static_cast<std::size_t>(unit)];
    joined.layers = chunk.layers;
    joined.members.insert(joined.members.end(), chunk.members.begin(), chunk.members.end());
    pairs.push_back(std::ssize(chunk.members));
  }
  UnitResult all = compute(joined);
  return {std::move(all.sum), split_rows(all.rows, pairs), std::move(all.sparse)};
}

}  // namespace

StageResult run_plan(const Execution& execution, const std::string& name, const StagePlan& plan,
                     const std::function<UnitResult(const Chunk&)>& compute) {
  execution.timings.begin(name);
  const auto start = std::chrono::steady_clock::now();
  Stage stage{name,
              execution.scope,
              plan.units,
              [&](std::int64_t unit, int) { return compute(plan.chunks[static_cast<std::size_t>(unit)]); },
              {}};
  if (!plan.at_once.empty()) {
    stage.at_once = {[&](const std::vector<std::int64_t>& units, int) { return compute_joined(plan, units, compute); },
                     plan.at_once};
  }
  StageResult result = execution.stages.result_of(stage);
  execution.timings.add_seconds(name, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (execution.comm.rank() == 0) {
    execution.timings.add_units(std::ssize(plan.units), result.restored);
    execution.timings.add_computing(name, result.computing);
    execution.timings.add_earlier(name, result.earlier_seconds);
  }
  return result;
}

}  // namespace tributary
