// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/batch_rows.h"

namespace tributary {

bool BatchRows::halve(std::int64_t from) {
  std::int64_t now = rows_;
  if (now < from) return true;  // somebody has halved already
  if (from <= 1) return false;
  if (rows_.compare_exchange_strong(now, from / 2)) ++halvings_;
  return true;
}

}  // namespace tributary
