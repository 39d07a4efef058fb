// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/chosen_dtype.h"

#include <map>

#include "attribution/model/products.h"
#include "common/errors.h"
#include "runner/job/model.h"
#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

/// A bfloat16 network and its float32 twin beside it, against the weights as they are stored, with what little else a
/// run needs at the least.
constexpr double with_twin = 3.25;

}  // namespace

std::optional<at::ScalarType> stored_type_of(const Checkpoint& checkpoint) {
  std::optional<StoredType> found;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    if (tensor.shape.size() < 2) continue;
    if (found && *found != tensor.type) return std::nullopt;
    found = tensor.type;
  }
  return found ? std::optional(scalar_type(*found)) : std::nullopt;
}

std::optional<at::ScalarType> stored_type_of(const std::filesystem::path& folder, const nlohmann::json& config) {
  if (has_weights(folder)) {
    try {
      return stored_type_of(Checkpoint::open(folder));
    } catch (const UserError&) {
      // Whoever needs them will say what is wrong with them.
    }
  }
  const std::map<std::string, at::ScalarType> types = {
      {"float64", at::kDouble}, {"float32", at::kFloat}, {"float16", at::kHalf}, {"bfloat16", at::kBFloat16}};
  for (const char* const key : {"torch_dtype", "dtype"}) {  // newer files have the second
    const auto found = config.find(key);
    if (found == config.end() || !found->is_string()) continue;
    const auto type = types.find(found->get<std::string>());
    if (type != types.end()) return type->second;
  }
  return std::nullopt;
}

bool multiplies_bfloat16(const c10::Device& device) { return !device.is_cpu() || has_bfloat16_instructions(); }

ChosenDtype choose_dtype(const DtypeFacts& facts, const Method& method) {
  if (facts.stored != at::kBFloat16) {
    return {"float32", "the model is not stored in bfloat16, which would round its weights"};
  }
  if (!facts.multiplies_bfloat16) {
    return {"float32", "a device of this run has no instructions for bfloat16, which would be no faster"};
  }
  if (method.quadrature == Quadrature::adaptive && method.rules.any()) {
    return {"float32", "an adaptive integration with replacement rules is not done in bfloat16"};
  }
  if (static_cast<double>(facts.memory) < with_twin * static_cast<double>(facts.weights)) {
    return {"float32",
            "a bfloat16 network and its float32 twin do not fit the " + text_of_bytes(facts.memory) + " of the card"};
  }
  return {"bfloat16", "the model is stored so, and the device has instructions for it"};
}

Settings with_chosen_dtype(const Settings& settings, RunConfig& config, const DtypeFacts& facts, std::string& note) {
  if (config.dtype != "auto") return settings;
  const ChosenDtype chosen = choose_dtype(facts, config.method);
  config.dtype = chosen.name;
  note = "model.dtype: auto is " + chosen.name + " here: " + chosen.reason;
  return settings.with("model.dtype", chosen.name);
}

}  // namespace tributary
