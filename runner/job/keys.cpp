// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/keys.h"

#include "runner/job/key_rows.h"

namespace tributary {

const std::vector<Key>& key_table() {
  static const std::vector<Key> table = [] {
    std::vector<Key> rows;
    for (const auto& part : {data_keys(), attribution_keys(), evaluation_keys(), running_keys()}) {
      rows.insert(rows.end(), part.begin(), part.end());
    }
    return rows;
  }();
  return table;
}

}  // namespace tributary
