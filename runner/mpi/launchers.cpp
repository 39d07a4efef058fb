// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/mpi/launchers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/errors.h"

namespace tributary {
namespace {

constexpr const char* kOverride = "TRIBUTARY_MPI";
constexpr std::string_view kNone = "none";

/// From the particular to the general: launchers that start their processes through another one leave its variables as
/// well, and what a shell has inherited stays in the environment of all that it starts.
const std::vector<Launcher>& launchers() {
  static const std::vector<Launcher> rows{
      {.title = "Open MPI's mpirun",
       .variables = {"OMPI_COMM_WORLD_SIZE"},
       .processes = {"OMPI_COMM_WORLD_SIZE"},
       .mpis = {"openmpi"},
       .instead = "start it with the mpirun of an MPI that the program was built for"},
      {.title = "Intel MPI's mpirun",
       .variables = {"I_MPI_HYDRA_UUID", "I_MPI_HYDRA_BOOTSTRAP_EXEC", "I_MPI_MPIRUN"},
       .and_one_of = {"PMI_RANK", "PMI_SIZE"},
       .processes = {"PMI_SIZE"},
       .mpis = {"intelmpi"},
       .instead = "start it with the mpirun of Open MPI or MPICH, or build the program where mpicc is Intel MPI's"},
      {.title = "jsrun",
       .variables = {"JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"},
       .processes = {"JSM_NAMESPACE_SIZE"},
       .ranks = {"JSM_NAMESPACE_RANK"},
       .mpis = {"openmpi"},
       .instead = "build the program where mpicc is Spectrum MPI's, or start it with Open MPI's mpirun"},
      {.title = "Flux, with PMIx",
       .variables = {"FLUX_TASK_RANK"},
       .and_one_of = {"PMIX_RANK"},
       .processes = {"FLUX_JOB_SIZE"},
       .ranks = {"FLUX_TASK_RANK"},
       .mpis = {"openmpi"},
       .instead = "start it with `flux run` without `-o pmi=pmix` (MPICH), or with an mpirun inside `flux alloc`"},
      {.title = "Flux",
       .variables = {"FLUX_TASK_RANK"},
       .processes = {"FLUX_JOB_SIZE"},
       .ranks = {"FLUX_TASK_RANK"},
       .mpis = {"mpich"},
       .instead = "start it with `flux run -o pmi=pmix` (Open MPI), or with an mpirun inside `flux alloc`"},
      {.title = "Cray PALS (mpiexec, aprun)",
       .variables = {"PALS_RANKID"},
       .processes = {"PMI_SIZE", "PALS_SIZE"},
       .mpis = {"craympich"},
       .instead = "build the program where MPI's compiler is Cray MPICH's (-DTRIBUTARY_MPI_COMPILERS=cc), or start it "
                  "with the mpirun of Open MPI or MPICH"},
      {.title = "MVAPICH's mpirun_rsh",
       .variables = {"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MVP_COMM_WORLD_RANK"},
       .processes = {"MV2_COMM_WORLD_SIZE", "MVP_COMM_WORLD_SIZE"},
       .mpis = {"mvapich"},
       .instead = "start it with the mpirun of Open MPI or MPICH, or build the program where mpicc is MVAPICH's"},
      {.title = "MPICH's mpirun",
       .variables = {"MPI_LOCALNRANKS"},
       .and_one_of = {"PMI_RANK", "PMI_SIZE"},
       .processes = {"PMI_SIZE"},
       .mpis = {"mpich"},
       .instead = "start it with the mpirun of an MPI that the program was built for"},
      {.title = "srun --pty",
       .variables = {"SLURM_PTY_PORT"},
       .and_one_of = {"SLURM_STEP_NUM_TASKS"},
       .needs = Launcher::Needs::terminal,
       .processes = {"SLURM_STEP_NUM_TASKS"},
       .problem = "this is a shell in one of them",
       .instead =
           "open it with `srun --ntasks=1 --pty`, or start all tasks outside it with `srun --mpi=pmix`; here the "
           "program runs alone with TRIBUTARY_MPI=none before the command"},
      {.title = "Open MPI's mpirun",
       .variables = {"OMPI_COMM_WORLD_RANK"},
       .ranks = {"OMPI_COMM_WORLD_RANK"},
       .mpis = {"openmpi"},
       .instead = "start it with the mpirun of an MPI that the program was built for"},
      {.title = "a launcher that speaks PMI (srun --mpi=pmi2)",
       .variables = {"PMI_RANK", "PMI_SIZE"},
       .processes = {"PMI_SIZE"},
       .ranks = {"PMI_RANK"},
       .mpis = {"mpich", "mvapich", "intelmpi", "craympich"},
       .instead = "start it with `srun --mpi=pmix` (Open MPI) or an mpirun"},
      {.title = "a launcher that speaks PMIx (srun --mpi=pmix)",
       .variables = {"PMIX_RANK"},
       .processes = {"SLURM_STEP_NUM_TASKS", "PMIX_SIZE"},
       .ranks = {"PMIX_RANK"},
       .mpis = {"openmpi"},
       .instead = "start it with `srun --mpi=pmi2` (MPICH) or an mpirun"},
      {.title = "srun",
       .variables = {"SLURM_STEP_NUM_TASKS"},
       .processes = {"SLURM_STEP_NUM_TASKS"},
       .problem = "they cannot find each other, so that each would do all the work by itself",
       .instead = "start it with `srun --mpi=pmix` (Open MPI) or `srun --mpi=pmi2` (MPICH); in a shell that srun has "
                  "opened, put TRIBUTARY_MPI=none before the command to run alone"},
  };
  return rows;
}

/// The first of the variables that is set.
std::optional<std::string_view> first_set(const std::vector<std::string_view>& names, const Environment& environment) {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](auto name) { return environment(name.data()) != nullptr; });
  return found == names.end() ? std::nullopt : std::optional(*found);
}

