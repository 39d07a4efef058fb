// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/units.h"

#include <bit>
#include <cmath>
#include <utility>

#include "common/errors.h"

namespace tributary {
namespace {

/// FNV-1a over 64-bit words: only has to tell different plans apart.
class Fingerprint {
 public:
  void add(std::uint64_t word) { value_ = (value_ ^ word) * 0x100000001b3ULL; }
  [[nodiscard]] std::uint64_t value() const { return value_ ^ (value_ >> 29); }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

}  // namespace

UnitTable::UnitTable(std::vector<UnitSpec> units) : units_(std::move(units)) {
  for (std::int64_t unit = 0; unit < size(); ++unit) {
    const UnitSpec& spec = units_[unit];
    TRIBUTARY_EXPECT(spec.lane >= 0 && spec.lane < size(), "unit " + std::to_string(unit) + " has no usable lane");
    TRIBUTARY_EXPECT(spec.index >= 0 && spec.index < size(), "unit " + std::to_string(unit) + " has no usable index");
    TRIBUTARY_EXPECT(std::isfinite(spec.cost) && spec.cost > 0, "unit " + std::to_string(unit) + " has no usable cost");
    if (spec.lane >= lanes()) by_lane_.resize(spec.lane + 1);
    std::vector<std::int64_t>& lane = by_lane_[spec.lane];
    if (spec.index >= std::ssize(lane)) lane.resize(spec.index + 1, -1);
    TRIBUTARY_EXPECT(lane[spec.index] < 0, "unit " + std::to_string(unit) + " repeats a place in its lane");
    lane[spec.index] = unit;
    total_cost_ += spec.cost;
  }
  for (std::int64_t lane = 0; lane < lanes(); ++lane) {
    TRIBUTARY_EXPECT(!by_lane_[lane].empty(), "lane " + std::to_string(lane) + " has no units");
    for (const std::int64_t unit : by_lane_[lane]) {
      TRIBUTARY_EXPECT(unit >= 0, "lane " + std::to_string(lane) + " has a gap in its indices");
    }
  }
}

std::int64_t UnitTable::lane_size(std::int64_t lane) const {
  TRIBUTARY_EXPECT(lane >= 0 && lane < lanes(), "no such lane");
  return std::ssize(by_lane_[lane]);
}

const UnitSpec& UnitTable::spec(std::int64_t unit) const {
  TRIBUTARY_EXPECT(unit >= 0 && unit < size(), "no such unit");
  return units_[unit];
}

std::int64_t UnitTable::unit_at(std::int64_t lane, std::int64_t index) const {
  TRIBUTARY_EXPECT(index >= 0 && index < lane_size(lane), "no such unit in the lane");
  return by_lane_[lane][index];
}

std::uint64_t UnitTable::fingerprint() const {
  Fingerprint fingerprint;
  for (const UnitSpec& spec : units_) {
    fingerprint.add(static_cast<std::uint64_t>(spec.lane));
    fingerprint.add(static_cast<std::uint64_t>(spec.index));
    fingerprint.add(std::bit_cast<std::uint64_t>(spec.cost));
  }
  return fingerprint.value();
}

}  // namespace tributary
