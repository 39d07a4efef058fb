// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/model.h"

#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "attribution/model/families.h"
#include "attribution/model/tensors.h"
#include "common/errors.h"
#include "runner/machine/job_memory.h"
#include "runner/machine/memory_limits.h"
#include "runner/machine/node_memory.h"

namespace tributary {
namespace {

/// A tensor on the mapping itself; it keeps the checkpoint open. A copy where the file puts its numbers at an address
/// that no number of their type has, as safetensors allows.
at::Tensor mapped_tensor(const Checkpoint& checkpoint, const StoredTensor& stored) {
  const at::ScalarType type = scalar_type(stored.type);
  if (reinterpret_cast<std::uintptr_t>(stored.data) % c10::elementSize(type) != 0) {
    at::Tensor copy = at::empty(stored.shape, type);
    std::memcpy(copy.mutable_data_ptr(), stored.data, copy.nbytes());
    return copy;
  }
  // Never written to: weights are frozen, and the mapping is read-only.
  auto* data = const_cast<std::byte*>(stored.data);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  return at::from_blob(
      data, stored.shape, [checkpoint](void*) {}, at::TensorOptions(type));
}

constexpr std::size_t weight_alignment = 64;

std::size_t bytes_of(at::IntArrayRef shape, const at::TensorOptions& options) {
  const auto bytes = static_cast<std::size_t>(c10::multiply_integers(shape)) * options.dtype().itemsize();
  return (bytes + weight_alignment - 1) / weight_alignment * weight_alignment;
}

/// Counts what would be copied.
WeightStore measuring_store(std::size_t& bytes) {
  return {[&bytes](at::IntArrayRef shape, const at::TensorOptions& options) {
            bytes += bytes_of(shape, options);
            return at::Tensor();
          },
          WeightStore::Role::share};
}

/// Hands out the node's memory piece by piece; the tensors keep it.
WeightStore node_store(const std::shared_ptr<NodeMemory>& memory) {
  const auto next = std::make_shared<std::size_t>(0);
  return {[memory, next](at::IntArrayRef shape, const at::TensorOptions& options) {
            std::byte* const data = memory->data() + *next;
            *next += bytes_of(shape, options);
            TRIBUTARY_EXPECT(*next <= memory->size(), "weights are bound as they were measured");
            return at::from_blob(
                data, shape, [memory](void*) {}, options);
          },
          memory->writes() ? WeightStore::Role::fill : WeightStore::Role::share};
}

Architecture described(const Checkpoint& checkpoint) {
  return describe_architecture(checkpoint.config(), (checkpoint.folder() / "config.json").string());
}

TensorSource source_of(const Checkpoint& checkpoint) {
  TensorSource source;
  source.where = checkpoint.folder().string();
  source.find = [&checkpoint](const std::string& name) {
    const StoredTensor* stored = checkpoint.find(name);
    return stored == nullptr ? at::Tensor() : mapped_tensor(checkpoint, *stored);
  };
  for (const auto& [name, stored] : checkpoint.tensors()) source.names.push_back(name);
  source.forget = [&checkpoint] { checkpoint.release_pages(); };
  return source;
}

}  // namespace

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

std::uint64_t stored_bytes(const Checkpoint& checkpoint) {
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : checkpoint.tensors()) bytes += tensor.bytes;
  return bytes;
}

bool has_tokenizer(const std::filesystem::path& folder) { return std::filesystem::exists(folder / "tokenizer.json"); }

Architecture architecture_of(const Checkpoint& checkpoint) {
  Architecture architecture = described(checkpoint);
  if (architecture.tied_embeddings) {
    architecture.tied_embeddings = !has_own_head(checkpoint.config(), source_of(checkpoint));
  }
  return architecture;
}

void check_weights(const Checkpoint& checkpoint) {
  std::size_t bytes = 0;
  bind_weights(architecture_of(checkpoint), checkpoint.config(), source_of(checkpoint), at::TensorOptions(at::kFloat),
               measuring_store(bytes));
}

