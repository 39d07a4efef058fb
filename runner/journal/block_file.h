// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A finished block as a file: what it belongs to, the block, and a checksum over both.
//   "tribblok" | u32 form | u32 0 | u64 bytes of payload | u128 XXH3 of form and payload | payload
// Everything before the payload stays where it is in all versions to come. A version that knows no sparse sums takes a
// block that has some for damaged, and computes it again.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "runner/cluster/block_codec.h"
#include "runner/cluster/units.h"

namespace tributary {

/// What a block belongs to: two blocks may be folded into one sum only when all of this is equal.
struct BlockLabel {
  std::string stage;      //!< identity of the stage: runs, what it computes, how it is cut into units
  std::string processor;  //!< kind of the processor that computed it (numbers differ in their last digits)
};

struct StoredBlock {
  BlockLabel label;
  BlockResult result;
};

/// The file is not what was written: empty, cut short, or changed.
class DamagedBlock : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The form of this version; others only for tests of what happens to files of other versions.
inline constexpr std::uint32_t block_form = 1;

/// The file's bytes, piece by piece. Goes over the block twice, because the checksum comes before what it is of.
void put_block_file(const BlockLabel& label, const BlockView& block, const PutBytes& put,
                    std::uint32_t form = block_form);

/// Throws DamagedBlock; UserError when the file is sound but of another version of this form.
StoredBlock read_block_file(std::string_view bytes);

}  // namespace tributary
