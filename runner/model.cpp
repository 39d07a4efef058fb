// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/model.h"

#include <ATen/ATen.h>

#include <utility>

#include "attribution/model/families.h"
#include "common/errors.h"

namespace tributary {
namespace {

at::ScalarType scalar_type(StoredType type) {
  switch (type) {
    case StoredType::float64:
      return at::kDouble;
    case StoredType::float32:
      return at::kFloat;
    case StoredType::float16:
      return at::kHalf;
    case StoredType::bfloat16:
      return at::kBFloat16;
  }
  throw ContractViolation("a stored type outside the enumeration");
}

/// A tensor on the mapping itself; it keeps the checkpoint open.
at::Tensor mapped_tensor(const Checkpoint& checkpoint, const StoredTensor& stored) {
  // Never written to: weights are frozen, and the mapping is read-only.
  auto* data = const_cast<std::byte*>(stored.data);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  return at::from_blob(
      data, stored.shape, [checkpoint](void*) {}, at::TensorOptions(scalar_type(stored.type)));
}

}  // namespace

at::ScalarType dtype_named(const std::string& name) {
  if (name == "float64") return at::kDouble;
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  throw ContractViolation("no dtype is named " + name);
}

std::shared_ptr<const Transformer> load_transformer(const Checkpoint& checkpoint, at::ScalarType type,
                                                    const at::Device& device) {
  const std::string config_file = (checkpoint.folder() / "config.json").string();
  Architecture architecture = describe_architecture(checkpoint.config(), config_file);
  TensorSource source;
  source.where = checkpoint.folder().string();
  source.find = [&checkpoint](const std::string& name) {
    const StoredTensor* stored = checkpoint.find(name);
    return stored == nullptr ? at::Tensor() : mapped_tensor(checkpoint, *stored);
  };
  for (const auto& [name, stored] : checkpoint.tensors()) source.names.push_back(name);
  Weights weights = bind_weights(architecture, checkpoint.config(), source, at::TensorOptions(type).device(device));
  return std::make_shared<const Transformer>(std::move(architecture), std::move(weights));
}

}  // namespace tributary
