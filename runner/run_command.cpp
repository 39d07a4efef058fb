// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/run_command.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <iostream>
#include <set>

#include "common/errors.h"
#include "common/text.h"
#include "runner/bits_check.h"
#include "runner/circuit_stage.h"
#include "runner/device.h"
#include "runner/exit_codes.h"
#include "runner/progress.h"
#include "runner/provenance.h"
#include "runner/results_table.h"
#include "runner/stopping.h"
#include "runner/summary.h"

namespace tributary {
namespace {

/// Rows in one network call when the configuration says auto: enough for full GEMM speed, small enough to stay in
/// cache.
constexpr std::int64_t automatic_rows = 512;

/// What went wrong on this rank, as text and exit code; code 0: nothing.
struct Trouble {
  int code = exit_done;
  std::string text;
};

/// Runs `body`, and turns what it throws into an exit code that all ranks agree on; rank 0 prints every distinct text.
template <typename Body>
int together(const Communicator& comm, const Body& body) {
  Trouble trouble;
  try {
    body();
  } catch (const UserError& error) {
    trouble = {exit_usage, error.what()};
  } catch (const Stopped&) {
    trouble = {exit_stopped, "stopped on request; nothing was written. The same command starts again"};
  } catch (const UnitsFailed& error) {
    trouble = {exit_failed_units, error.what()};
  } catch (const c10::Error& error) {
    trouble = {exit_internal, error.what_without_backtrace()};  // its frames mean nothing to a user
  } catch (const std::exception& error) {
    trouble = {exit_internal, error.what()};
  }
  const std::vector<std::int64_t> codes = comm.gather(static_cast<std::int64_t>(trouble.code));
  const std::vector<std::string> texts = comm.gather(trouble.text);
  std::vector<std::int64_t> worst{exit_done};
  std::set<std::string> printed;
  for (std::size_t rank = 0; rank < codes.size(); ++rank) {
    if (codes[rank] == exit_done) continue;
    if (worst[0] == exit_done || codes[rank] == exit_internal) worst[0] = codes[rank];
    if (!texts[rank].empty() && printed.insert(texts[rank]).second) std::cerr << "tributary: " << texts[rank] << '\n';
  }
  comm.broadcast(worst);
  return static_cast<int>(worst[0]);
}

std::filesystem::path folder_of(const RunArguments& arguments, const Settings& settings) {
  const std::filesystem::path base =
      arguments.out.empty() ? std::filesystem::path("results") / settings.at<std::string>("name") : arguments.out;
  return settings.label().empty() ? base : base / settings.label();
}

std::uint64_t expected_bytes(const Job& job) {
  const Architecture& a = job.architecture();
  const auto nodes = static_cast<std::uint64_t>(a.layers * job.node_positions() * a.neurons);
  return 4 * nodes + (1 << 20);
}

std::string now() {
  const std::time_t time = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&time, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

/// All runs of the sweep, each checked as far as it can be without its model. Throws UserError with the problems of
/// all.
std::vector<Settings> checked_runs(const RunArguments& arguments) {
  std::vector<Settings> runs = read_settings(key_table(), arguments.file, arguments.overrides);
  std::vector<Problem> problems;
  for (const Settings& settings : runs) {
    try {
      run_config(settings);
    } catch (const UserError& error) {
      const std::string run = settings.label().empty() ? "" : " (run " + settings.label() + ")";
      for (const Problem& problem : error.problems()) problems.push_back({problem.where, problem.text + run});
    }
  }
  if (!problems.empty()) throw UserError(problems);
  return runs;
}

/// One run of the sweep on all ranks. Throws; `together` sorts out what.
class Run {
 public:
  Run(const RunArguments& arguments, const Communicator& comm, const Settings& settings, StopFlag& stop)
      : arguments_(arguments),
        comm_(comm),
        settings_(settings),
        folder_(folder_of(arguments, settings)),
        stop_(stop),
        started_(now()) {}

  /// Everything that can go wrong before work starts.
  void prepare() {
    job_ = prepare_job(settings_, comm_.local_rank());
    bits_ = bits_hold(job_);
    if (comm_.rank() != 0) return;
    require_finite(job_.exact->weights(), job_.config.model.string());
    found_ = open_output(folder_, job_.identity, expected_bytes(job_), arguments_.fresh);
  }

  void compute() {
    std::vector<std::int64_t> found{found_ == Found::same_results ? 1 : 0};
    comm_.broadcast(found);
    if (found[0] == 1) {
      say_finished(read_results_once());
      return;
    }
    const bool bits = comm_.agree(bits_);
    if (!bits && comm_.rank() == 0) {
      std::cerr << "tributary: warning: on this machine a pair's bits depend on its batch, so results may differ in "
                   "the last digits between machines and settings\n";
    }
    warn();
    ProgressDisplay display(std::cerr, progress_style_for(STDERR_FILENO));
    const Execution execution{
        comm_, stage_options(display), {job_.config.batch_rows != 0 ? job_.config.batch_rows : automatic_rows}};
    const AttributionOutcome attribution = run_attribution(execution, job_);
    std::optional<CircuitOutcome> circuit;
    if (job_.has_circuit()) circuit = run_circuits(execution, job_, attribution);
    const Provenance provenance = provenance_of(job_, comm_, {started_, now(), bits, execution.options.threads});
    if (comm_.rank() != 0) return;
    display.clear();
    const ResultsFile results = results_of(job_, attribution, circuit, provenance);
    write_results(results_path(folder_), results);
    say_finished(results);
  }

 private:
  [[nodiscard]] ResultsFile read_results_once() const {
    return comm_.rank() == 0 ? read_results(results_path(folder_)) : ResultsFile();
  }

  void say_finished(const ResultsFile& results) const {
    if (comm_.rank() != 0) return;
    const std::string name = job_.config.name + (settings_.label().empty() ? "" : " (" + settings_.label() + ")");
    std::cout << name << '\n'
              << summary_of(results) << "\nresults      " << results_path(folder_).string()
              << (found_ == Found::same_results ? " (complete already; --fresh computes it again)" : "") << "\n\n"
              << std::flush;
  }

  void warn() const {
    if (comm_.rank() != 0) return;
    if (!comm_.is_null() && job_.device.is_cpu() && bound_below_share(comm_.local_size())) {
      std::cerr << "tributary: warning: this rank is bound to fewer cores than its share of the node; give mpirun "
                   "--bind-to none\n";
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
    if (job_.config.dtype == "bfloat16" && method.quadrature == Quadrature::pilot) {
      std::cerr << "tributary: note: in bfloat16 the points per layer come from a float32 pilot on "
                << job_.config.pilot_pairs << " pairs\n";
    }
  }

  StageOptions stage_options(ProgressDisplay& display) const {
    StageOptions options;
    options.threads =
        job_.config.threads != 0 ? static_cast<int>(job_.config.threads) : automatic_threads(job_.device, comm_);
    options.order = arguments_.order;
    options.seed = arguments_.order_seed;
    options.stop = &stop_;
    options.on_thread_start = use_one_thread;
    options.on_progress = [&display](const Progress& progress) { display.update(progress); };
    return options;
  }

  const RunArguments& arguments_;
  const Communicator& comm_;
  const Settings& settings_;
  std::filesystem::path folder_;
  StopFlag& stop_;
  std::string started_;
  Job job_;
  Found found_ = Found::nothing;
  bool bits_ = true;  //!< what this rank's start-up check found
};

}  // namespace

int run_command(const RunArguments& arguments, const Communicator& comm) {
  std::vector<Settings> runs;
  int code = together(comm, [&] { runs = checked_runs(arguments); });
  if (code != exit_done) return code;
  StopFlag stop;
  const ScopedSignalHandler handler(stop);
  int worst = exit_done;
  for (const Settings& settings : runs) {
    Run run(arguments, comm, settings, stop);
    code = together(comm, [&] { run.prepare(); });
    if (code == exit_done) code = together(comm, [&] { run.compute(); });
    if (worst == exit_done) worst = code;
    if (code == exit_stopped) return code;
  }
  return worst;
}

void validate_command(const RunArguments& arguments) {
  const std::vector<Settings> runs = checked_runs(arguments);
  std::cout << arguments.file.string() << ": " << runs.size() << (runs.size() == 1 ? " run" : " runs")
            << ", nothing wrong\n";
}

void plan_command(const RunArguments& arguments) {
  for (const Settings& settings : checked_runs(arguments)) {
    const Job job = prepare_job(settings, 0);
    const StagePlan units = plan_attribution(job);
    std::cout << fmt::format(
        "{}{}\n  method   {}\n  pairs    {} training, {} held out, {} skipped\n  nodes    {} layers × {} positions × "
        "{} neurons\n"
        "  units    {} of attribution, {} of circuits\n  results  {}\n",
        job.config.name, settings.label().empty() ? "" : " (" + settings.label() + ")", job.config.method.name,
        job.pairs.train.size(), job.pairs.test.size(), job.pairs.skipped.size(), job.architecture().layers,
        job.node_positions(), job.architecture().neurons, units.units.size(),
        job.has_circuit() ? plan_curve(job).units.size() : 0, results_path(folder_of(arguments, settings)).string());
  }
}

}  // namespace tributary
