// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/checkpoint.h"

#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/base/content_hash.h"
#include "io/detail/base/json_text.h"
#include "io/detail/base/mapped_file.h"
#include "io/detail/checkpoint/model_folder.h"
#include "io/detail/checkpoint/other_formats.h"
#include "io/detail/checkpoint/safetensors.h"
#include "io/detail/checkpoint/tensor_hash.h"

namespace tributary {

struct Checkpoint::Impl {
  std::filesystem::path folder;
  std::string config_text;
  nlohmann::json config;
  std::vector<detail::MappedFile> files;
  std::map<std::string, StoredTensor> tensors;

  [[nodiscard]] std::string hash_now() const;
  [[nodiscard]] bool holds_the_same(const FileMark& then, const FileMark& now) const;

  mutable std::mutex mutex;  // of what follows
  mutable std::optional<std::string> hash;
  mutable std::string changed;          // what require_unchanged has found; empty: nothing yet
  mutable std::vector<FileMark> marks;  // of the files, as they were when their contents were known to be the same
};

namespace {

namespace fs = std::filesystem;

constexpr const char* single_file = "model.safetensors";
constexpr const char* index_file = "model.safetensors.index.json";

bool present(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

nlohmann::json parse_object(const std::string& text, const std::string& file) {
  const detail::JsonSource source{text, file};
  nlohmann::json root = detail::parse_json(source).root;
  if (!root.is_object()) throw UserError(source.where(0), "is not a JSON object; fetch the file again");
  return root;
}

/// weight_map of the index: tensor name → file name.
std::map<std::string, std::string> read_index(const fs::path& file) {
  const nlohmann::json index = parse_object(read_file(file.string()), file.string());
  const auto found = index.find("weight_map");
  if (found == index.end() || !found->is_object() || found->empty()) {
    throw UserError(file.string(),
                    "has no \"weight_map\" object that says which tensor lies in which file; fetch it again");
  }
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : found->items()) {
    const std::string name = shard.is_string() ? shard.get<std::string>() : std::string();
    // The shards lie in the checkpoint's folder: an index must not make us read files elsewhere.
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
      throw UserError(file.string(),
                      fmt::format("names {} for tensor '{}' (only a plain file name in the same folder is "
                                  "allowed); correct the index",
                                  shard.dump(), tensor));
    }
    shard_of.emplace(tensor, name);
  }
  return shard_of;
}

/// The weight files of a folder and, when there is an index, what it promises.
struct WeightFiles {
  std::set<std::string> names;
  std::map<std::string, std::string> shard_of;
};

WeightFiles find_weights(const fs::path& folder) {
  WeightFiles weights;
  if (present(folder / single_file)) {
    weights.names.insert(single_file);
    return weights;
  }
  for (const char* const name : {single_file, index_file}) {
    const std::string file = (folder / name).string();
    if (const std::string link = about_dangling_link(file); !link.empty()) throw UserError(file, "is missing" + link);
  }
  if (!present(folder / index_file)) {
    if (const std::string adapter = detail::checkpoint::about_adapter(folder); !adapter.empty()) {
      throw UserError(folder.string(), adapter);
    }
    throw UserError(folder.string(), fmt::format("has neither {} nor {}; {}", single_file, index_file,
                                                 detail::checkpoint::about_other_weights(folder)));
  }
  weights.shard_of = read_index(folder / index_file);
  for (const auto& [tensor, shard] : weights.shard_of) weights.names.insert(shard);
  std::vector<Problem> missing;
  for (const std::string& name : weights.names) {
    if (!present(folder / name)) {
      const std::string file = (folder / name).string();
      const std::string link = about_dangling_link(file);
      missing.push_back(
          {file, link.empty() ? fmt::format("is missing ({} names it); fetch it", index_file) : "is missing" + link});
    }
  }
  if (!missing.empty()) throw UserError(std::move(missing));
  return weights;
}

using FileOfTensor = std::map<std::string, std::string>;

/// Notes that `tensor` lies in `file`; refuses a second file with the same tensor.
void note(FileOfTensor& seen, const std::string& tensor, const std::string& file) {
  const auto [first, inserted] = seen.emplace(tensor, file);
  if (inserted) return;
  throw UserError(
      file, fmt::format("tensor '{}' lies in '{}' too (which of the two is meant is unknown); keep one of them", tensor,
                        first->second));
}

void check_promises(const fs::path& folder, const WeightFiles& weights, const FileOfTensor& seen) {
  for (const auto& [tensor, shard] : weights.shard_of) {
    const std::string promised = (folder / shard).string();
    const auto found = seen.find(tensor);
    if (found != seen.end() && found->second == promised) continue;
    throw UserError(
        promised, fmt::format("lacks tensor '{}', which {} says it holds{}; fetch both files again", tensor, index_file,
                              found == seen.end() ? "" : " (it lies in " + found->second + ")"));
  }
}

}  // namespace

