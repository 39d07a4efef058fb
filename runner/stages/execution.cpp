// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/execution.h"

#include <chrono>
#include <cstddef>
#include <iterator>
#include <map>
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

/// What joins units of a plan's lanes: their pairs as one chunk, and the rows of each again.
class JoinedUnits {
 public:
  explicit JoinedUnits(const StagePlan& plan) : plan_(plan) {
    for (std::size_t unit = 0; unit < plan.units.size(); ++unit) {
      places_[{plan.units[unit].lane, plan.units[unit].index}] = unit;
    }
  }

  [[nodiscard]] RunResult compute(std::int64_t lane, std::int64_t first, std::int64_t count,
                                  const std::function<UnitResult(const Chunk&)>& compute) const {
    Chunk joined;
    std::vector<std::int64_t> pairs;  // [unit]
    for (std::int64_t index = first; index < first + count; ++index) {
      const Chunk& chunk = plan_.chunks[places_.at({lane, index})];
      joined.layers = chunk.layers;
      joined.members.insert(joined.members.end(), chunk.members.begin(), chunk.members.end());
      pairs.push_back(std::ssize(chunk.members));
    }
    UnitResult all = compute(joined);
    return {std::move(all.sum), split_rows(all.rows, pairs)};
  }

 private:
  const StagePlan& plan_;
  std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> places_;  // lane, index → unit
};

}  // namespace

StageResult run_plan(const Execution& execution, const std::string& name, const StagePlan& plan,
                     const std::function<UnitResult(const Chunk&)>& compute) {
  execution.timings.begin(name);
  const auto start = std::chrono::steady_clock::now();
  const JoinedUnits joined(plan);
  Stage stage{name,
              execution.scope,
              plan.units,
              [&](std::int64_t unit, int) { return compute(plan.chunks[static_cast<std::size_t>(unit)]); },
              {}};
  if (!plan.at_once.empty()) {
    stage.at_once = {[&](std::int64_t lane, std::int64_t first, std::int64_t count, int) {
                       return joined.compute(lane, first, count, compute);
                     },
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
