// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Method imported: which of the run's dictionaries a row of a list means (docs/imported.md, "Features").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attribution/nodes/dictionary.h"
#include "io/score_file.h"

namespace tributary {

struct ListedDictionary {
  std::int64_t place = -1;  //!< among the run's dictionaries
  std::string problem;      //!< why there is none, and what to do; empty: there is one
};

/// The dictionary that a row of a feature or an error names, or else the only one that reads its layer.
ListedDictionary dictionary_of(const ListedScore& row, const std::vector<Dictionary>& dictionaries);

}  // namespace tributary