at::ScalarType dtype_named(const std::string& name) {
  if (name == "float64") return at::kDouble;
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  throw ContractViolation("no dtype is named " + name);
}

std::shared_ptr<const Transformer> load_transformer(const Checkpoint& checkpoint, at::ScalarType type,
                                                    const at::Device& device, const Communicator& comm,
                                                    const Warn& warn) {
  Architecture architecture;
  const TensorSource source = source_of(checkpoint);
  const at::TensorOptions options = at::TensorOptions(type).device(device);
  std::size_t bytes = 0;
  agreed(comm, [&] {
    architecture = architecture_of(checkpoint);
    if (device.is_cpu()) bind_weights(architecture, checkpoint.config(), source, options, measuring_store(bytes));
  });
  Weights weights;
  if (device.is_cpu()) {
    const std::uint64_t free = std::min(free_host_bytes(), slurm_limit(MemorySources::of_process()));
    if (bytes > free && comm.local_rank() == 0) {
      warn("the weights take " + text_of_bytes(bytes) + " in the dtype of the run and " + text_of_bytes(free) +
           " are free here: the system may end the program while it reads them; give it more memory, or take the "
           "model.dtype that they are stored in");
    }
    const auto memory = std::make_shared<NodeMemory>(comm, bytes);
    weights = bind_weights(architecture, checkpoint.config(), source, options, node_store(memory));
    comm.barrier();  // until the writing rank has written
  } else {
    weights = bind_weights(architecture, checkpoint.config(), source, options, private_store());
  }
  checkpoint.release_pages();
  return std::make_shared<const Transformer>(std::move(architecture), std::move(weights));
}

bool has_untied_head(const Checkpoint& checkpoint, const Architecture& architecture) {
  return described(checkpoint).tied_embeddings && !architecture.tied_embeddings;
}

LoadedModel::LoadedModel(const std::filesystem::path& folder) : checkpoint_(Checkpoint::open(folder)) {
  hashing_ = std::async(std::launch::async, [checkpoint = checkpoint_] { static_cast<void>(checkpoint.hash()); });
  tokenizer_ = std::async(std::launch::async, [folder] { return Tokenizer::of_model(folder); }).share();
}

const Tokenizer& LoadedModel::tokenizer() { return tokenizer_.get(); }

const PairSet& LoadedModel::pairs(const PairOptions& options) {
  for (const auto& [known, pairs] : pairs_) {
    if (known == options) return pairs;
  }
  return pairs_.emplace_back(options, prepare_pairs(options, tokenizer().with_bos(options.bos))).second;
}

void LoadedModel::require_finite(const Transformer& network) {
  if (finite_) return;
  std::string found = not_finite_text(network.weights());
  std::string advice = "; stored, all numbers are finite: they are too large for the dtype of the run";
  for (const auto& [name, stored] : checkpoint_.tensors()) {
    if (found.empty()) break;
    const std::string text = not_finite_text(mapped_tensor(checkpoint_, stored));
    if (text.empty()) continue;
    found = name;
    found += " " + text;
    advice = "; the checkpoint is damaged";
    break;
  }
  checkpoint_.release_pages();
  if (!found.empty()) throw UserError(checkpoint_.folder().string(), found + advice);
  finite_ = true;
}

std::shared_ptr<const Transformer> LoadedModel::network(at::ScalarType type, const at::Device& device,
                                                        const Communicator& comm, const Warn& warn) {
  std::shared_ptr<const Transformer>& network = networks_[{type, device.str()}];
  if (!network) network = load_transformer(checkpoint_, type, device, comm, warn);
  return network;
}

LoadedModel& ModelShelf::model(const std::filesystem::path& folder) {
  if (!model_ || folder_ != folder) {
    model_.reset();  // before the next one is read: two models may not fit
    agreed(comm_, [&] { model_.emplace(folder); });
    folder_ = folder;
    opened_(model_->checkpoint());
  }
  return *model_;
}

}  // namespace tributary
