// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A tensor's part in the hash of a checkpoint or a dictionary.
#pragma once

#include <string>

#include "io/checkpoint.h"
#include "io/detail/base/content_hash.h"

namespace tributary::detail::checkpoint {

/// Adds its name, dtype, shape and bytes. The pages that it reads are released again.
void add_tensor(ContentHash& content, const std::string& name, const StoredTensor& tensor);

}  // namespace tributary::detail::checkpoint
