// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "common/version.h"

namespace tributary {

const char* const version = TRIBUTARY_VERSION;
const char* const build_type = TRIBUTARY_BUILD_TYPE;
const char* const commit = TRIBUTARY_COMMIT;
const char* const numbers_version = "4";

}  // namespace tributary
