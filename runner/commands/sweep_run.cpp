// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/sweep_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <utility>

#include "common/errors.h"
#include "runner/cluster/progress.h"
#include "runner/cluster/stopping.h"
#include "runner/machine/device.h"
#include "runner/machine/host.h"
#include "runner/report/report.h"
#include "runner/report/summary.h"
#include "runner/results/results_table.h"
#include "runner/stages/bits_check.h"

namespace tributary {
namespace {

std::uint64_t expected_bytes(const Job& job) {
  const Architecture& a = job.architecture();
  const auto nodes = static_cast<std::uint64_t>(a.layers() * job.node_positions() * a.neurons);
  const std::uint64_t pairs = job.pairs.train.size();
  const Keep& keep = job.config.keep;
  std::uint64_t kept = 0;  // the journal holds it once more, in float64
  if (keep.what == Keep::What::all) kept = 12 * nodes * pairs;
  if (keep.what == Keep::What::largest) kept = 28 * static_cast<std::uint64_t>(keep.count) * pairs;
  return 4 * nodes + kept + (1 << 20);
}

StageOptions stage_options(const Job& job, const RunArguments& arguments, const Communicator& comm, StopFlag& stop,
                           ProgressDisplay& display, StateFile* state) {
  StageOptions options;
  options.threads = worker_threads(job, comm);
  options.order = arguments.order;
  options.seed = arguments.order_seed;
  options.stop = &stop;
  options.on_thread_start = use_one_thread;
  options.silence = arguments.silence;
  options.on_progress = [&display, state](const Progress& progress) {
    display.update(progress);
    if (state != nullptr) state->update(progress);
  };
  options.on_warning = [&display](const std::string& text) {
    display.clear();
    warn_user(text);
  };
  return options;
}

}  // namespace

int worker_threads(const Job& job, const Communicator& comm) {
  const int automatic = automatic_threads(job.device, comm);
  return job.config.threads != 0 ? static_cast<int>(job.config.threads) : automatic;
}

Run::Run(const RunArguments& arguments, SweepFolder& sweep, const Communicator& comm, const Settings& settings,
         std::string folder)
    : arguments_(arguments), comm_(comm), sweep_(sweep), settings_(settings), folder_(std::move(folder)) {}

void Run::prepare(ModelShelf& shelf) {
  job_ = prepare_job(settings_, shelf);
  Found found = Found::nothing;
  agreed(comm_, [&] {
    if (comm_.rank() != 0) return;
    shelf.model(job_.config.model).require_finite(*job_.exact);
    const std::filesystem::path folder = sweep_.out() / folder_;
    found = results_in(folder, job_.identity, arguments_.fresh);
    if (found == Found::same_results) return;
    claim_output(folder, expected_bytes(job_));
    sweep_.lock();
    found = results_in(folder, job_.identity, arguments_.fresh);  // whoever held the lock may have finished
    if (arguments_.fresh == Fresh::yes)
      std::filesystem::remove(results_path(folder));  // or it could not be gone on with
  });
  std::vector<std::int64_t> complete{found == Found::same_results ? 1 : 0};
  comm_.broadcast(complete);
  complete_ = complete[0] == 1;
  if (!complete_)
    agreed(comm_, [&] { job_.fired = job_.measures->fired(*job_.working).only(job_.config.method.rules); });
}

void Run::note_unused(const std::string& key) const {
  std::cerr << "tributary: note: " << key << " is not used by '" << job_.config.method.name
            << "', which scores tokens, not neurons\n";
}

void Run::warn() const {
  const Method& method = job_.config.method;
  if (method.path == PathKind::embeddings && method.baseline == Baseline::zero) {
    std::cerr << "tributary: warning: the zero baseline on an embedding path is for parity with other programs only: "
                 "its integrand is huge near 0 and no rule converges\n";
  }
  for (const Rule rule : job_.dropped) {
    std::cerr << "tributary: note: '" << method.name << "' drops the rule " << name_of(rule)
              << ", which has no place to act in a " << job_.architecture().family << " model\n";
  }
  const bool scores_tokens = !method.has_neurons();
  if (scores_tokens && job_.config.agreement.sample > 0) note_unused("agreement");
  if (scores_tokens && job_.config.keep.what != Keep::What::sums) note_unused("attribution.keep");
  if (!job_.has_steering() && !job_.config.steering.factors.empty()) note_unused("steering.top");
  if (job_.config.dtype == "bfloat16" && method.quadrature == Quadrature::pilot) {
    std::cerr << "tributary: note: in bfloat16 the points per layer come from a float32 pilot on "
              << job_.config.pilot_pairs << " pairs\n";
  }
}

void Run::write(const Outcome& outcome, const Provenance& provenance) const {
  const ResultsFile results = results_of(job_, outcome, provenance);
  write_results(results_path((sweep_.out() / folder_).lexically_normal()), results);
  show(results);
}

void Run::show_complete() const {
  try {
    show(read_shown_results(results_path((sweep_.out() / folder_).lexically_normal())));
  } catch (const UserError& error) {
    warn_user(error.what());  // they are complete all the same: the other runs go on
  }
}

void Run::show(const ResultsFile& results) const {
  const std::string name = job_.config.name + (settings_.label().empty() ? "" : " (" + settings_.label() + ")");
  std::cout << name << '\n'
            << summary_of(results) << "\nresults      "
            << results_path((sweep_.out() / folder_).lexically_normal()).string()
            << (complete_ ? " (complete already; --fresh computes it again)" : "") << "\n\n"
            << std::flush;
}

void compute_runs(const std::vector<const Run*>& runs, SweepFolder& sweep, const RunArguments& arguments,
                  const Communicator& comm, StopFlag& stop, double seconds_before) {
  const std::string started = utc_now();
  const auto begin = std::chrono::steady_clock::now();
  const bool first_rank = comm.rank() == 0;
  RunGroup jobs;
  std::vector<JournalledRun> journalled;
  std::vector<std::string> folders;
  for (const Run* run : runs) {
    jobs.push_back(&run->job());
    journalled.push_back(run->candidate().run);
    if (run->complete()) continue;
    folders.push_back(journalled.back().folder);
    if (first_rank) run->warn();
  }
  const Job& job = *jobs.front();
  bool here = true;
  agreed(comm, [&] { here = bits_hold(job); });
  const bool bits = comm.agree(here);
  if (first_rank && !bits) {
    warn_user(
        "on this machine a pair's bits depend on its batch, so results may differ in the last digits between machines "
        "and settings");
  }
  if (first_rank && !comm.is_null() && job.device.is_cpu() && bound_below_share(comm.local_size())) {
    warn_user("this rank is bound to fewer cores than its share of the node; give mpirun --bind-to none");
  }
  const std::vector<std::string> places = card_places(job.device, comm, arguments.cards);
  for (std::size_t rank = 0; rank < places.size(); ++rank) {
    std::cerr << "tributary: rank " << rank << " computes on " << places[rank] << '\n';
  }
  const GroupJournal journal = sweep.open_group(journalled, job.device.type());
  agreed(comm, [&] {
    if (!first_rank) return;
    for (std::size_t i = 0; i < runs.size(); ++i) journal.keep_settings(i, runs[i]->settings().as_given());
    sweep.state()->begin_runs(folders);
  });
  ProgressDisplay display(std::cerr, progress_style_for(STDERR_FILENO));
  Timings timings;
  const StageOptions options = stage_options(job, arguments, comm, stop, display, sweep.state());
  MemoryPlan memory;
  agreed(comm, [&] { memory = plan_memory(jobs, options.threads, comm.local_size()); });
  if (!job.device.is_cpu()) {  // there the rows of a call are part of what fixes the bits
    std::vector<std::int64_t> rows{memory.batch_rows};
    comm.broadcast(rows);
    memory.batch_rows = rows[0];
  }
  BatchRows rows(memory.batch_rows);
  const bool may_halve = job.device.is_cpu() || !job.config.strict;
  const std::chrono::duration<double> here_until_now = std::chrono::steady_clock::now() - begin;
  timings.add_seconds("start", seconds_before + here_until_now.count());
  const Execution execution{comm,    options,  job.device.type(), rows, may_halve,
                            timings, &journal, arguments.compute, {}};
  const bool compares = std::any_of(jobs.begin(), jobs.end(), [](const Job* one) { return one->has_agreement(); });
  ExactEffects exact(execution, compares ? choose_sample(execution, job) : std::vector<SampledNeuron>());
  const std::vector<AttributionOutcome> attributions = run_attribution(execution, jobs, neurons_of(exact.sample()));
  std::vector<const PairTable*> truths;  // before any run's own stages, which time only what is theirs
  for (const Job* one : jobs) truths.push_back(one->has_agreement() ? &exact.of(*one) : nullptr);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (runs[i]->complete()) continue;
    Timings own = timings;  // what the group shared, and the run's own circuits
    Execution alone{comm,     options,           job.device.type(),
                    rows,     may_halve,         own,
                    &journal, arguments.compute, " of run " + std::to_string(i)};
    Outcome outcome;
    outcome.attribution = &attributions[i];
    if (jobs[i]->has_circuit()) outcome.circuit = run_circuits(alone, *jobs[i], attributions[i]);
    if (jobs[i]->has_steering()) outcome.steering = run_steering(alone, *jobs[i], attributions[i]);
    const Provenance provenance =
        provenance_of(*jobs[i], comm, {started, utc_now(), bits, options.threads, own, jobs.size(), memory, rows});
    agreed(comm, [&] {
      if (!first_rank) return;
      if (truths[i] != nullptr) {
        outcome.agreement = agreement_of(*jobs[i], exact.sample(), *truths[i], attributions[i].watched);
      }
      display.clear();
      runs[i]->write(outcome, provenance);
    });
  }
}

}  // namespace tributary
