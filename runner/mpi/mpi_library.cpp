// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/mpi/mpi_library.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "common/errors.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;

/// The library of an MPI where the build (the program's folder, or one below it for tests) or the installation has it.
fs::path library_of(std::string_view mpi) {
  std::error_code ignored;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const fs::path libraries = fs::path("lib") / "tributary";
  const bool beside = fs::exists(folder / libraries, ignored);
  return (beside ? folder : folder.parent_path()) / libraries / fmt::format("{}.so", mpi);
}

const Mpi& row_of(std::string_view name) {
  const auto found =
      std::find_if(known_mpis().begin(), known_mpis().end(), [&](const Mpi& mpi) { return mpi.name == name; });
  TRIBUTARY_EXPECT(found != known_mpis().end(), "launchers start MPIs that the program knows");
  return *found;
}

/// Opens a library for the rest of the process, so that the MPI's own plug-ins find its symbols: Open MPI's may not
/// name the library that they belong to. Null with the problem where that fails.
const MpiLayer* open_library(const Mpi& mpi, const fs::path& file, std::string& problem) {
  void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    problem = fmt::format("{} cannot be loaded ({}; {}, or name its folder in LD_LIBRARY_PATH)", mpi.title, dlerror(),
                          mpi.get);
    return nullptr;
  }
  void* const table = dlsym(library, TRIBUTARY_MPI_LAYER);
  if (table == nullptr) {
    problem = fmt::format("{} belongs to another version of the program (build or install again)", file.string());
    return nullptr;
  }
  return reinterpret_cast<decltype(&tributary_mpi_layer_1)>(table)();
}

}  // namespace

OpenedMpi open_mpi_layer(const Launch& launch) {
  std::vector<std::string> problems;
  std::error_code ignored;
  for (const std::string_view name : launch.mpis) {
    if (!fs::exists(library_of(name), ignored)) continue;
    if (const MpiLayer* const layer = open_library(row_of(name), library_of(name), problems.emplace_back())) {
      return {row_of(name), *layer};
    }
  }
  if (problems.empty()) {
    const Mpi& best = row_of(launch.mpis.front());
    problems.push_back(fmt::format("the program was built without {} ({}; there is no {})", best.title, best.get,
                                   library_of(best.name).string()));
  }
  throw UserError("", cannot_join(launch, fmt::format("{}", fmt::join(problems, ", "))));
}

}  // namespace tributary
