// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A tensor's part in the hash of a checkpoint or a dictionary.
#pragma once

#include <string>

#include "io/checkpoint.h"
#include "io/detail/base/content_hash.h"

namespace tributary::detail::checkpoint {

/// What becomes of the pages that are read: released again, or kept for whoever reads them next.
enum class Pages { release, keep };

/// Adds its name, dtype, shape and bytes.
void add_tensor(ContentHash& content, const std::string& name, const StoredTensor& tensor, Pages pages);

}  // namespace tributary::detail::checkpoint