int number_in(std::string_view text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::vector<std::string_view> asked_for(std::string_view name) {
  if (name == kNone) return {};
  for (const Mpi& mpi : known_mpis()) {
    if (mpi.name == name) return {mpi.name};
  }
  std::vector<std::string_view> names{kNone};
  for (const Mpi& mpi : known_mpis()) names.push_back(mpi.name);
  throw UserError("", fmt::format("{}={} is no MPI that the program knows; give one of {}", kOverride, name,
                                  fmt::join(names, ", ")));
}

}  // namespace

const std::vector<Mpi>& known_mpis() {
  static const std::vector<Mpi> rows{
      {"openmpi", "Open MPI", "Debian: libopenmpi-dev"},
      {"mpich", "MPICH", "Debian: libmpich-dev", Mpi::Leaving::every_rank},
      {"intelmpi", "Intel MPI", "usually a module"},
      {"craympich", "Cray MPICH", "usually a module"},
      {"mvapich", "MVAPICH", "usually a module"},
  };
  return rows;
}

Launch launched_by(const Environment& environment, Terminal terminal) {
  const char* const asked = environment(kOverride);
  Launch launch;
  for (const Launcher& row : launchers()) {
    const std::optional<std::string_view> shown = first_set(row.variables, environment);
    if (!shown || (!row.and_one_of.empty() && !first_set(row.and_one_of, environment))) continue;
    if (row.needs == Launcher::Needs::terminal && terminal == Terminal::none) continue;
    const std::optional<std::string_view> counted = first_set(row.processes, environment);
    const int processes = counted ? number_in(environment(counted->data())) : 0;
    if (counted && processes < 1 && asked == nullptr) {
      throw UserError("", fmt::format("{}={} is no number of processes, as {} would leave it; unset it, or put {}={} "
                                      "before the command to run alone",
                                      *counted, environment(counted->data()), row.title, kOverride, kNone));
    }
    if (processes == 1) continue;
    const bool speaks = asked == nullptr || std::find(row.mpis.begin(), row.mpis.end(), asked) != row.mpis.end();
    if (launch.launcher != nullptr && !speaks)
      continue;  // the first is told of, unless a later one speaks what is asked
    const std::optional<std::string_view> ranked = first_set(row.ranks, environment);
    const int rank = ranked ? number_in(environment(ranked->data())) : 0;
    const bool by_rank = !counted && rank > 0;
    const std::string_view variable = counted ? *counted : by_rank ? *ranked : *shown;
    launch = {.launcher = &row,
              .shown_by = fmt::format("{}={}", variable, environment(variable.data())),
              .processes = by_rank ? rank + 1 : processes,
              .count = by_rank ? Launch::Count::at_least : Launch::Count::exact,
              .mpis = row.mpis};
    if (speaks) break;
  }
  if (asked != nullptr) {
    launch.mpis = asked_for(asked);
    launch.asked = asked;
  } else if (launch.launcher != nullptr && launch.mpis.empty()) {
    throw UserError("", cannot_join(launch, std::string(launch.launcher->problem)));
  }
  return launch;
}

std::string cannot_join(const Launch& launch, const std::string& problem) {
  if (launch.launcher == nullptr) return fmt::format("{} names the MPI to use, and {}", kOverride, problem);
  const std::string number = std::to_string(launch.processes);
  const bool at_least = launch.count == Launch::Count::at_least;
  const std::string many = launch.processes == 0 ? "several" : at_least ? "at least " + number : number;
  const std::string otherwise =
      launch.asked.empty() ? "" : fmt::format(", or leave out {}={}", kOverride, launch.asked);
  return fmt::format("{} has started {} processes ({}), and {}; {}{}", launch.launcher->title, many, launch.shown_by,
                     problem, launch.launcher->instead, otherwise);
}

}  // namespace tributary
