// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Work for the tests of the distribution layer: units whose sums show every change in the order of
// additions, and the sum a lane must have, written down by recursion without any of our own code.
#pragma once

#include <xxhash.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "runner/cluster/units.h"

namespace tributary::testing {

/// Values of alternating sign and of sizes from 1e-8 to 1e8: hardly any two orders of adding them agree.
inline double adversarial(std::int64_t unit, std::int64_t element) {
  const std::uint64_t key[2] = {static_cast<std::uint64_t>(unit), static_cast<std::uint64_t>(element)};
  const std::uint64_t random = XXH3_64bits(key, sizeof key);
  const double size = std::pow(10.0, static_cast<double>(random % 17) - 8);
  const double digits = 1 + static_cast<double>(random >> 20) / static_cast<double>(1ULL << 44);
  return ((random >> 10) % 2 == 0 ? 1 : -1) * size * digits;
}

inline std::vector<UnitSpec> make_units(const std::vector<std::int64_t>& lane_sizes) {
  std::vector<UnitSpec> units;
  for (std::size_t lane = 0; lane < lane_sizes.size(); ++lane) {
    for (std::int64_t index = 0; index < lane_sizes[lane]; ++index) {
      units.push_back({static_cast<std::int64_t>(lane), index, 1.0 + static_cast<double>((index * 7) % 5)});
    }
  }
  return units;
}

constexpr std::int64_t sparse_keys = 30, sparse_width = 2;

/// What a unit has at a key of its sparse sum; about one in four has anything there, and every fifth unit has no keys.
inline std::optional<double> sparse_value(std::int64_t unit, std::int64_t key, std::int64_t element) {
  const std::uint64_t place[2] = {static_cast<std::uint64_t>(unit), static_cast<std::uint64_t>(key)};
  if (unit % 5 == 0 || XXH3_64bits_withSeed(place, sizeof place, 1) % 4 != 0) return std::nullopt;
  return adversarial(unit, 2000 + key * sparse_width + element);
}

/// Of keys far apart, from what each has: nothing, or its numbers.
inline SparseSum make_sparse(
    const std::function<std::optional<double>(std::int64_t key, std::int64_t element)>& value) {
  SparseSum sum;
  for (std::int64_t key = 0; key < sparse_keys; ++key) {
    if (!value(key, 0)) continue;
    sum.width = sparse_width;
    sum.keys.push_back(key * 1'000'000'007);
    for (std::int64_t element = 0; element < sparse_width; ++element) sum.values.push_back(*value(key, element));
  }
  return sum;
}

/// Sums of 3 + lane numbers, and a sparse one; every third unit has rows.
inline UnitResult make_result(const UnitSpec& spec, std::int64_t unit) {
  UnitResult result;
  for (std::int64_t element = 0; element < 3 + spec.lane; ++element) result.sum.push_back(adversarial(unit, element));
  for (std::int64_t row = 0; unit % 3 == 0 && row < 2; ++row) result.rows.push_back(adversarial(unit, 1000 + row));
  result.sparse =
      make_sparse([unit](std::int64_t key, std::int64_t element) { return sparse_value(unit, key, element); });
  return result;
}

using Leaf = std::function<std::optional<double>(std::int64_t index)>;  //!< nothing: the unit is missing

/// The value of the tree node over [first, first + span) of n leaves; span a power of two.
inline std::optional<double> tree_sum(std::int64_t first, std::int64_t span, std::int64_t n, const Leaf& leaf) {
  if (first >= n) return std::nullopt;
  if (span == 1) return leaf(first);
  const std::optional<double> left = tree_sum(first, span / 2, n, leaf);
  const std::optional<double> right = tree_sum(first + span / 2, span / 2, n, leaf);
  if (left && right) return *left + *right;
  return left ? left : right;
}

inline std::optional<double> lane_sum(std::int64_t n, const Leaf& leaf) {
  std::int64_t span = 1;
  while (span < n) span *= 2;
  return tree_sum(0, span, n, leaf);
}

using Present = std::function<bool(std::int64_t unit)>;

inline bool everywhere(std::int64_t /*unit*/) { return true; }

/// The sparse sum of the tree node over [first, first + span) of a lane: a key's numbers are those of a tree of the
/// units that have it, all others missing.
inline SparseSum sparse_tree_sum(const UnitTable& table, std::int64_t lane, std::int64_t first, std::int64_t span,
                                 const Present& present) {
  return make_sparse([&](std::int64_t key, std::int64_t element) {
    return tree_sum(first, span, table.lane_size(lane), [&](std::int64_t index) -> std::optional<double> {
      const std::int64_t unit = table.unit_at(lane, index);
      if (!present(unit)) return std::nullopt;
      return sparse_value(unit, key, element);
    });
  });
}

/// What computing units of a lane at once must give where make_result is what each gives.
inline RunResult make_run_result(const UnitTable& table, std::int64_t lane, std::int64_t first, std::int64_t count) {
  RunResult result;
  const auto span = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(count)));
  for (std::int64_t element = 0; element < 3 + lane; ++element) {
    result.sum.push_back(*tree_sum(first, span, table.lane_size(lane), [&](std::int64_t index) {
      return std::optional<double>(adversarial(table.unit_at(lane, index), element));
    }));
  }
  result.sparse = sparse_tree_sum(table, lane, first, span, everywhere);
  for (std::int64_t index = first; index < first + count; ++index) {
    const std::int64_t unit = table.unit_at(lane, index);
    result.rows.push_back(make_result(table.spec(unit), unit).rows);
  }
  return result;
}

