// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/checkpoint/other_formats.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "common/errors.h"
#include "io/detail/base/json_view.h"

namespace tributary::detail::checkpoint {
namespace {

namespace fs = std::filesystem;

struct OtherWeights {
  std::string_view prefix, suffix;
  std::string_view advice;
};

constexpr std::string_view convert_bin =
    "convert it: load the folder with transformers and call save_pretrained into a new folder, which writes "
    "safetensors; tokenizer.save_pretrained into the same folder, and give that";

/// What people have when they have no model.safetensors, and the way out; the first row that fits a file counts.
constexpr std::array<OtherWeights, 9> other_weights{{
    {"consolidated", "", "these are its makers' own names and layout: fetch the files in Hugging Face's format"},
    {"", ".safetensors", "rename it to model.safetensors if it holds the whole model"},
    {"", ".gguf", "load it with transformers (gguf_file=…) and write the float weights with the safetensors package"},
    {"", ".bin", convert_bin},
    {"", ".bin.index.json", convert_bin},
    {"", ".pt", "convert it: load it with torch and write the state_dict with the safetensors package"},
    {"", ".pth", "convert it: load it with torch and write the state_dict with the safetensors package"},
    {"", ".h5",
     "convert it: load the folder with transformers 4 (from_tf=True), and save_pretrained the model and its tokenizer "
     "into a new folder"},
    {"", ".msgpack",
     "convert it: load the folder with transformers 4 (from_flax=True), and save_pretrained the model and its "
     "tokenizer into a new folder"},
}};

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code ignored;
  for (fs::directory_iterator it(folder, ignored), end; it != end; it.increment(ignored)) {
    names.insert(it->path().filename().string());
  }
  return names;
}

/// N of "model-00001-of-0000N.safetensors"; 0: it is no such name.
int shards_of(std::string_view name) {
  constexpr std::string_view start = "model-", middle = "-of-", end = ".safetensors";
  if (!name.starts_with(start) || !name.ends_with(end)) return 0;
  const std::size_t at = name.find(middle);
  if (at == std::string_view::npos) return 0;
  const std::string_view count = name.substr(at + middle.size(), name.size() - end.size() - at - middle.size());
  int shards = 0;
  const auto [rest, error] = std::from_chars(count.data(), count.data() + count.size(), shards);
  return error == std::errc() && rest == count.data() + count.size() ? shards : 0;
}

/// The model that an adapter_config.json names; empty: none that can be read.
std::string base_model_of(const fs::path& config) {
  try {
    const JsonDocument document = parse_json_file(config.string());
    const auto base = JsonView(document).find("base_model_name_or_path");
    return base ? base->text() : "";
  } catch (const UserError&) {
    return "";  // the advice is the same without it
  }
}

}  // namespace

std::string about_adapter(const fs::path& folder) {
  const std::set<std::string> names = names_in(folder);
  const bool weights = std::any_of(names.begin(), names.end(),
                                   [](const std::string& name) { return name.starts_with("adapter_model."); });
  if (!weights && !names.contains("adapter_config.json")) return "";
  const std::string base = base_model_of(folder / "adapter_config.json");
  return fmt::format(
      "holds an adapter{}, which is no model by itself; load it with PEFT on its model, call merge_and_unload and "
      "save_pretrained into a new folder, tokenizer.save_pretrained into the same one, and give that",
      base.empty() ? "" : fmt::format(" of the model {}", base));
}

std::string about_other_weights(const fs::path& folder) {
  const std::set<std::string> names = names_in(folder);
  int stored = 0;
  int shards = 0;
  for (const std::string& name : names) {
    const int all = shards_of(name);
    stored += all > 0 ? 1 : 0;
    shards = std::max(shards, all);
  }
  if (shards > 0) {
    return fmt::format(
        "it has {} of {} shards, and which tensor lies in which is in model.safetensors.index.json: fetch that file{}",
        stored, shards, stored < shards ? " and the other shards" : "");
  }
  for (const OtherWeights& other : other_weights) {
    for (const std::string& name : names) {
      if (name.starts_with(other.prefix) && name.ends_with(other.suffix)) {
        return fmt::format("it has {}: {}", name, other.advice);
      }
    }
  }
  return "give the folder of a Hugging Face checkpoint";
}

}  // namespace tributary::detail::checkpoint
