// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/errors.h"
#include "common/text.h"
#include "io/results.h"
#include "runner/commands/duration.h"
#include "runner/commands/sweep_folder.h"
#include "runner/journal/folder_lock.h"
#include "runner/journal/state_file.h"

namespace tributary {
namespace {

using Json = nlohmann::json;

constexpr double quiet_for_long = 60;  // seconds after which silence is worth a line

/// A file that may be rewritten or removed at this moment; null when it cannot be read.
Json read_json(const std::filesystem::path& file) {
  try {
    return Json::parse(read_file(file.string()), nullptr, false);
  } catch (const std::exception&) {
    return {};
  }
}

/// Units in a block, by the name of its file.
std::int64_t units_in(const std::filesystem::path& file) {
  std::int64_t lane = 0, first = 0, count = 0;
  char end = 0;
  const std::string name = file.filename().string();
  return std::sscanf(name.c_str(), "%ld.%ld.%ld.bloc%c", &lane, &first, &count, &end) == 4 && end == 'k' ? count : 0;
}

StageStatus stage_status(const std::filesystem::path& folder, const Json& plan) {
  StageStatus stage;
  stage.name = plan.value("stage", folder.filename().string());
  stage.total = plan.value("units", std::int64_t{0});
  bool packed = false;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().filename() == "all.block") packed = true;
    if (entry.path().extension() == ".block") stage.done += units_in(entry.path());
    if (entry.path().extension() == ".damaged") ++stage.damaged;
  }
  if (packed) stage.done = stage.total;
  const Json failed = read_json(folder / "failed.json");
  if (failed.is_array()) {
    for (const Json& unit : failed) {
      stage.failed.push_back({unit.value("unit", std::int64_t{0}), unit.value("rank", 0), unit.value("text", "")});
    }
  }
  return stage;
}

std::string ago(std::int64_t written) {
  const std::int64_t seconds = static_cast<std::int64_t>(std::time(nullptr)) - written;
  if (seconds < -2) return "by a clock that is ahead of this one";
  return format_duration(static_cast<double>(std::max<std::int64_t>(0, seconds))) + " ago";
}

void show_state(const RunState& state, bool running) {
  const Progress& p = state.progress;
  if (running && !p.stage.empty()) {
    std::cout << fmt::format("stage     {}: {} of {} units", p.stage, p.done, p.total);
    if (p.restored > 0) std::cout << fmt::format(" ({} from the journal)", p.restored);
    if (state.units_per_second > 0) std::cout << fmt::format(", {:.3g} units/s", state.units_per_second);
    if (state.left) std::cout << ", " << format_duration(*state.left) << " left in this stage";
    std::cout << '\n';
  }
  std::cout << "last word " << ago(state.written);
  if (!state.ending.empty()) std::cout << ": " << state.ending;
  if (!running && state.ending.empty()) std::cout << ": it was killed, or its machine failed";
  std::cout << '\n';
  if (!running) return;
  for (const RankActivity& activity : p.busy) {
    if (activity.silent < quiet_for_long) continue;
    const auto rank = static_cast<std::size_t>(activity.rank);
    std::cout << fmt::format("silent    rank {} on {} has said nothing for {}; it has units {} to {} of lane {}\n",
                             activity.rank, rank < state.hosts.size() ? state.hosts[rank] : "?",
                             format_duration(activity.silent), activity.first, activity.first + activity.count - 1,
                             activity.lane);
  }
}

}  // namespace

std::vector<GroupStatus> status_of(const std::filesystem::path& out) {
  const std::filesystem::path journal = journal_path(out);
  std::vector<GroupStatus> groups;
  for (const JournalGroup& group : journalled_groups(journal, warn_user)) {
    GroupStatus status;
    for (const JournalledRun& run : group.runs) {
      status.runs.push_back({run.folder, std::filesystem::exists(results_path(out / run.folder))});
    }
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(journal / group.name, error)) {
      const Json plan = read_json(entry.path() / "plan.json");
      if (!plan.is_object()) continue;
      try {
        status.stages.push_back(stage_status(entry.path(), plan));
      } catch (const Json::exception&) {
        continue;  // damaged: a run writes it again
      }
    }
    std::sort(status.stages.begin(), status.stages.end(),
              [](const StageStatus& a, const StageStatus& b) { return a.name < b.name; });
    groups.push_back(std::move(status));
  }
  if (groups.empty() && !std::filesystem::exists(results_path(out))) {
    throw UserError(out.string(),
                    "holds no run (neither journal/ nor results.h5); name the folder of a run or a sweep");
  }
  return groups;
}

namespace {

void show_folder(const std::filesystem::path& out) {
  const std::vector<GroupStatus> groups = status_of(out);
  const std::string holder = FolderLock::holder(journal_path(out));
  std::cout << out.string() << ": " << (holder.empty() ? "no run is at work here" : "running on " + holder) << '\n';
  if (const std::optional<RunState> state = read_state(journal_path(out))) show_state(*state, !holder.empty());
  for (const GroupStatus& group : groups) {
    for (const RunStatus& run : group.runs) {
      std::cout << fmt::format("run       {}: {}\n", run.folder, run.complete ? "complete" : "not complete");
    }
    for (const StageStatus& stage : group.stages) {
      std::cout << fmt::format("  {:28} {:>6} / {} units", stage.name, stage.done, stage.total);
      if (stage.damaged > 0) std::cout << fmt::format(", {} damaged files set aside", stage.damaged);
      std::cout << '\n';
      for (const FailedUnit& unit : stage.failed) {
        std::cout << fmt::format("    failed: unit {} on rank {}: {}\n", unit.unit, unit.rank, unit.text);
      }
    }
  }
  if (groups.empty()) std::cout << "run       .: complete\n";
}

}  // namespace

void status_command(const std::filesystem::path& out) {
  std::vector<std::filesystem::path> folders;
  if (std::filesystem::exists(journal_path(out)) || std::filesystem::exists(results_path(out))) folders.push_back(out);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(out, error)) {  // runs with journals of their own
    if (std::filesystem::exists(journal_path(entry.path()))) folders.push_back(entry.path());
  }
  if (folders.empty()) folders.push_back(out);
  std::sort(folders.begin(), folders.end());
  for (const std::filesystem::path& folder : folders) show_folder(folder);
}

}  // namespace tributary