/// What run_stage must return for make_result, the units that are not present left out.
inline std::vector<std::vector<double>> expected_sums(const std::vector<UnitSpec>& units, const Present& present) {
  const UnitTable table(units);
  std::vector<std::vector<double>> sums(table.lanes());
  for (std::int64_t lane = 0; lane < table.lanes(); ++lane) {
    for (std::int64_t element = 0; element < 3 + lane; ++element) {
      const auto sum = lane_sum(table.lane_size(lane), [&](std::int64_t index) -> std::optional<double> {
        const std::int64_t unit = table.unit_at(lane, index);
        if (!present(unit)) return std::nullopt;
        return adversarial(unit, element);
      });
      if (sum) sums[lane].push_back(*sum);
    }
  }
  return sums;
}

inline std::vector<std::vector<double>> expected_rows(const std::vector<UnitSpec>& units, const Present& present) {
  std::vector<std::vector<double>> rows(units.size());
  for (std::size_t unit = 0; unit < units.size(); ++unit) {
    const auto id = static_cast<std::int64_t>(unit);
    if (present(id)) rows[unit] = make_result(units[unit], id).rows;
  }
  return rows;
}

inline std::vector<SparseSum> expected_sparse(const std::vector<UnitSpec>& units, const Present& present) {
  const UnitTable table(units);
  std::vector<SparseSum> sums;
  for (std::int64_t lane = 0; lane < table.lanes(); ++lane) {
    const auto span = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(table.lane_size(lane))));
    sums.push_back(sparse_tree_sum(table, lane, 0, span, present));
  }
  return sums;
}

/// A hash of sizes and bits: unlike ==, tells -0 from 0.
inline std::uint64_t digest(const std::vector<std::vector<double>>& values) {
  std::uint64_t hash = 0;
  for (const std::vector<double>& part : values) {
    hash = XXH3_64bits_withSeed(part.data(), part.size() * sizeof(double), hash + part.size());
  }
  return hash;
}

inline std::uint64_t digest(const std::vector<SparseSum>& sums) {
  std::vector<std::vector<double>> all;  // keys of tests are small enough
  for (const SparseSum& sum : sums) {
    all.push_back({static_cast<double>(sum.width)});
    all.emplace_back(sum.keys.begin(), sum.keys.end());
    all.push_back(sum.values);
  }
  return digest(all);
}

}  // namespace tributary::testing
