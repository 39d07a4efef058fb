// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/neuron.h"

#include <set>

#include "common/errors.h"
#include "common/seeded.h"

namespace tributary {

std::vector<Neuron> sample_neurons(std::int64_t layers, std::int64_t positions, std::int64_t neurons,
                                   std::int64_t count, std::uint64_t seed, Positions kept) {
  const std::int64_t in_layer = positions * neurons;
  TRIBUTARY_EXPECT(count <= layers * in_layer, "the sample is checked against the model's size");
  std::vector<Neuron> sample;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const std::int64_t wanted = (layer + 1) * count / layers - layer * count / layers;
    std::set<std::int64_t> chosen;
    for (std::uint64_t draw = 0; static_cast<std::int64_t>(chosen.size()) < wanted; ++draw) {
      const std::uint64_t key = mixed(mixed(seed) ^ mixed(static_cast<std::uint64_t>(layer) << 32 | draw));
      chosen.insert(static_cast<std::int64_t>(key % static_cast<std::uint64_t>(in_layer)));
    }
    for (const std::int64_t place : chosen) {
      sample.push_back({layer, kept == Positions::sum ? -1 : place / neurons, place % neurons});
    }
  }
  return sample;
}

}  // namespace tributary
