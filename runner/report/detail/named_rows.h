// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A document's tables for readers who take a single one of them.
#pragma once

#include "io/tables.h"

namespace tributary::detail {

/// A table of the document with names beside its numbers of runs (run_name and method; of run_a method_a, of run_b
/// method_b) and of data sets (data_name). The tables `runs` and `data`, where the names come from, keep theirs.
Table with_names(const Table& table, const Document& document);

}  // namespace tributary::detail
