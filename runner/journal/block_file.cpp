// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/block_file.h"

#include <xxhash.h>

#include <cstdint>
#include <cstring>
#include <span>

#include "common/errors.h"
#include "runner/cluster/block_codec.h"
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

std::string_view text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string block_file(const BlockLabel& label, const BlockResult& result, std::uint32_t form) {
  detail::ByteWriter out;
  out.put(label.stage);
  out.put(label.processor);
  const std::vector<std::byte> front = out.take();
  const std::vector<std::byte> block = encode(result);
  std::string file(sizeof(Header), '\0');
  file.reserve(sizeof(Header) + front.size() + block.size());
  file.append(text_of(front)).append(text_of(block));
  const std::string_view payload = std::string_view(file).substr(sizeof(Header));
  const XXH128_hash_t sum = checksum(form, payload);
  Header header{{}, form, 0, payload.size(), sum.high64, sum.low64};
  std::memcpy(header.magic, magic.data(), magic.size());
  std::memcpy(file.data(), &header, sizeof header);
  return file;
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
    detail::ByteReader in(all);
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
