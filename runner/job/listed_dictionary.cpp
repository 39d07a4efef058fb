// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/listed_dictionary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>
#include <set>

namespace tributary {
namespace {

ListedDictionary named(const ListedScore& row, const std::vector<Dictionary>& dictionaries) {
  const std::int64_t count = std::ssize(dictionaries);
  if (row.dictionary < 0 || row.dictionary >= count) {
    return {-1,
            fmt::format("there is no dictionary {} ({}, counted from 0 by the layer that they read); take scores of "
                        "the dictionaries that `features` names",
                        row.dictionary, count == 1 ? "1 is there" : fmt::format("{} are there", count))};
  }
  const std::int64_t layer = dictionaries[static_cast<std::size_t>(row.dictionary)].layer;
  if (row.layer == -1 || row.layer == layer) return {row.dictionary, ""};
  return {-1,
          fmt::format("dictionary {} reads layer {}, and the row says layer {}; correct one of the two, or leave the "
                      "layer empty",
                      row.dictionary, layer, row.layer)};
}

}  // namespace

ListedDictionary dictionary_of(const ListedScore& row, const std::vector<Dictionary>& dictionaries) {
  if (row.dictionary != -1) return named(row, dictionaries);
  std::vector<std::int64_t> places;
  std::set<std::int64_t> layers;
  for (std::int64_t place = 0; place < std::ssize(dictionaries); ++place) {
    const std::int64_t layer = dictionaries[static_cast<std::size_t>(place)].layer;
    layers.insert(layer);
    if (layer == row.layer) places.push_back(place);
  }
  if (places.size() == 1) return {places.front(), ""};
  if (places.empty()) {
    return {-1, fmt::format("no dictionary reads layer {} (of {} the layer is that one; they read {}); take scores of "
                            "the dictionaries that `features` names",
                            row.layer, row.kind, fmt::join(layers, ", "))};
  }
  return {-1, fmt::format("{} dictionaries read layer {} ({}); say which one in a column dictionary", places.size(),
                          row.layer, fmt::join(places, ", "))};
}

}  // namespace tributary
