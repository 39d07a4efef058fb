// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The names that TransformerLens gives to places in a model, as our words for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tributary::detail::features {

struct HookPlace {
  std::string hook{};                   //!< "resid_post", …; empty: none of those that are known
  std::optional<std::int64_t> layer{};  //!< where the name holds it
};

/// Of what is read. "blocks.12.hook_resid_post" is resid_post of layer 12, "mlp.hook_in" is mlp_in of no layer.
HookPlace reading_place(const std::string& name);

/// The names that reading_place knows: "hook_resid_pre, …".
std::string reading_names();

/// Of what a transcoder writes: mlp_out or mlp_written.
HookPlace writing_place(const std::string& name);

}  // namespace tributary::detail::features
