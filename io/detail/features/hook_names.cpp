// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/features/hook_names.h"

#include <array>
#include <charconv>
#include <span>
#include <string_view>

namespace tributary::detail::features {
namespace {

struct HookRow {
  std::string_view name;
  std::string_view word;
};

// TransformerLens, components/transformer_block.py: hook_mlp_in is a copy of the residual stream in front of ln2, made
// for those who change it for the MLP alone. ln2.hook_normalized lies in front of the norm's gain. mlp.hook_in is
// circuit-tracer's own (replacement_model.py): what the MLP is called with, so behind the gain.
constexpr std::array<HookRow, 8> reading{{
    {"hook_resid_pre", "resid_pre"},
    {"hook_resid_mid", "resid_mid"},
    {"hook_mlp_in", "resid_mid"},
    {"hook_resid_post", "resid_post"},
    {"hook_mlp_out", "mlp_out"},
    {"attn.hook_z", "z"},
    {"mlp.hook_in", "mlp_in"},
    {"ln2.hook_normalized", "mlp_in_normed"},
}};

// hook_mlp_out lies behind the norm that Gemma has at the MLP's output; mlp.hook_out (circuit-tracer's) in front of it.
constexpr std::array<HookRow, 2> writing{{{"hook_mlp_out", "mlp_out"}, {"mlp.hook_out", "mlp_written"}}};

HookPlace place_of(std::string_view name, std::span<const HookRow> rows) {
  constexpr std::string_view blocks = "blocks.";
  HookPlace place;
  if (name.starts_with(blocks)) {
    const std::string_view rest = name.substr(blocks.size());
    const std::string_view digits = rest.substr(0, rest.find('.'));
    std::int64_t layer = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), layer);
    if (error != std::errc() || end != digits.data() + digits.size() || layer < 0 || digits.size() == rest.size()) {
      return {};
    }
    place.layer = layer;
    name = rest.substr(digits.size() + 1);
  }
  for (const HookRow& row : rows) {
    if (row.name == name) place.hook = row.word;
  }
  return place;
}

}  // namespace

HookPlace reading_place(const std::string& name) { return place_of(name, reading); }

std::string reading_names() {
  std::string names;
  for (const HookRow& row : reading) names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

HookPlace writing_place(const std::string& name) { return place_of(name, writing); }

}  // namespace tributary::detail::features
