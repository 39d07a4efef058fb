// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/sweep_plan.h"

#include <algorithm>

#include "common/errors.h"
#include "runner/commands/found_results.h"
#include "runner/commands/sweep_runs.h"
#include "runner/job/plan.h"
#include "runner/job/prepare_job.h"
#include "runner/machine/device.h"

namespace tributary {
namespace {

FoundResults::What results_there(const std::filesystem::path& folder, const Job& job) {
  try {
    return look_for_results(folder, job).what;
  } catch (const UserError&) {
    return FoundResults::What::others;
  }
}

/// Jobs that are computed together, groups in order of their first job.
std::vector<RunGroup> passes_of(const std::vector<Job>& jobs) {
  std::vector<RunGroup> groups;
  for (const Job& job : jobs) {
    const auto same = [&job](const RunGroup& group) { return group.front()->group == job.group; };
    auto group = std::find_if(groups.begin(), groups.end(), same);
    if (group == groups.end()) group = groups.insert(groups.end(), RunGroup());
    group->push_back(&job);
  }
  return groups;
}

}  // namespace

PlannedRun SweepPlanner::planned(const Settings& settings, const Job& job) const {
  const Architecture& a = job.architecture();
  PlannedRun run;
  run.number = static_cast<std::size_t>(&settings - sweep_.data());
  run.method = job.config.method.name;
  run.train = job.pairs.train.size();
  run.test = job.pairs.test.size();
  run.skipped = job.pairs.skipped.size();
  run.nodes = a.layers() * job.node_positions() * a.neurons;
  run.units = plan_attribution({&job}).units.size() + (job.has_circuit() ? plan_curve(job).units.size() : 0);
  run.folder = folder_of(arguments_, settings);
  run.results = results_there(run.folder, job);
  return run;
}

PlannedPass SweepPlanner::planned(const RunGroup& group) const {
  const Job& job = *group.front();
  PlannedPass pass;
  pass.runs = group.size();
  pass.units = plan_attribution(group).units.size();
  pass.threads = worker_threads(job.config.threads, job.device, alone_);
  pass.memory = plan_memory(group, pass.threads, alone_.local_size());
  pass.estimate = estimate(group, static_cast<int>(arguments_.plan_ranks), pass.threads);
  return pass;
}

PlannedGroup SweepPlanner::plan(const std::vector<const Settings*>& candidates) {
  PlannedGroup group;
  std::vector<Job> jobs;
  for (const Settings* one : candidates) {
    jobs.push_back(prepare_job(*one, shelf_));
    group.runs.push_back(planned(*one, jobs.back()));
  }
  for (const RunGroup& pass : passes_of(jobs)) group.passes.push_back(planned(pass));
  return group;
}

}  // namespace tributary
