// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/rules.h"

#include "common/errors.h"

namespace tributary {

std::string name_of(Rule rule) {
  switch (rule) {
    case Rule::norm:
      return "norm";
    case Rule::activation:
      return "activation";
    case Rule::half:
      return "half";
    case Rule::attention:
      return "attention";
    case Rule::softcap:
      return "softcap";
  }
  throw ContractViolation("a rule outside the enumeration");
}

Fired Fired::only(Rules rules) const {
  Fired some = *this;
  for (const Rule rule : all_rules) {
    if (!rules.has(rule)) some.counts_.at(static_cast<std::size_t>(rule)) = 0;
  }
  return some;
}

}  // namespace tributary
