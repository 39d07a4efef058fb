// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The command line: words in, exit code out.
#include <c10/util/Exception.h>

#include <CLI/CLI.hpp>

#include <exception>
#include <iostream>

#include "common/errors.h"
#include "io/config.h"
#include "runner/comm.h"
#include "runner/device.h"
#include "runner/exit_codes.h"
#include "runner/inspect.h"
#include "runner/keys.h"
#include "runner/run_command.h"
#include "runner/version.h"

namespace {

using namespace tributary;

/// The words of one command line.
struct CommandLine {
  RunArguments run;
  InspectArguments inspect;
  std::string hand_out = "planned";
};

void add_sweep_arguments(CLI::App& command, CommandLine& line) {
  command.add_option("file", line.run.file, "the sweep file (YAML)")->required();
  command.add_option("overrides", line.run.overrides, "key.path=value, winning over the file");
  command.add_option("--out", line.run.out, "folder of the results (default: results/<name>)");
}

int act(CLI::App& app, CommandLine& line) {
  if (app.got_subcommand("schema")) {
    std::cout << describe(key_table());
  } else if (app.got_subcommand("inspect")) {
    inspect_command(line.inspect);
  } else if (app.got_subcommand("validate")) {
    validate_command(line.run);
  } else if (app.got_subcommand("plan")) {
    plan_command(line.run);
  } else {
    line.run.order = line.hand_out == "planned" ? Order::Planned : Order::Shuffled;
    const ScopedMpi mpi;
    try {
      return run_command(line.run, mpi.world());
    } catch (const std::exception& error) {
      std::cerr << "tributary: rank " << mpi.world().rank() << ": " << error.what() << '\n';
      if (!mpi.world().is_null()) mpi.world().abort(exit_internal);  // or the other ranks would wait for this one
      return exit_internal;
    }
  }
  return exit_done;
}

}  // namespace

int main(int argc, char** argv) {
  fix_cpu_arithmetic();
  use_one_thread();
  keep_freed_memory();
  CommandLine line;
  CLI::App app{"Which MLP neurons make a language model give this answer, and how complete is that list?"};
  app.set_version_flag("--version", std::string("tributary ") + version);
  app.require_subcommand(1);
  CLI::App* run = app.add_subcommand("run", "run a sweep file, alone or under mpirun or srun");
  add_sweep_arguments(*run, line);
  run->add_flag_callback(
      "--fresh", [&line] { line.run.fresh = Fresh::yes; }, "replace results that are there already");
  run->add_option("--hand-out", line.hand_out, "order in which units are handed out; changes no number (a test switch)")
      ->check(CLI::IsMember({"planned", "shuffled"}));
  run->add_option("--hand-out-seed", line.run.order_seed, "seed of --hand-out shuffled");
  add_sweep_arguments(*app.add_subcommand("plan", "say what a run would do, and do nothing"), line);
  add_sweep_arguments(*app.add_subcommand("validate", "check a sweep file"), line);
  app.add_subcommand("schema", "print the keys of a sweep file: types, defaults, meanings");
  CLI::App* inspect = app.add_subcommand("inspect", "describe a model folder");
  inspect->add_option("model", line.inspect.model, "Hugging Face checkpoint folder")->required();
  inspect->add_option("--dtype", line.inspect.dtype, "float64, float32 or bfloat16")
      ->check(CLI::IsMember({"float64", "float32", "bfloat16"}));
  inspect->add_option("--prompt", line.inspect.prompt, "show its tokens and the most likely next ones");
  inspect->add_option("--logits", line.inspect.logits, "write the prompt's logits to this HDF5 file");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? exit_done : exit_usage;
  }
  try {
    return act(app, line);
  } catch (const tributary::UserError& error) {
    std::cerr << "tributary: " << error.what() << '\n';
    return exit_usage;
  } catch (const c10::Error& error) {
    std::cerr << "tributary: " << error.what_without_backtrace() << '\n';
    return exit_internal;
  } catch (const std::exception& error) {
    std::cerr << "tributary: " << error.what() << '\n';
    return exit_internal;
  }
}
