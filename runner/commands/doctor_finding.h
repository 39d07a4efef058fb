// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a check of `doctor` says. A check knows nothing of how that is printed.
#pragma once

#include <string>

namespace tributary {

enum class Verdict { ok, warn, fail, skipped };

/// What a check found.
struct Finding {
  Verdict verdict = Verdict::ok;
  std::string measured;  //!< for people
  std::string limit;     //!< what it is held against; empty: nothing
};

}  // namespace tributary
