// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/block_file.h"

#include <xxhash.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "common/errors.h"
#include "runner/cluster/bytes.h"

namespace tributary {
namespace {

constexpr std::string_view magic = "tribblok";

struct Header {
  char magic[8];
  std::uint32_t form, zero;
  std::uint64_t bytes, high, low;  // of the payload; checksum
};
static_assert(sizeof(Header) == 40);

XXH128_hash_t checksum(std::uint32_t of_form, std::string_view payload) {
  return XXH3_128bits_withSeed(payload.data(), payload.size(), of_form);
}

/// The same of a payload that comes piece by piece, with its length.
class RunningChecksum {
 public:
  explicit RunningChecksum(std::uint32_t form) : state_(XXH3_createState()) {
    if (state_ == nullptr) throw std::bad_alloc();
    XXH3_128bits_reset_withSeed(state_.get(), form);
  }
  void add(std::string_view bytes) {
    XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
    bytes_ += bytes.size();
  }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] XXH128_hash_t sum() const { return XXH3_128bits_digest(state_.get()); }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
  std::uint64_t bytes_ = 0;
};

void put_payload(const BlockLabel& label, const BlockView& block, const PutBytes& put) {
  ByteWriter front(put);
  front.put(label.stage);
  front.put(label.processor);
  encode(block, put);
}

}  // namespace

void put_block_file(const BlockLabel& label, const BlockView& block, const PutBytes& put, std::uint32_t form) {
  RunningChecksum checksum(form);
  put_payload(label, block, [&checksum](std::string_view bytes) { checksum.add(bytes); });
  const XXH128_hash_t sum = checksum.sum();
  Header header{{}, form, 0, checksum.bytes(), sum.high64, sum.low64};
  std::memcpy(header.magic, magic.data(), magic.size());
  put({reinterpret_cast<const char*>(&header), sizeof header});
  put_payload(label, block, put);
}

StoredBlock read_block_file(std::string_view bytes) {
  Header header{};
  if (bytes.size() < sizeof header) {
    throw DamagedBlock(bytes.empty() ? "it is empty" : "it ends within its header");
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::string_view(header.magic, sizeof header.magic) != magic) throw DamagedBlock("it does not begin as a block");
  const std::string_view payload = bytes.substr(sizeof header);
  if (payload.size() != header.bytes) {
    throw DamagedBlock("it has " + std::to_string(payload.size()) + " bytes of " + std::to_string(header.bytes));
  }
  const XXH128_hash_t sum = checksum(header.form, payload);
  if (sum.high64 != header.high || sum.low64 != header.low) throw DamagedBlock("its checksum does not fit");
  if (header.form != block_form) {
    throw UserError("", "is of form " + std::to_string(header.form) + ", and this version of tributary reads form " +
                            std::to_string(block_form) +
                            "; go on with the version that wrote it, or say --fresh to compute everything again");
  }
  const std::span<const std::byte> all(reinterpret_cast<const std::byte*>(payload.data()), payload.size());
  try {
    ByteReader in(all);
    StoredBlock stored;
    stored.label.stage = in.get_string();
    stored.label.processor = in.get_string();
    stored.result = decode_block_result(in.rest());
    return stored;
  } catch (const RuntimeFailure& failure) {
    throw DamagedBlock(failure.what());
  }
}

}  // namespace tributary
