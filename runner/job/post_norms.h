// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Norms behind what a run's nodes write: they make the same of it whatever its size, so there is no way from zero.
#pragma once

#include <string>

#include "runner/job/job.h"

namespace tributary {

/// Behind which parts of some layer's output a norm stands through which nodes of the run write: "MLP", "attention",
/// "attention and MLP"; empty: behind none.
std::string normed_parts(const Job& job);

}  // namespace tributary
