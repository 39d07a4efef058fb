// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Fingerprints of texts: what identities are made of.
#pragma once

#include <string>

namespace tributary {

/// XXH3-128 as 32 hexadecimal digits.
std::string hash_of(const std::string& text);

}  // namespace tributary
