// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The command line: words in, exit code out.
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <utility>

#include "common/errors.h"
#include "common/version.h"
#include "io/checkpoint.h"
#include "io/config.h"
#include "runner/cluster/comm.h"
#include "runner/commands/bus_errors.h"
#include "runner/commands/doctor_command.h"
#include "runner/commands/duration.h"
#include "runner/commands/exit_codes.h"
#include "runner/commands/finalize_command.h"
#include "runner/commands/inspect.h"
#include "runner/commands/plan_command.h"
#include "runner/commands/printable_stream.h"
#include "runner/commands/run_command.h"
#include "runner/commands/status.h"
#include "runner/commands/validate_command.h"
#include "runner/job/keys.h"
#include "runner/machine/device.h"
#include "runner/machine/host.h"
#include "runner/report/mib_export.h"
#include "runner/report/report.h"
#include "runner/results/schema.h"

namespace {

using namespace tributary;

/// The words of one command line.
struct CommandLine {
  RunArguments run;
  InspectArguments inspect;
  DoctorArguments doctor;
  std::string hand_out = "planned";
  std::string schema_of = "sweep";
  std::string export_to;
  std::string export_format = "tables";
  ChartScript chart_script = ChartScript::shared;
};

void add_sweep_arguments(CLI::App& command, CommandLine& line) {
  command.add_option("file", line.run.file, "the sweep file (YAML)")->required();
  command.add_option("overrides", line.run.overrides, "key.path=value, winning over the file");
  command.add_option("--out", line.run.out, "folder of the results (default: results/<name>)");
}

/// What went wrong on one rank alone ends all: the others may be waiting for it. The reason goes to rank 0, which
/// prints it; where that one does not react, to this rank's own log.
[[noreturn]] void end_all_ranks(const Communicator& world, const std::exception& error) {
  constexpr std::chrono::seconds others_have{2};
  constexpr std::chrono::seconds rank_0_has{10};
  const auto* from_torch = dynamic_cast<const c10::Error*>(&error);
  const std::string reason = from_torch != nullptr ? from_torch->what_without_backtrace() : error.what();
  const auto print = [](const std::string& text) { std::cerr << "tributary: " << text << '\n' << std::flush; };
  if (dynamic_cast<const RankFailed*>(&error) != nullptr) {
    print(reason);
  } else {
    const std::string text = fmt::format("rank {} on {}: {}", world.rank(), host_name(), reason);
    if (world.rank() != 0) world.report_trouble(text);
    std::this_thread::sleep_for(world.rank() == 0 ? std::chrono::seconds(0) : rank_0_has);
    print(text);
  }
  const auto until = std::chrono::steady_clock::now() + others_have;
  while (world.rank() == 0 && std::chrono::steady_clock::now() < until) {
    try {
      world.require_no_trouble();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    } catch (const RankFailed& another) {
      print(another.what());
    }
  }
  world.abort(dynamic_cast<const CheckpointChanged*>(&error) != nullptr ? exit_files_changed : exit_internal);
}

int act(CLI::App& app, CommandLine& line) {
  if (app.got_subcommand("schema")) {
    std::cout << (line.schema_of == "results" ? describe(results_schema()) : describe(key_table()));
  } else if (app.got_subcommand("inspect")) {
    inspect_command(line.inspect);
  } else if (app.got_subcommand("doctor")) {
    return doctor_command(line.doctor);
  } else if (app.got_subcommand("validate")) {
    validate_command(line.run);
  } else if (app.got_subcommand("plan")) {
    plan_command(line.run);
  } else if (app.got_subcommand("status")) {
    status_command(line.run.out);
  } else if (app.got_subcommand("report")) {
    report_command(line.run.out, line.chart_script);
  } else if (app.got_subcommand("export")) {
    line.export_format == "mib" ? export_mib(line.run.out, line.export_to)
                                : export_command(line.run.out, line.export_to);
  } else {
    line.run.order = line.hand_out == "planned" ? Order::Planned : Order::Shuffled;
    const ScopedMpi mpi;
    name_files_on_bus_errors();  // once more: MPI's network library has put a handler of its own in place
    const Communicator& world = mpi.world();
    try {
      const bool finalize = app.got_subcommand("finalize");
      const int code = finalize ? finalize_command(line.run.out, world) : run_command(line.run, world);
      return world.exit_code_here(code);
    } catch (const std::exception& error) {
      if (world.is_null()) throw;
      end_all_ranks(world, error);
    }
  }
  return exit_done;
}

int refuse_no_command(const CLI::App& app) {
  std::cerr << "tributary: no command is given; take one of these (`tributary COMMAND --help` says more):\n";
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    std::cerr << fmt::format("  {:<9} {}\n", command->get_name(), command->get_description());
  }
  return exit_usage;
}

}  // namespace