std::size_t size_of(StoredType type) {
  switch (type) {
    case StoredType::float64:
      return 8;
    case StoredType::float32:
      return 4;
    case StoredType::float16:
    case StoredType::bfloat16:
      return 2;
  }
  violate_contract(__FILE__, __LINE__, "a StoredType", "the value is outside the enumeration");
}

std::string name_of(StoredType type) {
  switch (type) {
    case StoredType::float64:
      return "F64";
    case StoredType::float32:
      return "F32";
    case StoredType::float16:
      return "F16";
    case StoredType::bfloat16:
      return "BF16";
  }
  violate_contract(__FILE__, __LINE__, "a StoredType", "the value is outside the enumeration");
}

nlohmann::json read_model_config(const fs::path& folder) {
  detail::checkpoint::require_model_folder(folder);
  const std::string file = (folder / "config.json").string();
  return parse_object(read_file(file), file);
}

bool has_weights(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(folder / single_file, ignored)) || present(folder / index_file);
}

Checkpoint Checkpoint::open(const fs::path& folder) {
  detail::checkpoint::require_model_folder(folder);
  const fs::path config = folder / "config.json";
  auto impl = std::make_shared<Impl>();
  impl->folder = folder;
  impl->config_text = read_file(config.string());
  impl->config = parse_object(impl->config_text, config.string());

  const WeightFiles weights = find_weights(folder);
  FileOfTensor seen;
  for (const std::string& name : weights.names) {
    impl->files.emplace_back(folder / name);
    impl->marks.push_back(impl->files.back().mark());
    detail::checkpoint::SafetensorsContent content =
        detail::checkpoint::read_safetensors(impl->files.back().bytes(), impl->files.back().name());
    for (const auto& [tensor, stored] : content.tensors) note(seen, tensor, stored.file);
    for (const std::string& tensor : content.skipped) note(seen, tensor, impl->files.back().name());
    impl->tensors.merge(content.tensors);
  }
  check_promises(folder, weights, seen);
  if (impl->tensors.empty()) {
    throw UserError(folder.string(), "its weight files hold no floating-point tensor; fetch or write them again");
  }
  Checkpoint checkpoint;
  checkpoint.impl_ = std::move(impl);
  return checkpoint;
}

const fs::path& Checkpoint::folder() const { return impl_->folder; }
const nlohmann::json& Checkpoint::config() const { return impl_->config; }
const std::map<std::string, StoredTensor>& Checkpoint::tensors() const { return impl_->tensors; }

const StoredTensor* Checkpoint::find(const std::string& name) const {
  const auto found = impl_->tensors.find(name);
  return found == impl_->tensors.end() ? nullptr : &found->second;
}

void Checkpoint::release_pages() const {
  for (const detail::MappedFile& file : impl_->files) detail::release(file.data(), file.size());
}

std::string Checkpoint::Impl::hash_now() const {
  detail::ContentHash content;
  content.add(config_text);
  for (const auto& [name, tensor] : tensors) {
    detail::checkpoint::add_tensor(content, name, tensor, detail::checkpoint::Pages::release);
  }
  return content.hex();
}

const std::string& Checkpoint::hash() const {
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->hash) impl_->hash = impl_->hash_now();
  return *impl_->hash;
}

/// Whoever writes to a file changes its time of modification, and can set it back; the time of any change nobody can
/// set. A new name, a removed one or other permissions change that one too, so then the contents are read again.
bool Checkpoint::Impl::holds_the_same(const FileMark& then, const FileMark& now) const {
  if (now.size != then.size || now.modified != then.modified) return false;
  return hash ? hash_now() == *hash : now.links != then.links;
}

void Checkpoint::require_unchanged() const {
  const std::lock_guard lock(impl_->mutex);
  for (std::size_t i = 0; impl_->changed.empty() && i < impl_->files.size(); ++i) {
    const detail::MappedFile& file = impl_->files[i];
    const FileMark now = file.mark_now();
    FileMark& then = impl_->marks[i];
    if (now == then) continue;
    if (impl_->holds_the_same(then, now)) {
      then = now;
      continue;
    }
    impl_->changed = fmt::format(
        "{}: was written to or touched while it was in use{} (numbers computed from now on would be of a mixture of "
        "models, so none are kept; those of before are). Put the file back as it was and give the same command again, "
        "or give another folder of results for the new one. A checkpoint that is written under another name and then "
        "renamed disturbs nobody",
        file.name(), now.size == then.size ? "" : fmt::format(", and has {} bytes, not {}", now.size, then.size));
  }
  if (!impl_->changed.empty()) throw CheckpointChanged(impl_->changed);
}

void Checkpoint::require_same_contents() const {
  require_unchanged();
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->hash || impl_->hash_now() == *impl_->hash) return;
  impl_->changed = fmt::format(
      "{}: its weights are not those of the start, though no time of its files says that somebody wrote to them (a "
      "program that has them mapped does not leave one). What was computed may be of a mixture of models and is not "
      "kept. Give the same command again when nobody writes to them any more",
      impl_->folder.string());
  throw CheckpointChanged(impl_->changed);
}

}  // namespace tributary
