// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/group_run.h"

#include <unistd.h>

#include <chrono>
#include <exception>
#include <filesystem>
#include <future>
#include <iostream>
#include <set>
#include <string>

#include "common/team.h"
#include "runner/commands/disk_space.h"
#include "runner/commands/endings.h"
#include "runner/commands/exit_codes.h"
#include "runner/commands/printable_stream.h"
#include "runner/machine/device.h"
#include "runner/machine/host.h"
#include "runner/machine/memory_limits.h"
#include "runner/machine/processor.h"
#include "runner/results/provenance.h"
#include "runner/stages/bits_check.h"
#include "runner/stages/computed_stages.h"

namespace tributary {

GroupRun::GroupRun(const std::vector<Run*>& runs, SweepFolder& sweep, const RunArguments& arguments,
                   const Communicator& comm, StopFlag& stop)
    : runs_(runs),
      sweep_(sweep),
      arguments_(arguments),
      comm_(comm),
      stop_(stop),
      started_(utc_now()),
      terminal_(PrintableStream::unfiltered(std::cerr)),
      display_(terminal_, progress_style_for(STDERR_FILENO)) {
  for (const Run* run : runs) jobs_.push_back(&run->job());
}

int GroupRun::compute(double seconds_before) {
  const auto begin = std::chrono::steady_clock::now();
  std::set<std::string> said;
  for (const Run* run : runs_) {
    if (first_rank() && !run->complete()) run->warn(said);
  }
  threads_ = worker_threads(job().config.threads, job().device, comm_);
  {
    const Team team(may_share_units() ? threads_ : 1);
    check_machine();
    open_journal();
    plan_calls();
    keep_records();
  }
  const std::chrono::duration<double> here = std::chrono::steady_clock::now() - begin;
  timings_.add_seconds("start", seconds_before + here.count());

  const bool may_halve = job().device.is_cpu() || !job().config.strict;
  const ComputedStages stages(
      comm_, *journal_, *rows_,
      {stage_options(), job().device.type(), may_halve, may_share_units(),
       [this](const auto& found) { found_processors(found); }, [this] { job().checkpoint->require_unchanged(); }});
  const Execution execution{comm_, stages, *rows_, &stop_, timings_};
  GroupOutcomes outcomes(execution, jobs_);
  int worst = exit_done;
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    if (runs_[i]->complete()) continue;
    const int code = together(comm_, [&] { finish(i, outcomes); });
    worst = with_one_more(worst, code);
    if (ends_sweep(code) || (code != exit_done && arguments_.on_failure == OnFailure::stop)) break;
  }
  return worst;
}

/// Whether bits, cores and cards are what they should be.
void GroupRun::check_machine() {
  bool here = true;
  agreed(comm_, [&] { here = bits_hold(job()); });
  bits_hold_ = comm_.agree(here);
  if (first_rank() && !bits_hold_) {
    warn_user(
        "on this machine a pair's bits depend on its batch, so results may differ in the last digits between machines "
        "and settings");
  }
  if (first_rank() && !comm_.is_null() && job().device.is_cpu() && bound_below_share(comm_.local_size())) {
    warn_user("this rank is bound to fewer cores than its share of the node; give mpirun --bind-to none");
  }
  if (first_rank() && job().device.is_cpu() && job().config.device == "auto") {
    if (const std::string cards = cards_left_alone(); !cards.empty()) {
      warn_user(cards + "; all is computed on the CPU (model.device: cpu says that this is meant)");
    }
  }
  const std::vector<std::string> places = card_places(job().device, comm_, arguments_.cards);
  for (std::size_t rank = 0; rank < places.size(); ++rank) {
    std::cerr << "tributary: rank " << rank << " computes on " << places[rank] << '\n';
  }
}

void GroupRun::open_journal() {
  std::vector<JournalledRun> journalled;
  std::vector<std::string> folders;
  for (const Run* run : runs_) {
    journalled.push_back(run->candidate().run);
    if (!run->complete()) folders.push_back(journalled.back().folder);
  }
  journal_ = sweep_.open_group(journalled, processor_kind(job().device.type()), job().config.mix_processors);
  processors_.insert(journal_->processors().begin(), journal_->processors().end());
  agreed(comm_, [&] {
    if (!first_rank()) return;
    require_room_for_journal(journal_->folder(), journal_bytes(jobs_));
    sweep_.state()->begin_runs(folders);
  });
}

