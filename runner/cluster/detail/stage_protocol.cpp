// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/detail/stage_protocol.h"

#include "runner/cluster/bytes.h"

namespace tributary::detail {

std::vector<std::byte> encode(const Ending& ending) {
  ByteWriter out;
  for (const bool value : {ending.any_failed, ending.stopped, ending.broken}) out.put(value);
  return out.take();
}

Ending decode_ending(std::span<const std::byte> bytes) {
  ByteReader in(bytes);
  Ending ending;
  for (bool* value : {&ending.any_failed, &ending.stopped, &ending.broken}) *value = in.get<std::uint8_t>() != 0;
  in.expect_end();
  return ending;
}

std::vector<std::byte> encode(const Amount& amount) {
  ByteWriter out;
  out.put(amount.units);
  out.put(amount.cost);
  return out.take();
}

Amount decode_amount(std::span<const std::byte> bytes) {
  ByteReader in(bytes);
  Amount amount;
  amount.units = in.get<std::int64_t>();
  amount.cost = in.get<double>();
  in.expect_end();
  return amount;
}

}  // namespace tributary::detail
