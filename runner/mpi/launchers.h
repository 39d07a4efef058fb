// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Who has started this process, read from the environment that launchers leave: so the program knows before it calls
// any MPI whether it is one of many, and which MPI the others speak. A table, a row a launcher. Knows no MPI itself.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

/// An MPI that the program can be built for (cmake/Mpi.cmake); `name` is that of its layer's file, and what
/// TRIBUTARY_MPI may say.
struct Mpi {
  std::string_view name;
  std::string_view title;
  std::string_view get;  //!< how to get it
  /// Which ranks leave with the exit code of a run. One is enough, and most launchers kill the others when one leaves
  /// with an error; but MPICH's, once it has passed on a signal, may give back the code of any.
  enum class Leaving { first_rank, every_rank } leaving = Leaving::first_rank;
};
const std::vector<Mpi>& known_mpis();

struct Launcher {
  std::string_view title;
  std::vector<std::string_view> variables;  //!< one of them is set in what it starts
  std::vector<std::string_view> and_one_of{};
  enum class Needs { nothing, terminal } needs = Needs::nothing;  //!< besides: a terminal of one's own
  std::vector<std::string_view> processes{};  //!< variables that hold how many it has started; the first that is set
  std::vector<std::string_view> ranks{};      //!< variables that hold which of them this is, from 0
  std::vector<std::string_view> mpis{};       //!< MPIs whose processes find each other under it, best first
  std::string_view problem{};                 //!< why there can be none
  std::string_view instead;                   //!< what to do where none of them can be used
};

/// How this process was started.
struct Launch {
  const Launcher* launcher = nullptr;                         //!< null: by none that has started several processes
  std::string shown_by{};                                     //!< the variable that shows it, with its value
  int processes = 0;                                          //!< 0: unknown
  enum class Count { exact, at_least } count = Count::exact;  //!< at_least: only the rank is known
  std::string asked{};                                        //!< what TRIBUTARY_MPI says, where it does
  std::vector<std::string_view> mpis{};  //!< to be used, best first; empty where the process is alone

  [[nodiscard]] bool alone() const { return mpis.empty(); }
};

using Environment = std::function<const char*(const char* name)>;  //!< like getenv
enum class Terminal { none, own };

/// Reads the environment. A launcher that has started one process only does not count: MPI is not needed then. The
/// variable TRIBUTARY_MPI wins: the name of an MPI, or `none`. Throws UserError where it says something else, and where
/// there are several processes that no MPI of ours can bring together.
Launch launched_by(const Environment& environment, Terminal terminal);

/// That these processes cannot work together, why (`problem`, a clause), and what to do.
std::string cannot_join(const Launch& launch, const std::string& problem);

}  // namespace tributary
