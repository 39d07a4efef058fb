// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The machine that this process runs on, as the operating system tells it. Knows no tensors.
#pragma once

#include <iosfwd>
#include <string>

namespace tributary {

/// Its name as the operating system knows it; "unknown" where it has none.
std::string host_name();
/// The model of its CPU, as Linux names it; "unknown" where it does not.
std::string cpu_model();
/// The same from what /proc/cpuinfo holds.
std::string cpu_model_in(std::istream& cpuinfo);

/// This moment as "2026-11-23T18:00:00Z".
std::string utc_now();

}  // namespace tributary
