// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the job that this process belongs to may take of a node's memory: the limits of its control groups, and what was
// asked of Slurm. Knows no plans.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace tributary {

/// Where limits are read.
struct MemorySources {
  std::filesystem::path root = "/";  //!< what holds proc/ and sys/
  /// The value of an environment variable, empty where it is not set.
  std::function<std::string(const char* name)> variable;

  /// Those of this process.
  static MemorySources of_process();
};

/// No limit.
inline constexpr std::uint64_t no_limit = UINT64_MAX;

/// What is left below the limits of the process's control group and of all that it lies in (version 1 or 2): of each
/// limit, what the group has not taken. File pages that the system may drop at once do not count as taken.
std::uint64_t control_group_free(const MemorySources& sources);
/// What the job was given of this node's memory: SLURM_MEM_PER_NODE, or per CPU or card as many times as the job has of
/// them here.
std::uint64_t slurm_limit(const MemorySources& sources);

}  // namespace tributary
