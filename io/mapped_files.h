// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Which file lies at an address of memory: a file that is cut short while it is mapped ends the process with a signal
// (SIGBUS) that tells the address alone.
#pragma once

namespace tributary {

/// The path of the file that is mapped there; null: none is. For signal handlers too: takes no lock and no memory.
const char* file_mapped_at(const void* address) noexcept;

}  // namespace tributary
