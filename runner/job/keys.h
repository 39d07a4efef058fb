// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The table of configuration keys: it validates a sweep file, gives defaults and prints `tributary schema`.
#pragma once

#include <string>
#include <vector>

#include "io/config.h"

namespace tributary {

const std::vector<Key>& key_table();

/// The groups of keys in which runs that are computed together may differ.
inline const std::vector<std::string> run_groups = {"name",
                                                    "attribution",
                                                    "nodes",
                                                    "mlps",
                                                    "top",
                                                    "circuit",
                                                    "steering",
                                                    "agreement",
                                                    "pairs.test",
                                                    "pairs.test_file",
                                                    "pairs.positions_names"};

}  // namespace tributary
