// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/sweep_run.h"

#include <algorithm>
#include <iostream>
#include <optional>
#include <utility>

#include "common/team.h"
#include "io/atomic_file.h"
#include "io/results.h"
#include "runner/commands/disk_space.h"
#include "runner/job/averaged_prompts.h"
#include "runner/job/keys.h"
#include "runner/job/notes.h"
#include "runner/job/prepare_job.h"
#include "runner/machine/device.h"
#include "runner/report/report.h"
#include "runner/report/summary.h"
#include "runner/stages/stage_source.h"

namespace tributary {
namespace {

/// This path, or with the first number from 2 on that no other file there has.
std::filesystem::path free_place(const std::filesystem::path& wanted) {
  std::filesystem::path place = wanted;
  for (int i = 2; std::filesystem::exists(place); ++i) place = wanted.string() + "." + std::to_string(i);
  return place;
}

}  // namespace

Run::Run(const RunArguments& arguments, SweepFolder& sweep, const Communicator& comm, const Settings& settings,
         std::string folder)
    : arguments_(arguments), comm_(comm), sweep_(sweep), settings_(settings), folder_(std::move(folder)) {}

void Run::prepare(ModelShelf& shelf) {
  job_ = prepare_job(settings_, shelf);
  using What = FoundResults::What;
  const int threads = worker_threads(job_.config.threads, job_.device, comm_);
  FoundResults found;
  agreed(comm_, [&] {
    if (comm_.rank() != 0) return;
    const auto require_finite = [&] {
      const Team team(threads);
      shelf.model(job_.config.model.folder).require_finite(*job_.exact);
    };
    const std::filesystem::path folder = sweep_.out() / folder_;
    found = look();
    if (found.what == What::these) return require_finite();
    claim_output(folder, results_bytes(job_));
    sweep_.lock(require_finite);
    remove_unfinished_files(folder);
    found = look();  // whoever held the lock may have finished
    if (found.what == What::none && arguments_.fresh == Fresh::no) found = look_under_other_names();
    if (arguments_.fresh == Fresh::yes) set_replaced_aside(folder);
  });
  settle(found);
}

void Run::prepare_to_finalize(ModelShelf& shelf, const std::optional<RunRecord>& record,
                              const std::filesystem::path& where) {
  // What `auto` was where the numbers were computed: this may be another machine.
  agreed(comm_, [&] {
    if (!record || settings_.at<std::string>("model.dtype") != "auto") return;
    const Settings computed = settings_of(key_table(), record->configuration, where.string());
    settings_ = settings_.with("model.dtype", computed.at<std::string>("model.dtype"));
  });
  job_ = prepare_job(settings_, shelf);
  FoundResults found;
  agreed(comm_, [&] {
    if (record) take_over(job_, *record, where);
    if (comm_.rank() != 0) return;
    found = look();
    if (found.what != FoundResults::What::these) claim_output(sweep_.out() / folder_, results_bytes(job_));
  });
  settle(found);
}

void Run::settle(const FoundResults& found) {
  using What = FoundResults::What;
  evaluates_again_ = found.what == What::same_scores ? found.difference : "";
  std::vector<std::int64_t> complete{found.what == What::these ? 1 : 0};
  comm_.broadcast(complete);
  complete_ = complete[0] == 1;
  aside_ = found.what == What::changed;
  if (!complete_)
    agreed(comm_, [&] { job_.fired = job_.measures->fired(*job_.working).only(job_.config.method.rules); });
}

FoundResults Run::look() const {
  FoundResults found = results_to_replace(sweep_.out() / folder_, job_, arguments_.fresh);
  if (found.what != FoundResults::What::changed || arguments_.changed == Changed::set_aside) return found;
  throw UserError("", found.difference + "; " + way_back(sweep_.out()) + "; `run --fresh` computes it again");
}

FoundResults Run::look_under_other_names() {
  const auto from = sweep_.earlier().move_to(folder_, job_.identities.results);
  if (!from) return {};
  std::cerr << "tributary: note: " << from->string() << " is this run's: moved to its new name, " << folder_ << '\n';
  return look_for_results(sweep_.out() / folder_, job_);
}

/// Keys that other runs of the sweep may need, so that they are no mistake.
void Run::note_unused() const {
  const RunConfig& config = job_.config;
  const bool scores_tokens = !config.method.has_neurons();
  const auto note_if = [&](bool unused, const char* key) {
    if (!unused) return;
    std::cerr << "tributary: note: " << key << " is not used by '" << config.method.name << "', "
              << (scores_tokens ? "which scores tokens, not neurons"
                                : "the exact effects that scores are compared with")
              << '\n';
  };
  note_if(config.agreement.sample > 0 && !job_.has_agreement(), "agreement");
  note_if(scores_tokens && config.keep.what != Keep::What::sums, "attribution.keep");
  note_if(scores_tokens && settings_.given("top"), "top");
  note_if(scores_tokens && wants_circuits(settings_), "circuit");
  note_if(!job_.has_steering() && !config.steering.factors.empty(), "steering.top");
}

/// Numbers are limits, so fewer are no mistake; but one should know before the run.
void Run::note_numbers(std::set<std::string>& said) const {
  for (const std::string& note : notes_on_numbers(job_, settings_)) {
    if (said.insert(note).second) std::cerr << "tributary: note: " << note << '\n';
  }
}

void Run::warn(std::set<std::string>& said) const {
  if (!evaluates_again_.empty()) {
    std::cerr << "tributary: note: " << results_path(output()).string() << " is evaluated again, with other "
              << evaluates_again_ << " and the same scores: until that is done the file stays as it was\n";
  }
  const Method& method = job_.config.method;
  if (method.path == PathKind::embeddings && method.baseline == Baseline::zero) {
    std::cerr << "tributary: warning: the zero baseline on an embedding path is for parity with other programs only: "
                 "its integrand is huge near 0 and no rule converges\n";
  }
  for (const Rule rule : job_.dropped) {
    std::cerr << "tributary: note: '" << method.name << "' drops the rule " << name_of(rule)
              << ", which has no place to act in a " << job_.architecture().family << " model\n";
  }
  for (const std::string& note : notes_on_model(job_)) {
    if (said.insert(note).second) std::cerr << "tributary: note: " << note << '\n';
  }
  note_numbers(said);
  for (const std::string& note : notes_on_means(job_)) std::cerr << "tributary: warning: " << note << '\n';
  note_unused();
  const SteeringConfig& steering = job_.config.steering;
  const bool steers_first = job_.has_steering() && steering.nodes.empty();
  if (steers_first && method.score == ScoreKind::exact && job_.config.sample < steering.top) {
    std::cerr << "tributary: note: steering.top asks for " << steering.top << " nodes, but attribution.sample gives "
              << job_.config.sample << " a score: only those are steered\n";
  }
  if (job_.config.dtype == "bfloat16" && method.quadrature == Quadrature::pilot) {
    std::cerr << "tributary: note: in bfloat16 the points per layer come from a float32 pilot on "
              << job_.config.pilot_pairs << " pairs\n";
  }
}

std::filesystem::path Run::output() const { return (sweep_.out() / folder_).lexically_normal(); }

Outcome Run::named_in_failures(const std::function<Outcome()>& compute) const {
  try {
    return compute();
  } catch (const RunFailed& error) {
    throw RunFailed("the run " + output().string() + " has no results: " + error.what());
  }
}

ResultsFile Run::results(const Outcome& outcome, const Provenance& provenance) const {
  return results_of(job_, outcome, provenance);
}

void Run::write(const ResultsFile& results) const {
  if (aside_) {
    const std::filesystem::path kept = free_place(aside_path(output()));
    std::filesystem::rename(results_path(output()), kept);
    warn_user(results_path(output()).string() + " was damaged or changed; it is kept as " + kept.string() +
              ", and written again from the journal");
  }
  write_results(results_path(output()), results);
  forget_replaced(output());
  show(results);
}

void Run::show_complete() const {
  try {
    show(read_shown_results(results_path(output())));
  } catch (const UserError& error) {
    warn_user(error.what());  // they are complete all the same: the other runs go on
  }
}

void Run::show(const ResultsFile& results) const {
  std::cout << job_.title << '\n'
            << summary_of(results) << "\nresults      " << results_path(output()).string()
            << (complete_ ? " (complete already; --fresh computes it again)" : "") << "\n\n"
            << std::flush;
}

}  // namespace tributary
