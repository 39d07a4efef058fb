// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/stage.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <optional>

#include "common/errors.h"
#include "runner/cluster/detail/coordinator.h"
#include "runner/cluster/detail/follower.h"

namespace tributary {
namespace {

/// What a rank prepares by itself; whether all ranks could is agreed before the first message.
struct Preparation {
  std::optional<UnitTable> table;
  std::unique_ptr<Workers> workers;
  std::exception_ptr problem;
};

Preparation prepare(const Communicator& comm, const std::vector<UnitSpec>& units, const ComputeUnit& compute,
                    const StageOptions& options) {
  Preparation ready;
  try {
    TRIBUTARY_EXPECT(compute, "a stage needs something to compute");
    TRIBUTARY_EXPECT(options.block_seconds > 0, "blocks need some time");
    ready.table.emplace(units);
    ready.workers = std::make_unique<Workers>(*ready.table, compute, options.write, comm.rank(), options.threads,
                                              options.on_thread_start, options.at_once);
  } catch (...) {
    ready.problem = std::current_exception();
  }
  return ready;
}

}  // namespace

StageResult run_stage(const Communicator& comm, const std::vector<UnitSpec>& units, const ComputeUnit& compute,
                      const StageOptions& options) {
  const Preparation ready = prepare(comm, units, compute, options);
  const std::vector<std::int64_t> threads = comm.gather(static_cast<std::int64_t>(options.threads.workers));
  const std::vector<std::int64_t> plans =
      comm.gather(ready.table ? static_cast<std::int64_t>(ready.table->fingerprint()) : 0);
  const bool one_plan = std::adjacent_find(plans.begin(), plans.end(), std::not_equal_to<>()) == plans.end();
  const bool all_ready = comm.agree(!ready.problem);
  if (ready.problem) std::rethrow_exception(ready.problem);
  if (!all_ready) {
    throw FailedElsewhere("stage '" + options.name +
                          "' cannot start (another rank failed to); see that rank's message");
  }
  TRIBUTARY_EXPECT(comm.agree(one_plan), "the ranks were given different units for stage '" + options.name + "'");

  const detail::StageContext context{comm, *ready.table, *ready.workers, options};
  if (comm.rank() == 0) return detail::Coordinator(context, threads).run();
  return detail::Follower(context).run();
}

}  // namespace tributary