int main(int argc, char** argv) {
  const PrintableStream printable_output(std::cout);
  const PrintableStream printable_errors(std::cerr);
  name_files_on_bus_errors();
  fix_cpu_arithmetic();
  use_one_thread();
  keep_freed_memory();
  CommandLine line;
  std::string time;
  CLI::App app{"Which MLP neurons make a language model give this answer, and how complete is that list?"};
  app.set_version_flag("--version", std::string("tributary ") + version);
  app.require_subcommand(1);
  CLI::App* run = app.add_subcommand("run", "run a sweep file, alone or under mpirun or srun");
  add_sweep_arguments(*run, line);
  run->add_flag_callback(
      "--fresh", [&line] { line.run.fresh = Fresh::yes; }, "replace results that are there already");
  run->add_flag_callback(
      "--fail-fast", [&line] { line.run.on_failure = OnFailure::stop; },
      "end the sweep with the first run that cannot be done; otherwise the others go on");
  run->add_option("--hand-out", line.hand_out, "order in which units are handed out; changes no number (a test switch)")
      ->check(CLI::IsMember({"planned", "shuffled"}));
  run->add_option("--hand-out-seed", line.run.order_seed, "seed of --hand-out shuffled");
  run->add_option("--run", line.run.only, "only this run of the sweep, by its number in `plan` (from 0)");
  run->add_flag_callback(
      "--share-cards", [&line] { line.run.cards = Cards::shared; }, "let several ranks compute on one card");
  run->add_option("--time", time,
                  "stop in good order before this time is over (90s, 45m, 1:30:00, 2-12:00:00): exit 75");
  run->add_option("--warn-after", line.run.silence, "seconds without a sign of life after which a rank is named")
      ->check(CLI::PositiveNumber);
  for (const auto& [name, does] :
       {std::pair{"status", "say how far a sweep is, also while it runs"},
        std::pair{"finalize", "write results.h5 from the journal, without computing"},
        std::pair{"report", "write report.html from the results of a run or a sweep"},
        std::pair{"export", "write the report's tables as CSV and JSON, or scores as MIB's file"}}) {
    app.add_subcommand(name, does)->add_option("folder", line.run.out, "folder of the results")->required();
  }
  app.get_subcommand("report")->add_flag_callback(
      "--self-contained", [&line] { line.chart_script = ChartScript::inside; },
      "put the script that draws charts into every page, also those of a sweep, so that each needs no other file");
  CLI::App* exported = app.get_subcommand("export");
  exported->add_option("--to", line.export_to, "folder of what is written (default: <folder>/export)");
  exported
      ->add_option("--format", line.export_format,
                   "tables: the report's, as CSV and JSON; mib: importances.json of each run with heads and mlps")
      ->check(CLI::IsMember({"tables", "mib"}))
      ->capture_default_str();
  CLI::App* plan =
      app.add_subcommand("plan", "say what a run would do and take, from config.json alone: no weights are read");
  add_sweep_arguments(*plan, line);
  PlannedMachines& planned = line.run.planned;
  plan->add_option("--ranks", planned.ranks, "for so many ranks")->check(CLI::Range(1, 100000));
  plan->add_option("--nodes", planned.nodes, "on so many nodes; without --ranks or --cards, a rank each")
      ->check(CLI::Range(1, 100000));
  plan->add_option("--cards", planned.cards, "with so many cards in all, a rank each")->check(CLI::Range(1, 100000));
  plan->add_option("--memory", planned.memory, "that a rank may take, on a card the card's: 24G; default: the file's");
  CLI::App* validate =
      app.add_subcommand("validate", "check a sweep file, and the models and pairs that it names; computes nothing");
  add_sweep_arguments(*validate, line);
  validate->add_flag_callback(
      "--file-only", [&line] { line.run.checked = RunArguments::Checked::file; },
      "the file alone: models and pairs may be elsewhere");
  app.add_subcommand("schema", "print what may stand in a sweep file, or what stands in results.h5")
      ->add_option("what", line.schema_of,
                   "sweep: keys, types, defaults, meanings (as without it); results: datasets, axes, types, units")
      ->check(CLI::IsMember({"sweep", "results"}));
  CLI::App* inspect = app.add_subcommand("inspect", "describe a model folder");
  inspect->add_option("model", line.inspect.model, "Hugging Face checkpoint folder, or org/name in the Hub's cache")
      ->required();
  inspect->add_option("--revision", line.inspect.revision, "branch, tag or commit of it in the cache");
  inspect->add_option("--dtype", line.inspect.dtype, "float64, float32 or bfloat16")
      ->check(CLI::IsMember({"float64", "float32", "bfloat16"}));
  inspect->add_option("--prompt", line.inspect.prompt, "show its tokens and the most likely next ones");
  inspect->add_option("--logits", line.inspect.logits, "write the prompt's logits to this HDF5 file");
  CLI::App* doctor = app.add_subcommand("doctor", "check that a model computes here what it should: exit 3 if not");
  doctor->add_option("model", line.doctor.model, "Hugging Face checkpoint folder, or org/name in the Hub's cache")
      ->required();
  doctor->add_option("--revision", line.doctor.revision, "branch, tag or commit of it in the cache");
  doctor->add_option("--pairs", line.doctor.pairs, "prompt pairs (JSON, one a line), the first two that fit are taken");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (argc < 2) return refuse_no_command(app);
    const int code = app.exit(error);
    return code == 0 ? exit_done : exit_usage;
  }
  try {
    if (!time.empty()) line.run.time = time_to_work(parse_duration(time));
    const int code = act(app, line);
    if (code != exit_done || app.got_subcommand("run") || app.got_subcommand("finalize")) return code;
    if (std::cout.flush()) return code;
    std::cerr << "tributary: standard output cannot be written (is its disk full?); what is above may be cut off\n";
    return exit_internal;
  } catch (const tributary::UserError& error) {
    std::cerr << "tributary: " << error.what() << '\n';
    return exit_usage;
  } catch (const CheckpointChanged& error) {
    std::cerr << "tributary: " << error.what() << '\n';
    return exit_files_changed;
  } catch (const c10::Error& error) {
    std::cerr << "tributary: " << error.what_without_backtrace() << '\n';
    return exit_internal;
  } catch (const std::exception& error) {
    std::cerr << "tributary: " << error.what() << '\n';
    return exit_internal;
  }
}
