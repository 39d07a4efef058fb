// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One safetensors file: 8 bytes with the header's length (little-endian), the header (JSON: name → dtype,
// shape, byte range), then the tensors' bytes without gaps. Everything is checked before anything is used.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>

#include "io/checkpoint.h"

namespace tributary::detail::checkpoint {

struct SafetensorsContent {
  std::map<std::string, StoredTensor> tensors;  //!< their data point into the file's bytes
  std::set<std::string> skipped;                //!< names of integer and boolean buffers, which are never weights
  std::map<std::string, std::string> metadata;  //!< free words of whoever wrote the file
};

/// What the bytes of a file hold. Throws UserError with the file's name, the tensor and the numbers.
SafetensorsContent read_safetensors(std::span<const std::byte> bytes, const std::string& name);

}  // namespace tributary::detail::checkpoint