/// What `finalize` needs to know of the runs, wherever it is called.
void GroupRun::keep_records() {
  computing_ = computing_facts(job(), comm_, {bits_hold_, threads_, memory_, *rows_, arguments_.overrides});
  agreed(comm_, [&] {
    if (!first_rank()) return;
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      journal_->keep_settings(i, runs_[i]->settings().as_given());
      journal_->keep_record(i, json_of(record_of(*jobs_[i], computing_)));
    }
  });
}

void GroupRun::found_processors(const std::set<std::string>& found) {
  for (const std::string& kind : found) {
    if (!processors_.insert(kind).second) continue;
    warn_user("the journal holds blocks that were computed on '" + kind + "', and this is '" +
              journal_->processors().front() +
              "': the last digits depend on who computed what (processors: one forbids it)");
  }
}

/// How many threads compute, and how many rows a call of the network has.
void GroupRun::plan_calls() {
  RankPlace place{threads_, comm_.local_size(), 0, RankPlace::Role::gathers};
  for (const std::int64_t threads : comm_.gather(static_cast<std::int64_t>(threads_))) place.workers += threads;
  if (!first_rank()) place.role = RankPlace::Role::computes;
  agreed(comm_, [&] { memory_ = plan_memory(jobs_, place); });
  threads_ = memory_.threads;
  if (first_rank()) warn_of_little_memory(place.threads);
  if (!job().device.is_cpu()) {  // there the rows of a call are part of what fixes the bits
    std::vector<std::int64_t> rows{memory_.batch_rows};
    comm_.broadcast(rows);
    memory_.batch_rows = rows[0];
  }
  rows_.emplace(memory_.batch_rows);
}

void GroupRun::warn_of_little_memory(int threads) const {
  if (memory_.threads < threads) {
    std::cerr << "tributary: note: " << memory_.threads << " of " << threads
              << " worker threads compute: memory is too short for more\n";
  }
  const std::string too_little = too_little_memory(memory_);
  if (!too_little.empty()) warn_user("this rank " + too_little);
}

/// Whether several threads may compute a unit: all of its products are loops that any cut of leaves as they are.
bool GroupRun::may_share_units() const { return job().device.is_cpu() && has_own_products(*job().working); }

StageOptions GroupRun::stage_options() {
  StageOptions options;
  options.threads.workers = threads_;
  options.order = arguments_.order;
  options.seed = arguments_.order_seed;
  options.stop = &stop_;
  options.on_thread_start = use_one_thread;
  options.silence = arguments_.silence;
  options.hosts = sweep_.hosts();
  options.on_progress = [this](const Progress& progress) {
    progressed_ = progressed_ || progress.done > progress.restored;
    display_.update(progress);
    sweep_.state()->update(progress);
  };
  options.on_warning = [this](const std::string& text) {
    display_.clear();
    warn_user(text);
  };
  return options;
}

/// Before anything is written: nobody knows since when other weights were there, so the journal goes too.
void GroupRun::require_same_model(std::size_t i) {
  const Checkpoint& checkpoint = *jobs_[i]->checkpoint;
  if (!first_rank()) return checkpoint.require_unchanged();
  try {
    checkpoint.require_same_contents();
  } catch (const CheckpointChanged&) {
    std::filesystem::remove_all(journal_->folder());
    throw;
  }
}

/// The stages of one run alone, and its results.
void GroupRun::finish(std::size_t i, GroupOutcomes& outcomes) {
  Timings own = timings_;  // what the group shared, and the run's own stages
  const Outcome outcome = runs_[i]->named_in_failures([&] { return outcomes.of(i, own); });
  computing_["batch_rows"] = rows_->get();
  computing_["batch_rows_halved"] = rows_->halvings();
  const Provenance provenance = provenance_of(
      *jobs_[i], {started_, utc_now(), own, timings_, jobs_.size(), {processors_.begin(), processors_.end()}},
      computing_);
  agreed(comm_, [&] {
    if (!first_rank()) return require_same_model(i);
    std::future<void> same = std::async(std::launch::async, [&] { require_same_model(i); });  // reads all weights
    std::optional<ResultsFile> results;
    std::exception_ptr problem;
    try {
      results = runs_[i]->results(outcome, provenance);
    } catch (...) {
      problem = std::current_exception();
    }
    same.get();
    if (problem) std::rethrow_exception(problem);
    display_.clear();
    runs_[i]->write(*results);
  });
  runs_[i]->finish();
}

}  // namespace tributary
