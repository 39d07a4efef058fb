// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One safetensors file: 8 bytes with the header's length (little-endian), the header (JSON: name → dtype,
// shape, byte range), then the tensors' bytes without gaps. Everything is checked before anything is used.
#pragma once

#include <map>
#include <set>
#include <string>

#include "io/checkpoint.h"
#include "io/detail/base/mapped_file.h"

namespace tributary::detail::checkpoint {

struct SafetensorsContent {
  std::map<std::string, StoredTensor> tensors;  //!< their data point into the mapped file
  std::set<std::string> skipped;                //!< names of integer and boolean buffers, which are never weights
};

/// Throws UserError naming the file, the tensor and the numbers.
SafetensorsContent read_safetensors(const MappedFile& file);

}  // namespace tributary::detail::checkpoint
