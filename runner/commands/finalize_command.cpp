// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/finalize_command.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/errors.h"
#include "runner/commands/endings.h"
#include "runner/commands/exit_codes.h"
#include "runner/commands/group_outcomes.h"
#include "runner/commands/sweep_folder.h"
#include "runner/commands/sweep_run.h"
#include "runner/job/keys.h"
#include "runner/journal/group_journal.h"
#include "runner/machine/host.h"
#include "runner/results/provenance.h"
#include "runner/stages/journalled_stages.h"

namespace tributary {
namespace {

/// A group of the journal, with its runs made ready as its settings say.
struct StoredGroup {
  std::vector<Settings> settings;
  std::vector<std::unique_ptr<Run>> runs;  // refer to the settings

  [[nodiscard]] bool complete() const {
    return std::all_of(runs.begin(), runs.end(), [](const auto& run) { return run->complete(); });
  }
};

class Finalizer {
 public:
  Finalizer(const std::filesystem::path& out, const Communicator& comm)
      : comm_(comm), journal_(journal_path(out)), shelf_(comm), sweep_(out, comm) {
    arguments_.out = out;
    arguments_.changed = Changed::set_aside;
  }

  [[nodiscard]] SweepFolder& sweep() { return sweep_; }

  /// Writes the results of a group's runs that are not complete: one that cannot be finished leaves the others. The
  /// exit code of the first one that could not be. Collective; throws what concerns all runs.
  int finalize(const JournalGroup& group) {
    const std::string started = utc_now();
    const StoredGroup stored = prepare(group);
    for (const auto& run : stored.runs) {
      if (comm_.rank() == 0 && run->complete()) run->show_complete();
    }
    if (stored.complete()) return exit_done;
    require_same(group, stored);
    RunGroup jobs;
    std::vector<std::string> folders;
    for (const auto& run : stored.runs) {
      jobs.push_back(&run->job());
      if (!run->complete()) folders.push_back(run->candidate().run.folder);
    }
    if (StateFile* state = sweep_.state()) state->begin_runs(folders);
    const GroupJournal journal(journal_, group);
    const JournalledStages stages(comm_, journal, warn_user);
    Timings timings;
    const BatchRows no_rows(0);  // no network is called
    const Execution execution{comm_, stages, no_rows, nullptr, timings};
    const GroupOutcomes outcomes(execution, jobs);
    int worst = exit_done;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const Run& run = *stored.runs[i];
      if (run.complete()) continue;
      const int code = together(comm_, [&] {
        Timings own = timings;
        const Outcome outcome = run.named_in_failures([&] { return outcomes.of(i, own); });
        Provenance provenance = provenance_of(
            *jobs[i], comm_, {started, utc_now(), true, 1, own, timings, jobs.size(), {}, MemoryPlan(), no_rows});
        // Facts of a computation, which this is not.
        for (const char* name : {"bits_hold", "batch_rows", "batch_rows_halved", "expected_peak_bytes", "overrides"}) {
          provenance.erase(name);
        }
        agreed(comm_, [&] {
          if (comm_.rank() == 0) run.write(outcome, provenance);
        });
      });
      if (worst == exit_done) worst = code;
    }
    return worst;
  }

 private:
  StoredGroup prepare(const JournalGroup& group) {
    StoredGroup stored;
    agreed(comm_, [&] {
      for (std::size_t i = 0; i < group.runs.size(); ++i) {
        const std::filesystem::path file = settings_path(journal_, group.name, i);
        stored.settings.push_back(read_settings(key_table(), file, {}).front());
      }
    });
    for (std::size_t i = 0; i < group.runs.size(); ++i) {
      stored.runs.push_back(std::make_unique<Run>(arguments_, sweep_, comm_, stored.settings[i], group.runs[i].folder));
      stored.runs.back()->prepare(shelf_);
    }
    return stored;
  }

  void require_same(const JournalGroup& group, const StoredGroup& stored) const {
    for (std::size_t i = 0; i < group.runs.size(); ++i) {
      if (stored.runs[i]->candidate().run == group.runs[i]) continue;
      throw UserError((journal_ / group.name).string(),
                      "was computed with another model, other pairs, another version or on another kind of device than "
                      "this program finds here; finalize it where it was computed");
    }
  }

  const Communicator& comm_;
  std::filesystem::path journal_;
  RunArguments arguments_;
  ModelShelf shelf_;
  SweepFolder sweep_;
};

}  // namespace

int finalize_command(const std::filesystem::path& out, const Communicator& comm) {
  Finalizer finalizer(out, comm);
  std::vector<JournalGroup> groups;
  int worst = together(comm, [&] {
    groups = journalled_groups(journal_path(out), warn_user);
    if (groups.empty()) throw UserError(out.string(), "holds no journal; name the folder of a run or a sweep");
  });
  for (const JournalGroup& group : groups) {
    int code = exit_done;
    const int of_all = together(comm, [&] { code = finalizer.finalize(group); });
    if (of_all != exit_done) code = of_all;
    if (worst == exit_done) worst = code;
  }
  if (StateFile* state = finalizer.sweep().state()) state->end(ending_of(worst));
  if (comm.rank() == 0 && worst == exit_done) draw_report(out);
  return worst;
}

}  // namespace tributary
