// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/sweep_plan.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "common/errors.h"
#include "io/results.h"
#include "runner/commands/found_results.h"
#include "runner/commands/sweep_runs.h"
#include "runner/job/dictionary_lines.h"
#include "runner/job/identity.h"
#include "runner/job/notes.h"
#include "runner/job/plan.h"
#include "runner/journal/output_folder.h"
#include "runner/machine/device.h"
#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

/// Weights are not read: what lies there counts as this model's.
FoundResults::What results_there(const std::filesystem::path& folder, const Settings& settings, Job& job) {
  try {
    const std::optional<StoredRun> stored = stored_run(folder);
    if (!stored) return FoundResults::What::none;
    job.model_hash = stored->model_hash;
    job.identities = identities_of(job, settings.with("model.dtype", job.config.dtype));  // auto: what it is here
    return look_for_results(folder, job).what;
  } catch (const ResultsChanged&) {
    return FoundResults::What::changed;
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

void add_new(const std::vector<std::string>& lines, std::vector<std::string>& to) {
  for (const std::string& line : lines) {
    if (std::find(to.begin(), to.end(), line) == to.end()) to.push_back(line);
  }
}

}  // namespace

std::int64_t Machines::nodes_with(int threads) const {
  if (nodes != 0) return nodes;
  if (cards) return 1;
  const std::int64_t cores = std::max<long>(1, ::sysconf(_SC_NPROCESSORS_ONLN));
  return (ranks * threads + cores - 1) / cores;
}

Machines machines_of(const PlannedMachines& asked) {
  const auto refuse_if = [](bool wrong, const char* option, const std::string& text) {
    if (wrong) throw UserError(option, text);
  };
  Machines machines;
  machines.nodes = asked.nodes.value_or(0);
  machines.cards = asked.cards.has_value();
  machines.ranks = asked.cards.value_or(asked.ranks.value_or(std::max<std::int64_t>(1, machines.nodes)));
  refuse_if(asked.cards && asked.ranks && *asked.cards != *asked.ranks, "--cards",
            "each rank has a card of its own, so --ranks is the same number; remove one of the two");
  refuse_if(machines.nodes != 0 && machines.ranks % machines.nodes != 0, asked.cards ? "--cards" : "--ranks",
            fmt::format("{} cannot be shared out evenly to {} nodes; give a multiple of {}", machines.ranks,
                        machines.nodes, machines.nodes));
  try {
    if (!asked.memory.empty()) machines.memory = parse_bytes(asked.memory);
  } catch (const std::invalid_argument& error) {
    throw UserError("--memory", error.what());
  }
  return machines;
}

Job SweepPlanner::sketched(const Settings& settings) {
  const std::string wanted = settings.at<std::string>("model.device");
  if (machines_.cards && wanted == "cpu") {
    throw UserError(settings.where("model.device"),
                    "model.device: cpu runs on no card; leave out --cards, or take auto");
  }
  if (!machines_.cards && wanted == "cuda" && choose_device("auto", 0).is_cpu()) {
    throw UserError(
        settings.where("model.device"),
        "model.device: cuda asks for cards, and this machine has none to plan with; say how many there will "
        "be and what memory each has: --cards 4 --memory 24G");
  }
  const at::Device device = machines_.cards ? at::Device(at::kCUDA, 0) : choose_device(wanted, 0);
  Job job = shelf_.job(settings, device);
  if (machines_.memory != 0) job.config.memory = machines_.memory;
  if (machines_.cards && job.config.memory == 0) {
    throw UserError("--cards", "a plan for cards needs to know what memory each has: --memory 24G");
  }
  return job;
}

PlannedRun SweepPlanner::planned(const Settings& settings, Job& job) const {
  PlannedRun run;
  run.number = static_cast<std::size_t>(&settings - sweep_.data());
  run.method = job.config.method.name;
  run.train = job.pairs.train.size();
  run.test = job.pairs.test.size();
  run.skipped = job.pairs.skipped.size();
  run.nodes = std::to_string(job.nodes()) + (job.dictionaries ? " + features" : "");
  run.units = plan_attribution({&job}).units.size() + (job.has_circuit() ? plan_curve(job).units.size() : 0);
  run.folder = folder_of(arguments_, settings);
  run.results = results_there(run.folder, settings, job);
  return run;
}

PlannedPass SweepPlanner::planned(const RunGroup& group) const {
  const Job& job = *group.front();
  PlannedPass pass;
  pass.runs = group.size();
  pass.units = plan_attribution(group).units.size();
  const std::int64_t all_threads = worker_threads(job.config.threads, job.device, alone_);
  const bool shared = job.config.threads == 0 && job.device.is_cpu();  // the cores of a node, by its ranks
  const auto share_of = [this](std::int64_t nodes) { return (machines_.ranks + nodes - 1) / nodes; };
  const std::int64_t sharers_of_cores = machines_.nodes == 0 ? 1 : share_of(machines_.nodes);
  pass.threads = static_cast<int>(shared ? std::max<std::int64_t>(1, all_threads / sharers_of_cores) : all_threads);
  pass.nodes = machines_.nodes_with(pass.threads);
  const std::int64_t sharers = job.device.is_cpu() ? share_of(pass.nodes) : 1;  // of the memory
  RankPlace place{pass.threads, static_cast<int>(sharers), machines_.ranks * pass.threads, RankPlace::Role::gathers};
  pass.memory = plan_memory(group, place);
  pass.threads = pass.memory.threads;
  place.role = RankPlace::Role::computes;
  pass.memory_of_others = machines_.ranks == 1 ? pass.memory : plan_memory(group, place);
  pass.estimate = estimate(group, static_cast<int>(machines_.ranks), pass.threads);
  return pass;
}

PlannedGroup SweepPlanner::plan(const std::vector<const Settings*>& candidates) {
  PlannedGroup group;
  std::vector<Job> jobs;
  for (const Settings* one : candidates) {
    jobs.push_back(sketched(*one));
    group.runs.push_back(planned(*one, jobs.back()));
    std::vector<std::string> notes = notes_on(jobs.back(), *one);
    if (jobs.back().dictionaries) {
      notes.emplace_back(
          "memory and time are told as if all features of relu and JumpReLU were active, of TopK k on each prompt: how "
          "many are is known when they are computed, and where they are few a run takes less");
    }
    if (const ModelPlace& place = jobs.back().config.model; !place.commit.empty()) {
      notes.insert(notes.begin(), "the model is " + text_of(place));
    }
    add_new(dictionary_lines(jobs.back()), group.dictionaries);
    add_new(notes, group.notes);
  }
  for (const RunGroup& pass : passes_of(jobs)) group.passes.push_back(planned(pass));
  return group;
}

}  // namespace tributary
