// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/cluster/simulation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "common/seeded.h"

namespace tributary {
namespace {

ClusterModel ideal(int ranks) {
  ClusterModel model;
  model.ranks = ranks;
  model.latency = model.handling = model.journal_file = 0;
  model.link = model.fold = model.journal_bytes = 1e30;
  return model;
}

std::vector<SimulatedUnit> equal_units(std::int64_t lanes, std::int64_t per_lane, double seconds, double bytes) {
  std::vector<SimulatedUnit> units;
  for (std::int64_t lane = 0; lane < lanes; ++lane) {
    for (std::int64_t i = 0; i < per_lane; ++i) units.push_back({{lane, i, 1}, seconds, bytes});
  }
  return units;
}

/// Standard normal numbers, by Box and Muller from seeded bits.
double normal(std::uint64_t seed) {
  const auto uniform = [](std::uint64_t bits) { return (static_cast<double>(bits >> 11) + 0.5) / 9007199254740992.0; };
  const double radius = std::sqrt(-2 * std::log(uniform(mixed(seed))));
  return radius * std::cos(2 * 3.14159265358979323846 * uniform(mixed(seed ^ 0x5bd1e995)));
}

/// 300 pairs × 4 methods × some data sets on a model of 8 billion parameters: a median of 60 s a pair and method,
/// log-normal with sigma 0.5 that the scheduler does not know; 32 layers, 10 positions, 14336 neurons: 37 MB a sum.
/// `parts` layer ranges a pair and method: a lane each.
std::vector<SimulatedUnit> large_plan(std::int64_t parts, std::int64_t sets = 5) {
  constexpr std::int64_t pairs = 300, methods = 4;
  constexpr double bytes = 32.0 * 10 * 14336 * 8;
  std::vector<SimulatedUnit> units;
  for (std::int64_t lane = 0; lane < methods * sets * parts; ++lane) {
    for (std::int64_t pair = 0; pair < pairs; ++pair) {
      const std::int64_t whole = lane / parts * pairs + pair;  // its parts take equal shares of one time
      const double seconds = 60 * std::exp(0.5 * normal(static_cast<std::uint64_t>(whole)));
      const auto share = static_cast<double>(parts);
      units.push_back({{lane, pair, 60 / share}, seconds / share, bytes / share});
    }
  }
  return units;
}

TEST(Simulation, OneIdealRankIsNeverIdle) {
  const SimulationResult result = simulate(equal_units(1, 40, 2.0, 100), ideal(1));
  EXPECT_NEAR(result.seconds, 80, 1e-9);
  EXPECT_NEAR(result.efficiency, 1, 1e-9);
  EXPECT_EQ(result.bytes_in, 0) << "what rank 0 computes itself takes no network";
}

TEST(Simulation, WorkIsSharedEvenly) {
  const SimulationResult result = simulate(equal_units(2, 64, 1.0, 100), ideal(4));
  EXPECT_NEAR(result.seconds, 32, 1e-9);
  EXPECT_NEAR(result.efficiency, 1, 1e-9);
}

TEST(Simulation, ASingleUnitKeepsTheOthersIdle) {
  const SimulationResult result = simulate(equal_units(1, 1, 10.0, 100), ideal(4));
  EXPECT_NEAR(result.efficiency, 0.25, 1e-9);
}

TEST(Simulation, ASlowLinkIsTheBound) {
  ClusterModel model = ideal(8);
  model.link = 100;  // bytes a second: a result takes ten
  model.block_seconds = 1e-9;
  const SimulationResult result = simulate(equal_units(64, 2, 1.0, 1000), model);
  EXPECT_GT(result.seconds, 0.8 * result.bytes_in / model.link);
  EXPECT_LT(result.efficiency, 0.2);
}

TEST(Simulation, PartialSumsStayFewWhenUnitsComeInOrder) {
  const SimulationResult result = simulate(equal_units(1, 1024, 1.0, 8), ideal(1));
  EXPECT_LE(result.peak_bytes, 8 * 11) << "log2 of the units and one";
}

TEST(Simulation, UnitsUndividedLeaveAThousandRanksIdle) {
  ClusterModel model;
  model.ranks = 1024;
  const double undivided = simulate(large_plan(1), model).efficiency;
  EXPECT_GT(undivided, 0.5);
  EXPECT_LT(undivided, 0.8);
}

/// What docs/cluster.md says of the scale, to its digits.
TEST(Simulation, HasTheEfficiencyThatTheDocumentsState) {
  const std::vector<std::pair<int, double>> stated = {{8, 0.998}, {64, 0.996}, {512, 0.982}, {1024, 0.966}};
  for (const auto& [ranks, efficiency] : stated) {
    ClusterModel model;
    model.ranks = ranks;
    const SimulationResult result = simulate(large_plan(16), model);
    EXPECT_NEAR(result.efficiency, efficiency, 0.0015) << ranks;
    EXPECT_LT(result.bytes_in / result.seconds, model.link) << ranks;
  }
}

/// Time cannot be shorter than the work that rank 0's main thread alone must do.
TEST(Simulation, RankZeroIsTheBoundWhenItFoldsEverything) {
  ClusterModel model = ideal(64);
  model.fold = 1e6;  // bytes a second: 1 ms a sum of 1 kB
  const SimulationResult result = simulate(equal_units(1, 4096, 1e-3, 1e3), model);
  const double blocks = static_cast<double>(result.blocks);
  EXPECT_GE(result.seconds, blocks * 1e-3);
  EXPECT_GT(result.rank_0_busy, 0.9);
}

/// As the program runs a sweep over data sets: a stage each, one after another, so that ranks wait at the end of each.
/// What they wait is bounded by the last units: no rank is idle for longer than one block and one unit take.
TEST(Simulation, RanksWaitForTheLastUnitsOfAStageOnly) {
  const std::vector<SimulatedUnit> units = large_plan(32, 1);
  double work = 0, longest = 0;
  for (const SimulatedUnit& unit : units) {
    work += unit.seconds;
    longest = std::max(longest, unit.seconds);
  }
  for (const int ranks : {64, 512, 1024}) {
    ClusterModel model = ideal(ranks);
    model.block_seconds = 4;
    const double ideal_seconds = work / ranks;
    const SimulationResult result = simulate(units, model);
    EXPECT_GT(result.seconds, ideal_seconds) << ranks;
    EXPECT_LT(result.seconds, ideal_seconds + longest + 2 * model.block_seconds) << ranks;
  }
}

}  // namespace
}  // namespace tributary
