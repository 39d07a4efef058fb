// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Who has started a process, from environments as launchers leave them: noted down from Open MPI 4.1, MPICH 4.0 and
// Slurm 22.05, and for the others as their documentation and users have them.

#include "runner/mpi/launchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "common/errors.h"

namespace tributary {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

using Variables = std::map<std::string, std::string>;

Launch launched_with(const Variables& variables, Terminal terminal = Terminal::none) {
  return launched_by(
      [&](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      terminal);
}

Variables operator+(Variables left, const Variables& right) {
  left.insert(right.begin(), right.end());
  return left;
}

const Variables kBatchScript{{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}};
const Variables kMpirun{{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "0"}, {"PMIX_RANK", "0"}};
const Variables kHydra{{"PMI_RANK", "0"}, {"PMI_SIZE", "4"}, {"PMI_FD", "6"}, {"MPI_LOCALNRANKS", "4"}};
Variables step_of(const std::string& tasks) { return {{"SLURM_STEP_NUM_TASKS", tasks}, {"SLURM_STEP_ID", "0"}}; }
const Variables kPmix{{"PMIX_RANK", "0"}, {"SLURM_PMIXP_ABORT_AGENT_PORT", "34643"}};
Variables pmi2_of(const std::string& tasks) { return {{"PMI_RANK", "0"}, {"PMI_SIZE", tasks}, {"PMI_FD", "12"}}; }
const Variables kShell{{"SLURM_PTY_PORT", "34889"}, {"SLURM_PTY_WIN_COL", "236"}};

void expect(const Variables& variables, const std::string& mpi, int processes) {
  const Launch launch = launched_with(variables);
  ASSERT_FALSE(launch.alone());
  EXPECT_EQ(launch.mpis.front(), mpi);
  EXPECT_EQ(launch.processes, processes);
}

TEST(LaunchedBy, NumbersThatAreNoneAreNamed) {
  for (const char* const size : {"", "abc", "-3", "0", "99999999999999999999"}) {
    EXPECT_THAT(
        [&] {
          (void)launched_with({{"PMI_RANK", "0"}, {"PMI_SIZE", size}});
        },
        ThrowsMessage<UserError>(AllOf(HasSubstr("is no number of processes"), HasSubstr("TRIBUTARY_MPI=none"))));
    EXPECT_TRUE(launched_with({{"PMI_RANK", "0"}, {"PMI_SIZE", size}, {"TRIBUTARY_MPI", "none"}}).alone());
  }
}

TEST(LaunchedBy, NobodyOrOneProcessNeedsNoMpi) {
  EXPECT_TRUE(launched_with({}).alone());
  EXPECT_TRUE(launched_with(kBatchScript).alone());
  EXPECT_TRUE(
      launched_with({{"OMPI_COMM_WORLD_SIZE", "1"}, {"PMIX_RANK", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}}).alone());
  EXPECT_TRUE(launched_with({{"PMI_RANK", "0"}, {"PMI_SIZE", "1"}, {"MPI_LOCALNRANKS", "1"}}).alone());
  EXPECT_TRUE(launched_with(step_of("1")).alone());
  EXPECT_TRUE(launched_with(step_of("1") + kPmix).alone());
  EXPECT_TRUE(launched_with(step_of("1") + pmi2_of("1")).alone());
  EXPECT_TRUE(launched_with(step_of("1") + kPmix + kShell, Terminal::own).alone()) << "the shell of salloc";
}

TEST(LaunchedBy, TellsWhichMpiTheOthersSpeak) {
  expect(kMpirun, "openmpi", 4);
  expect(kHydra, "mpich", 4);
  expect(step_of("4") + kPmix, "openmpi", 4);
  expect(step_of("4") + pmi2_of("4"), "mpich", 4);
  expect({{"PMIX_RANK", "0"}}, "openmpi", 0);
}

TEST(LaunchedBy, LaunchersThatStartThroughSlurmCountBeforeIt) {
  const Variables proxies = step_of("2") + kPmix;  // one a node, which then start the ranks
  expect(kMpirun + proxies, "openmpi", 4);
  expect(kHydra + proxies, "mpich", 4);
  expect(kHydra + step_of("1") + pmi2_of("1"), "mpich", 4);
}

TEST(LaunchedBy, KnowsWhoStartsNeitherOpenMpiNorMpich) {
  expect({{"I_MPI_HYDRA_UUID", "9d26"}, {"PMI_RANK", "0"}, {"PMI_SIZE", "4"}, {"MPI_LOCALNRANKS", "4"}}, "intelmpi", 4);
  expect({{"PALS_RANKID", "0"}, {"PMI_RANK", "0"}, {"PMI_SIZE", "4"}}, "craympich", 4);
  expect({{"MV2_COMM_WORLD_RANK", "0"}, {"MV2_COMM_WORLD_SIZE", "4"}, {"PMI_RANK", "0"}}, "mvapich", 4);
  expect({{"FLUX_TASK_RANK", "0"}, {"FLUX_JOB_SIZE", "4"}, {"PMI_FD", "6"}, {"PALS_RANKID", "0"}}, "mpich", 4);
  expect({{"FLUX_TASK_RANK", "0"}, {"FLUX_JOB_SIZE", "4"}, {"PMIX_RANK", "0"}}, "openmpi", 4);
  expect({{"JSM_NAMESPACE_RANK", "0"}, {"JSM_NAMESPACE_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "0"}}, "openmpi", 4);
}

TEST(LaunchedBy, RefusesTasksOfSlurmThatCannotFindEachOther) {
  EXPECT_THAT([] { launched_with(step_of("4")); },
              ThrowsMessage<UserError>(AllOf(HasSubstr("srun has started 4 processes (SLURM_STEP_NUM_TASKS=4)"),
                                             HasSubstr("srun --mpi=pmix"), HasSubstr("srun --mpi=pmi2"),
                                             HasSubstr("TRIBUTARY_MPI=none"))));
}

TEST(LaunchedBy, KnowsTheShellOfAStep) {
  const Variables shell = step_of("4") + kPmix + kShell;
  const auto message = ThrowsMessage<UserError>(
      AllOf(HasSubstr("this is a shell in one of them"), HasSubstr("srun --ntasks=1 --pty"), HasSubstr("=none")));
  EXPECT_THAT([&] { launched_with(shell, Terminal::own); }, message);
  EXPECT_THAT([&] { launched_with(step_of("4") + pmi2_of("4") + kShell, Terminal::own); }, message);
  EXPECT_THAT([&] { launched_with(step_of("4") + kShell, Terminal::own); }, message);
  // What is started from such a shell inherits its variables, but not its terminal, or is started by an mpirun.
  expect(shell, "openmpi", 4);
  EXPECT_EQ(launched_with(shell + kMpirun, Terminal::own).launcher->title, "Open MPI's mpirun");
  EXPECT_EQ(launched_with(shell + kHydra, Terminal::own).launcher->title, "MPICH's mpirun");
}

TEST(LaunchedBy, DoesWhatTheVariableSays) {
  const Variables alone{{"TRIBUTARY_MPI", "none"}};
  for (const Variables& variables : {Variables{}, kMpirun, step_of("4"), step_of("4") + kPmix + kShell}) {
    EXPECT_TRUE(launched_with(variables + alone, Terminal::own).alone());
  }
  EXPECT_THAT(launched_with({{"TRIBUTARY_MPI", "mpich"}}).mpis, ElementsAre("mpich"));
  EXPECT_THAT(launched_with(kMpirun + Variables{{"TRIBUTARY_MPI", "mpich"}}).mpis, ElementsAre("mpich"));
  EXPECT_THAT(
      [] {
        launched_with({{"TRIBUTARY_MPI", "lam"}});
      },
      ThrowsMessage<UserError>(AllOf(HasSubstr("TRIBUTARY_MPI=lam"), HasSubstr("none, openmpi, mpich"))));
}

TEST(LaunchedBy, TakesTheLauncherThatSpeaksWhatTheVariableSays) {
  const Launch inner =
      launched_with(kMpirun + Variables{{"TRIBUTARY_MPI", "mpich"}, {"PMI_SIZE", "2"}, {"PMI_RANK", "1"}});
  EXPECT_EQ(inner.processes, 2) << "started inside a shell of Open MPI's";
  const Launch none = launched_with(kMpirun + Variables{{"TRIBUTARY_MPI", "mpich"}});
  EXPECT_EQ(none.processes, 4) << "nobody who speaks it has started this";
  EXPECT_THAT(cannot_join(none, "so it is"), HasSubstr("leave out TRIBUTARY_MPI=mpich"));
}

TEST(LaunchedBy, ARankAboveZeroIsOneOfSeveral) {
  for (const char* const variable :
       {"PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "JSM_NAMESPACE_RANK", "FLUX_TASK_RANK"}) {
    const Launch launch = launched_with({{variable, "3"}});
    EXPECT_FALSE(launch.alone()) << variable;
    EXPECT_EQ(launch.processes, 4) << variable;
    EXPECT_EQ(launch.count, Launch::Count::at_least);
    EXPECT_THAT(cannot_join(launch, "so it is"), HasSubstr("at least 4 processes (" + std::string(variable) + "=3)"));
  }
  EXPECT_EQ(launched_with({{"PMIX_RANK", "3"}, {"PMIX_SIZE", "8"}}).processes, 8);
}

TEST(LaunchedBy, AdviceSaysWhatElseToStart) {
  const Launch launch = launched_with({{"PALS_RANKID", "3"}, {"PMI_SIZE", "16"}});
  EXPECT_THAT(cannot_join(launch, "the reason is this"),
              AllOf(HasSubstr("Cray PALS"), HasSubstr("16 processes (PMI_SIZE=16)"), HasSubstr("the reason is this"),
                    HasSubstr("TRIBUTARY_MPI_COMPILERS=cc"), HasSubstr("mpirun of Open MPI or MPICH")));
}

TEST(LaunchedBy, EveryMpiOfALauncherIsKnown) {
  std::vector<std::string_view> names;
  for (const Mpi& mpi : known_mpis()) names.push_back(mpi.name);
  for (const Variables& variables : {kMpirun, kHydra, step_of("4") + pmi2_of("4")}) {
    for (const std::string_view mpi : launched_with(variables).mpis) EXPECT_THAT(names, ::testing::Contains(mpi));
  }
}

}  // namespace
}  // namespace tributary
