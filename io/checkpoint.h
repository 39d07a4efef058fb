// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A Hugging Face checkpoint folder: config.json and one or many safetensors files, memory-mapped
// read-only. Knows bytes, shapes and dtypes; nothing of what the tensors mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "common/errors.h"

namespace tributary {

enum class StoredType { float64, float32, float16, bfloat16 };

/// Bytes of one element.
std::size_t size_of(StoredType type);
/// The safetensors name of a dtype ("F32").
std::string name_of(StoredType type);

/// One tensor of the checkpoint, in row-major order, inside the mapping. Read-only: writing faults.
struct StoredTensor {
  StoredType type = StoredType::float32;
  std::vector<std::int64_t> shape;
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
  std::string file;  //!< the file it lies in, for messages
};

/// Where a model's files lie.
struct ModelPlace {
  std::filesystem::path folder;
  std::string repository{};  //!< of the Hugging Face Hub ("org/name"), where the folder is a snapshot in its cache
  std::string commit{};      //!< the snapshot's

  friend bool operator==(const ModelPlace&, const ModelPlace&) = default;
};

/// "…/snapshots/1b2c (acme/tiny, commit 1b2c)", or the folder alone.
std::string text_of(const ModelPlace& place);

/// Finds a model on the local disk; nothing is downloaded. `given` is a folder, a repository's folder in the Hub's
/// cache (models--org--name) or the name of a repository that is in that cache ($HF_HUB_CACHE, $HF_HOME/hub,
/// $XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub). A folder of that name wins. `revision` is a branch, a
/// tag or the beginning of a commit; empty: the branch main, or where the cache does not know it the newest snapshot.
/// Throws UserError: the repository, or its revision, is not there (with where was looked and how to fetch it), a
/// revision of what is no repository. Whether the folder holds a model, read_model_config and Checkpoint::open tell.
ModelPlace find_model(const std::filesystem::path& given, const std::string& revision);

/// A folder's config.json, without its weights. Throws UserError: no such folder, no config.json, JSON broken.
nlohmann::json read_model_config(const std::filesystem::path& folder);

/// Whether the folder has safetensors files, or what should be links to them.
bool has_weights(const std::filesystem::path& folder);

/// The files of a checkpoint were changed while it was open.
class CheckpointChanged : public RuntimeFailure {
 public:
  using RuntimeFailure::RuntimeFailure;
};

/// Handle on an opened folder; copies share the mappings, which live as long as any copy.
class Checkpoint {
 public:
  /// Opens folder/config.json and folder/model.safetensors, or the files that
  /// folder/model.safetensors.index.json lists.
  /// Throws UserError: folder, config or weights missing; JSON broken (with line and column); header longer
  /// than the file, offsets that overlap, leave holes, or run past the end, sizes that do not match
  /// shape × dtype; a shard the index names is missing, or lacks a tensor it promises; duplicate tensors; a dtype we
  /// cannot read (integer buffers such as attention masks are skipped, not refused).
  static Checkpoint open(const std::filesystem::path& folder);

  [[nodiscard]] const std::filesystem::path& folder() const;
  [[nodiscard]] const nlohmann::json& config() const;
  /// By name, in name order.
  [[nodiscard]] const std::map<std::string, StoredTensor>& tensors() const;
  /// Null when absent.
  [[nodiscard]] const StoredTensor* find(const std::string& name) const;
  /// XXH3-128 over config.json and every tensor's name, dtype, shape and bytes in name order, as 32
  /// hex digits: the model's identity, independent of how it is cut into files. Read once.
  [[nodiscard]] const std::string& hash() const;
  /// Throws CheckpointChanged, naming the file, where what is mapped may not be what it was when it was opened:
  /// somebody wrote to a file, or cut it short. Another file under the same name changes nothing here. Takes no longer
  /// than to ask the system for each file, unless something besides the contents has changed. Any thread.
  void require_unchanged() const;
  /// Reads everything again and throws CheckpointChanged where its hash is not that of the start: who writes through a
  /// mapping of his own need not leave a trace in the times of a file.
  void require_same_contents() const;
  /// Releases the pages of the files that were read so far: the process's memory then holds only those that it uses
  /// again.
  void release_pages() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace tributary
