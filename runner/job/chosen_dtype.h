// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// `model.dtype: auto`: the number type that a run computes fastest in, where its model and its machine allow it.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "io/checkpoint.h"
#include "io/config.h"
#include "runner/job/run_config.h"

namespace tributary {

/// The dtype of all matrices of a checkpoint, whatever config.json says of them; none where they have several.
std::optional<at::ScalarType> stored_type_of(const Checkpoint& checkpoint);
/// The same of a folder whose weights may not be there or may be damaged: what config.json says then.
std::optional<at::ScalarType> stored_type_of(const std::filesystem::path& folder, const nlohmann::json& config);

/// Whether a device multiplies bfloat16 by instructions of its own, and so faster than float32. Cards count as such:
/// NVIDIA's have them from Ampere (2020) on.
bool multiplies_bfloat16(const c10::Device& device);

/// What the choice depends on.
struct DtypeFacts {
  std::optional<at::ScalarType> stored;
  bool multiplies_bfloat16 = false;  //!< all ranks' devices
  std::uint64_t weights = 0;         //!< bytes as they are stored
  /// Bytes of a device that cannot use them as they lie in the file: a card.
  std::uint64_t memory = std::numeric_limits<std::uint64_t>::max();
};

struct ChosenDtype {
  std::string name;    //!< a choice of model.dtype
  std::string reason;  //!< for people
};

ChosenDtype choose_dtype(const DtypeFacts& facts, const Method& method);

/// Settings that say auto say what was chosen from here on, config too; the reason goes to `note`. Others stay.
Settings with_chosen_dtype(const Settings& settings, RunConfig& config, const DtypeFacts& facts, std::string& note);

}  // namespace tributary
