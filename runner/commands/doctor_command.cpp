// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/doctor_command.h"

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <functional>
#include <iostream>
#include <optional>

#include <nlohmann/json.hpp>

#include "attribution/model/families.h"
#include "common/errors.h"
#include "common/text.h"
#include "runner/commands/doctor_bits.h"
#include "runner/commands/doctor_checks.h"
#include "runner/commands/doctor_passes.h"
#include "runner/commands/doctor_subject.h"
#include "runner/commands/exit_codes.h"

namespace tributary {
namespace {

std::string name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::warn:
      return "warn";
    case Verdict::fail:
      return "FAIL";
    case Verdict::skipped:
      return "skipped";
  }
  throw ContractViolation("a verdict outside the enumeration");
}

/// Rows printed as they are found: the later ones take longer.
class CheckTable {
 public:
  Verdict row(const std::string& name, const std::function<Finding()>& check) {
    Finding found;
    try {
      found = check();
    } catch (const CheckpointChanged&) {
      throw;
    } catch (const c10::Error& error) {
      found = {Verdict::fail, error.what_without_backtrace(), ""};
    } catch (const std::exception& error) {
      found = {Verdict::fail, error.what(), ""};
    }
    any_failed_ = any_failed_ || found.verdict == Verdict::fail;
    const std::string limit = found.limit.empty() ? "" : " (limit: " + found.limit + ")";
    std::cout << fmt::format("  {:<8} {:<24} {}{}\n", name_of(found.verdict), name,
                             printable(found.measured, LineEnds::escape), limit)
              << std::flush;
    return found.verdict;
  }
  void skip(const std::string& name, const std::string& reason) {
    row(name, [&] { return Finding{Verdict::skipped, reason, ""}; });
  }
  [[nodiscard]] bool any_failed() const { return any_failed_; }

 private:
  bool any_failed_ = false;
};

/// The most that runs put into a network call on the CPU.
constexpr std::int64_t rows_of_runs = 1024;

/// The checks that compute; without finite weights none says anything.
void check_numbers(CheckTable& table, LoadedModel& loaded, const Job& job, bool finite) {
  std::optional<MemoryCheck> memory;
  const std::vector<std::pair<std::string, std::function<Finding()>>> checks = {
      {"bits over rows", [&] { return check_rows(job, rows_of_runs); }},
      {"bits over threads", [&] { return check_threads(job); }},
      {"bits over ranks", [&] { return check_ranks(job); }},
      {"forward with rules", [&] { return check_forward(job); }},
      {"RelP conservation", [&] { return check_conservation(job, conserving_rules(job.architecture())); }},
      {"ig-acts completeness",
       [&] {
         memory.emplace(job);
         return check_completeness(job, memory->rows());
       }},
      {"memory",
       [&] {
         return memory ? memory->end() : Finding{Verdict::skipped, "nothing could be planned", ""};
       }},
      {"bfloat16", [&] { return check_bfloat16(loaded, job); }},
  };
  for (const auto& [name, check] : checks) {
    if (finite) {
      table.row(name, check);
    } else {
      table.skip(name, "the weights are not finite");
    }
  }
}

}  // namespace

int doctor_command(const DoctorArguments& arguments) {
  const at::NoGradGuard no_gradients;
  const ModelPlace place = find_model(arguments.model, arguments.revision);
  (void)describe_architecture(read_model_config(place.folder), (place.folder / "config.json").string());
  std::cout << text_of(place) << '\n';
  CheckTable table;
  std::optional<LoadedModel> loaded;
  const Verdict files = table.row("files", [&] {
    loaded.emplace(place.folder);
    check_weights(loaded->checkpoint());
    return Finding{Verdict::ok, fmt::format("{} tensors", loaded->checkpoint().tensors().size()),
                   "those that config.json describes"};
  });
  if (files == Verdict::fail) return exit_failed_units;
  if (has_tokenizer(place.folder)) {
    const Verdict tokenizer = table.row("tokenizer file", [&] {
      return Finding{Verdict::ok, fmt::format("{} tokens", loaded->tokenizer().size()), ""};
    });
    if (tokenizer == Verdict::fail) return exit_failed_units;
  }
  const Job job = examined_job(*loaded, arguments.pairs);
  const Verdict weights = table.row("weights finite", [&] { return check_weights_finite(*loaded, job); });
  table.row("tokenizer", [&] { return check_tokenizer(loaded->checkpoint().config(), job); });
  check_numbers(table, *loaded, job, weights != Verdict::fail);
  loaded->checkpoint().require_unchanged();
  return table.any_failed() ? exit_failed_units : exit_done;
}

}  // namespace tributary
