// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// From a checkpoint folder to networks: the bridge between io (bytes) and attribution (tensors).
#pragma once

#include <filesystem>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "attribution/model/transformer.h"
#include "common/warn.h"
#include "io/checkpoint.h"
#include "io/pairs.h"
#include "io/tokenizer.h"
#include "runner/cluster/comm.h"
#include "runner/job/dictionaries.h"
#include "runner/job/model_measures.h"

namespace tributary {

/// "float32" → at::kFloat; ContractViolation for words the key table does not allow.
at::ScalarType dtype_named(const std::string& name);
at::ScalarType scalar_type(StoredType type);
/// Of all tensors, as they are stored.
std::uint64_t stored_bytes(const Checkpoint& checkpoint);

/// What config.json says, but for embeddings that it ties and that are stored apart. Throws UserError like
/// describe_architecture.
Architecture architecture_of(const Checkpoint& checkpoint);

/// Whether the model's folder has a tokenizer.json.
bool has_tokenizer(const std::filesystem::path& folder);

/// Throws UserError unless the stored tensors are those that config.json describes: missing, misshapen or unused ones.
/// Reads none of them, but for an unembedding that is stored beside the embedding that config.json ties it to.
void check_weights(const Checkpoint& checkpoint);

/// The network of a checkpoint. Weights that are stored in `type` stay in the mapping; what must be converted or joined
/// is written once per node (on the CPU); `warn` is told before where memory does not suffice for it. Collective.
/// Throws UserError: unknown architecture, missing, misshapen or unused tensors.
std::shared_ptr<const Transformer> load_transformer(const Checkpoint& checkpoint, at::ScalarType type,
                                                    const at::Device& device, const Communicator& comm,
                                                    const Warn& warn);

/// Whether a network has an unembedding of its own although config.json ties it to the embedding: both are stored, and
/// they differ.
bool has_untied_head(const Checkpoint& checkpoint, const Architecture& architecture);

/// What to tell people of such a network.
inline constexpr const char* untied_head_note =
    "config.json says tie_word_embeddings: true, but the stored lm_head.weight differs from the embedding: it is used, "
    "as in transformers 5 (4 ties the two)";

/// A checkpoint with what has been made of it.
class LoadedModel {
 public:
  /// From now on its files are hashed and its tokenizer is read, each by a thread of its own.
  explicit LoadedModel(const std::filesystem::path& folder);

  [[nodiscard]] const Checkpoint& checkpoint() const { return checkpoint_; }
  /// Its content hash, computed once.
  [[nodiscard]] const std::string& hash() const { return checkpoint_.hash(); }
  /// What running a little of its networks has told.
  [[nodiscard]] const std::shared_ptr<ModelMeasures>& measures() const { return measures_; }
  /// Its tokenizer, read once. Throws UserError.
  const Tokenizer& tokenizer();
  /// Prompt pairs for it, read and checked once for equal options. Throws UserError.
  const PairSet& pairs(const PairOptions& options);
  /// Which pairs runs keep (answers.h), by what the choice depends on; empty: not chosen yet.
  std::vector<std::int64_t>& choice_of_pairs(const std::string& key) { return choices_[key]; }
  /// Throws UserError when the network of this model holds NaN or infinities: the stored tensor with its first one, or
  /// where the file has none the weight that its dtype is too small for. Looks once.
  void require_finite(const Transformer& network);
  /// Loaded once a dtype and device. Collective, like load_transformer.
  std::shared_ptr<const Transformer> network(at::ScalarType type, const at::Device& device, const Communicator& comm,
                                             const Warn& warn);

 private:
  Checkpoint checkpoint_;
  std::shared_future<Tokenizer> tokenizer_;
  std::list<std::pair<PairOptions, PairSet>> pairs_;
  std::shared_ptr<ModelMeasures> measures_ = std::make_shared<ModelMeasures>();
  std::map<std::string, std::vector<std::int64_t>> choices_;
  bool finite_ = false;
  std::future<void> hashing_;  // waited for when this ends
  std::map<std::pair<at::ScalarType, std::string>, std::shared_ptr<const Transformer>> networks_;
};

/// The model that the runs of a sweep are using: read once for all runs in a row that name it.
class ModelShelf {
 public:
  /// Hears of each model when it has been opened, before all of its weights are read.
  using Opened = std::function<void(const Checkpoint& checkpoint)>;

  ModelShelf(
      const Communicator& comm, Warn warn, Opened opened = [](const Checkpoint&) {})
      : comm_(comm), warn_(std::move(warn)), opened_(std::move(opened)) {}

  [[nodiscard]] const Communicator& comm() const { return comm_; }
  [[nodiscard]] const Warn& warn() const { return warn_; }
  LoadedModel& model(const std::filesystem::path& folder);
  [[nodiscard]] DictionaryShelf& dictionaries() { return dictionaries_; }

 private:
  const Communicator& comm_;
  Warn warn_;
  Opened opened_;
  DictionaryShelf dictionaries_;
  std::filesystem::path folder_;
  std::optional<LoadedModel> model_;
};

}  // namespace tributary
