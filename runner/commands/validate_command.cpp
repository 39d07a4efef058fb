// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/validate_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "common/errors.h"
#include "runner/commands/sweep_problems.h"
#include "runner/commands/sweep_runs.h"
#include "runner/job/dictionary_lines.h"
#include "runner/job/job_checks.h"
#include "runner/job/memory_plan.h"
#include "runner/job/notes.h"
#include "runner/job/sketch.h"

namespace tributary {
namespace {

/// Lines for people, each once, in the order met.
class Lines {
 public:
  void add(const std::string& line) {
    if (std::find(lines_.begin(), lines_.end(), line) == lines_.end()) lines_.push_back(line);
  }
  void print() const {
    for (const std::string& line : lines_) std::cout << "  " << line << '\n';
  }

 private:
  std::vector<std::string> lines_;
};

std::string text_of_model(const Job& job) {
  const Architecture& a = job.architecture();
  return fmt::format("{}: {}, {} layers of {} neurons", text_of(job.config.model), a.family, a.layers(), a.neurons);
}

std::string text_of_pairs(const Job& job) {
  const PairOptions& pairs = job.config.pairs;
  const std::filesystem::path& file = pairs.file.empty() ? pairs.train_file : pairs.file;
  return fmt::format("{}: {} training pairs, {} held out, {} skipped as unfit{}", file.string(), job.pairs.train.size(),
                     job.pairs.test.size(), job.pairs.skipped.size(),
                     job.config.correct_only ? " (before pairs.correct_only, which asks the model)" : "");
}

/// All that a run reads but the values of weights. What one mistake makes meaningless is not looked at.
void check_run(const Settings& settings, SketchShelf& shelf, SweepProblems& problems, Lines& lines) {
  bool sound = true;
  const auto check = [&](const std::function<void()>& read) {
    try {
      read();
      return true;
    } catch (const UserError& error) {
      problems.add(error, settings.label());
      sound = false;
      return false;
    }
  };
  RunConfig config = run_config(settings);
  const bool located = check([&] { locate_model(config); });
  Architecture architecture;
  const bool described = located && check([&] { architecture = shelf.architecture(config.model.folder); });
  if (described) check([&] { shelf.require_weights(config.model.folder); });
  // Where there is no config.json, that is the mistake: the folder is none of a model.
  const bool is_model = described || (located && std::filesystem::exists(config.model.folder / "config.json"));
  if (is_model && check([&] { (void)shelf.tokenizer(config.model.folder); })) {
    check([&] { (void)shelf.pairs(config.model.folder, pair_options_for(config, architecture)); });
  } else {  // as texts they can be read all the same
    for (const std::filesystem::path& file : {config.pairs.file, config.pairs.train_file, config.pairs.test_file}) {
      if (!file.empty()) check([&] { (void)read_pairs(file); });
    }
  }
  if (!sound) return;
  check([&] {
    const Job job = shelf.job(settings, at::Device(at::kCPU));
    if (config.memory != 0 && config.device == "cpu") {
      (void)plan_memory({&job}, RankPlace{.threads = static_cast<int>(std::max<std::int64_t>(1, config.threads))});
    }
    lines.add(text_of_model(job));
    lines.add(text_of_pairs(job));
    for (const std::string& line : dictionary_lines(job)) lines.add(line);
    for (const std::string& note : notes_on(job, settings)) lines.add("note: " + note);
    if (config.memory != 0 && config.device != "cpu") {
      lines.add("note: whether memory: " + settings.at<std::string>("memory") +
                " is enough depends on where the run computes (model.device: " + config.device + "); `plan` tells");
    }
  });
}

}  // namespace

void validate_command(const RunArguments& arguments) {
  const std::vector<Settings> runs = checked_runs(arguments);
  SketchShelf shelf;
  SweepProblems problems(runs.size());
  Lines lines;
  for (const Settings& settings : runs) {
    if (arguments.checked == RunArguments::Checked::all) check_run(settings, shelf, problems, lines);
  }
  problems.throw_if_any();
  std::cout << arguments.file.string() << ": " << runs.size() << (runs.size() == 1 ? " run" : " runs")
            << ", nothing wrong\n";
  lines.print();
}

}  // namespace tributary
