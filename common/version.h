// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What this program calls itself, and which numbers it computes.
#pragma once

namespace tributary {

extern const char* const version;
extern const char* const build_type;
/// The git commit that was built, as `git describe --always --dirty` names it; "unknown" outside a clone.
extern const char* const commit;
/// Raised whenever a change of code changes any bit of a result: results of another version are another run's.
extern const char* const numbers_version;

}  // namespace tributary
