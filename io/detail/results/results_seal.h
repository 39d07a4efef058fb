// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The first 512 bytes of a results file: an HDF5 user block that says in plain text what the file is and carries a
// hash of all the rest. HDF5 1.10 can crash or hang on damaged metadata, so the reader looks at the seal before it
// lets HDF5 see the file. It guards against accidents, not against forgery.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tributary::detail {

/// The smallest user block HDF5 takes.
inline constexpr std::size_t kSealBytes = 512;

/// Fills the first kSealBytes of `file` from the bytes that follow them.
void seal(std::string& file);

/// Whether `file` begins as seal makes files begin.
bool looks_like_results(std::string_view file);

/// Whether it is as seal left it, byte for byte.
bool has_whole_seal(std::string_view file);

}  // namespace tributary::detail
