// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The words for places where dictionaries of features read and write (docs/methods.md, "Features").
#pragma once

#include <string>

#include "attribution/nodes/node_table.h"

namespace tributary {

struct Hook {
  const char* name;
  Site site;
  bool is_written;     //!< what stands there can be changed alone
  bool is_before_mlp;  //!< what the MLP of its block writes comes after it
};

/// Throws ContractViolation for a word that none of them is.
const Hook& hook(const std::string& name);

}  // namespace tributary
