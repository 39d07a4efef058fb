// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Times as people and Slurm write them.
#pragma once

#include <chrono>
#include <string>

namespace tributary {

/// "90s", "45m", "2h", "3:20" (minutes), "1:30:00", "2-12:00:00" (days), as Slurm prints what a job has left. Throws
/// UserError.
std::chrono::seconds parse_duration(const std::string& text);

/// "1:02:03", "4:05", "0:07"; "?" when not finite.
std::string format_duration(double seconds);

/// What of a time limit is for work: the rest is for stopping in good order and for writing.
std::chrono::seconds time_to_work(std::chrono::seconds limit);

}  // namespace tributary
