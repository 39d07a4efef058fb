// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/dictionary_hooks.h"

#include <algorithm>
#include <array>

#include "common/errors.h"

namespace tributary {
namespace {

constexpr std::array<Hook, 8> hooks = {{
    {"resid_pre", Site::resid_pre, true, true},
    {"z", Site::z, true, true},
    {"resid_mid", Site::resid_mid, true, true},
    {"mlp_in", Site::mlp_in, false, true},
    {"mlp_in_normed", Site::mlp_in_normed, false, true},
    {"mlp_written", Site::mlp_written, true, false},
    {"mlp_out", Site::mlp_out, true, false},
    {"resid_post", Site::resid_post, true, false},
}};

}  // namespace

const Hook& hook(const std::string& name) {
  const auto* const found = std::find_if(hooks.begin(), hooks.end(), [&](const Hook& one) { return one.name == name; });
  TRIBUTARY_EXPECT(found != hooks.end(), "a dictionary's place is one of those known");
  return *found;
}

}  // namespace tributary
