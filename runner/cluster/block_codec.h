// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Blocks and their results as bytes (little-endian), for messages between ranks and for journals.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "runner/cluster/units.h"

namespace tributary {

std::vector<std::byte> encode(const Block& block);
std::vector<std::byte> encode(const BlockResult& result);

/// Throw RuntimeFailure when the bytes are cut short, too long or inconsistent.
Block decode_block(std::span<const std::byte> bytes);
BlockResult decode_block_result(std::span<const std::byte> bytes);

}  // namespace tributary
