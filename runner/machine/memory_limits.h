// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The memory that the operating system leaves to this process and the memory that it has taken, in bytes. Knows no
// tensors and no plans.
#pragma once

#include <cstdint>
#include <string>

#include "runner/machine/job_memory.h"

namespace tributary {

/// What is free on this machine, or in this process's control groups where that is less.
std::uint64_t free_host_bytes(const MemorySources& sources = MemorySources::of_process());
/// What this process holds at this moment, its mapped files included.
std::uint64_t resident_bytes();
/// Of that the mapped files.
std::uint64_t resident_file_bytes();
/// Gives memory that was freed, and kept for later, back to the system: what is resident then is in use.
void return_freed_memory();
/// The most that this process has held so far.
std::uint64_t peak_resident_bytes();
/// Lets that begin anew, with what this process holds at this moment; nothing happens where the system does not allow
/// it.
void forget_peak();

/// "8 GiB", "500 MB", "24G" (as Slurm has it: GiB) in bytes. Throws std::invalid_argument saying what is allowed.
std::uint64_t parse_bytes(const std::string& text);
/// "8.2 GiB"
std::string text_of_bytes(std::uint64_t bytes);

}  // namespace tributary
