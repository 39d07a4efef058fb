// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What is mapped where, for mapped_files.h: a list that only grows, so that a signal handler can walk it at any time.
#pragma once

#include <cstddef>
#include <string>

namespace tributary::detail {

struct MappedRegion;

/// Notes that this file lies there; named as it will be shown. Any thread.
MappedRegion* note_mapping(const std::string& path, const std::byte* data, std::size_t bytes);
/// It does no more.
void forget_mapping(MappedRegion* region) noexcept;

}  // namespace tributary::detail
