// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/finalize_command.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/errors.h"
#include "common/version.h"
#include "runner/commands/endings.h"
#include "runner/commands/exit_codes.h"
#include "runner/commands/group_outcomes.h"
#include "runner/commands/run_record.h"
#include "runner/commands/sweep_folder.h"
#include "runner/commands/sweep_run.h"
#include "runner/job/keys.h"
#include "runner/journal/folder_lock.h"
#include "runner/journal/group_journal.h"
#include "runner/machine/host.h"
#include "runner/results/provenance.h"
#include "runner/stages/journalled_stages.h"

namespace tributary {
namespace {

/// A group of the journal, with its runs made ready as its settings say.
struct StoredGroup {
  std::deque<Settings> settings;
  std::vector<std::optional<RunRecord>> records;  // as the journal has them
  std::vector<std::unique_ptr<Run>> runs;         // refer to the settings

  [[nodiscard]] bool complete() const {
    return std::all_of(runs.begin(), runs.end(), [](const auto& run) { return run->complete(); });
  }
};

class Finalizer {
 public:
  Finalizer(const std::filesystem::path& out, const Communicator& comm)
      : comm_(comm), journal_(journal_path(out)), shelf_(comm, warn_user), sweep_(out, comm) {
    arguments_.out = out;
    arguments_.changed = Changed::set_aside;
  }

  /// Writes the results of a group's runs that are not complete: one that cannot be finished leaves the others. The
  /// exit code of the first one that could not be. Collective; throws what concerns all runs.
  int finalize(const JournalGroup& group) {
    const std::string started = utc_now();
    const StoredGroup stored = prepare(group);
    for (const auto& run : stored.runs) {
      if (comm_.rank() == 0 && run->complete()) run->show_complete();
    }
    if (stored.complete()) return exit_done;
    RunGroup jobs;
    for (const auto& run : stored.runs) jobs.push_back(&run->job());
    const GroupJournal journal(journal_, group);
    std::set<std::string> processors;
    const JournalledStages stages(comm_, journal, warn_user,
                                  [&](const auto& found) { processors.insert(found.begin(), found.end()); });
    Timings timings;
    const BatchRows no_rows(0);  // no network is called
    const Execution execution{comm_, stages, no_rows, nullptr, timings};
    GroupOutcomes outcomes(execution, jobs);
    int worst = exit_done;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const Run& run = *stored.runs[i];
      if (run.complete()) continue;
      const int code = together(comm_, [&] {
        Timings own = timings;
        const Outcome outcome = run.named_in_failures([&] { return outcomes.of(i, own); });
        agreed(comm_, [&] {
          if (comm_.rank() != 0) return;
          const RunFacts facts{started, utc_now(), own, timings, jobs.size(), {processors.begin(), processors.end()}};
          Provenance provenance =
              provenance_of(*jobs[i], facts, stored.records[i] ? stored.records[i]->computing : Provenance());
          provenance["finalized"] = std::string("by version ") + version + " (" + commit + ") on " + host_name();
          run.write(run.results(outcome, provenance));
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
        // Wherever it was computed: nothing is computed here.
        const std::vector<std::string> here = {"model.device=cpu"};
        const std::filesystem::path file = settings_path(journal_, group.name, i);
        stored.settings.push_back(read_settings(key_table(), file, here).front());
        stored.records.push_back(read_record(record_path(journal_, group.name, i)));
      }
    });
    for (std::size_t i = 0; i < group.runs.size(); ++i) {
      const std::filesystem::path where = journal_ / group.name;
      stored.runs.push_back(std::make_unique<Run>(arguments_, sweep_, comm_, stored.settings[i], group.runs[i].folder));
      Run& run = *stored.runs.back();
      run.prepare_to_finalize(shelf_, stored.records[i], where);
      if (run.candidate().run == group.runs[i]) continue;
      throw UserError(where.string(),
                      "was computed with another model, other pairs, another version or on another kind of device than "
                      "this program finds here; finalize it where it was computed");
    }
    return stored;
  }

  const Communicator& comm_;
  std::filesystem::path journal_;
  RunArguments arguments_;
  ModelShelf shelf_;
  SweepFolder sweep_;
};

/// Rank 0. Reading while another packs its blocks into one file would miss some.
void require_nobody_at_work(const std::filesystem::path& journal) {
  const std::string holder = FolderLock::holder(journal);
  if (holder.empty()) return;
  throw UserError(journal.string(),
                  "a run is at work in this folder (" + holder + "), and it writes its results itself");
}

}  // namespace

int finalize_command(const std::filesystem::path& out, const Communicator& comm) {
  Finalizer finalizer(out, comm);
  std::vector<JournalGroup> groups;
  int worst = together(comm, [&] {
    agreed(comm, [&] {
      if (comm.rank() == 0) require_nobody_at_work(journal_path(out));
    });
    groups = journalled_groups(journal_path(out), warn_user);
    if (groups.empty()) throw UserError(out.string(), "holds no journal; name the folder of a run or a sweep");
  });
  for (const JournalGroup& group : groups) {
    int code = exit_done;
    const int of_all = together(comm, [&] { code = finalizer.finalize(group); });
    if (of_all != exit_done) code = of_all;
    if (worst == exit_done) worst = code;
  }
  if (comm.rank() == 0 && worst == exit_done) draw_report(out);
  return worst;
}

}  // namespace tributary
