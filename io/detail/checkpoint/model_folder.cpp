// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/checkpoint/model_folder.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/checkpoint/other_formats.h"

namespace tributary::detail::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view cache_prefix = "models--";
constexpr const char* checkpoint_wanted = "give the folder of a Hugging Face checkpoint";

bool present(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path hub_cache() {
  if (const std::string cache = environment("HF_HUB_CACHE"); !cache.empty()) return cache;
  if (const std::string home = environment("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  return fs::path(environment("HOME")) / ".cache" / "huggingface" / "hub";
}

/// "models--acme--tiny" → "acme/tiny".
std::string repository_of(std::string folder) {
  folder.erase(0, cache_prefix.size());
  if (const auto dashes = folder.find("--"); dashes != std::string::npos) folder.replace(dashes, 2, "/");
  return folder;
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code ignored;
  for (fs::directory_iterator it(folder, ignored), end; it != end; it.increment(ignored)) {
    if (it->is_directory(ignored)) folders.push_back(it->path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

/// The snapshots in the root of a repository's cache that hold a model: that of the main branch alone where it is
/// known.
std::vector<fs::path> snapshots_of(const fs::path& root) {
  const fs::path main = root / "refs" / "main";
  if (present(main)) {
    std::string name = read_file(main.string());
    name.erase(std::find_if(name.begin(), name.end(), [](char c) { return c == '\n' || c == '\r'; }), name.end());
    const fs::path snapshot = root / "snapshots" / name;
    if (!name.empty() && present(snapshot / "config.json")) return {snapshot};
  }
  std::vector<fs::path> snapshots = folders_in(root / "snapshots");
  std::erase_if(snapshots, [](const fs::path& snapshot) { return !present(snapshot / "config.json"); });
  return snapshots;
}

/// "give …/snapshots/1f3a", or that there is none.
std::string advice_of(const std::vector<fs::path>& snapshots) {
  if (snapshots.empty()) return "no snapshot in it holds a config.json; download the model again";
  std::vector<std::string> names;
  for (const fs::path& snapshot : snapshots) names.push_back(snapshot.string());
  return "give " + join(names, " or ");
}

/// The folder or one above it that is the root of a repository in a Hub cache; empty: none.
fs::path cache_root_of(const fs::path& folder) {
  for (const fs::path& path : {folder, folder.parent_path()}) {
    if (path.filename().string().starts_with(cache_prefix)) return path;
  }
  return {};
}

/// What a path that is not there may have been meant as: "acme/tiny" and "gpt2" are names of the Hub.
std::string advice_on_missing(const fs::path& folder) {
  const std::string last = folder.filename().string();
  const std::string owner = folder.parent_path().filename().string();
  for (const std::string& repository : {owner + "/" + last, last}) {
    std::string name = std::string(cache_prefix) + repository;
    if (const auto slash = name.find('/'); slash != std::string::npos) name.replace(slash, 1, "--");
    const fs::path root = hub_cache() / name;
    if (const auto snapshots = snapshots_of(root); !snapshots.empty()) {
      return fmt::format("the local cache of the Hugging Face Hub has {}: {}", repository, advice_of(snapshots));
    }
  }
  // Where not even the folder above is there, two words are likelier a name than a path.
  const bool name_of_hub = !owner.empty() && !present(folder.parent_path());
  const std::string meant =
      name_of_hub ? fmt::format(
                        " (a name of the Hugging Face Hub, such as {}/{}, is no folder: this program downloads "
                        "nothing, so fetch the model first)",
                        owner, last)
                  : "";
  return checkpoint_wanted + meant;
}

}  // namespace

void require_model_folder(const fs::path& given) {
  std::error_code ignored;
  const fs::path folder = given.has_filename() ? given : given.parent_path();  // "model/" is "model"
  if (!present(folder)) {
    const std::string link = about_dangling_link(folder.string());
    throw UserError(folder.string(), "no such folder" + (link.empty() ? "; " + advice_on_missing(folder) : link));
  }
  if (!fs::is_directory(folder, ignored)) {
    throw UserError(folder.string(), "is a file; give the folder that holds config.json and the weights");
  }
  const std::string config = (folder / "config.json").string();
  if (present(config)) return;
  if (const std::string link = about_dangling_link(config); !link.empty()) {
    throw UserError(config, "cannot be read" + link);
  }
  if (const fs::path root = cache_root_of(folder); !root.empty() && present(root / "snapshots")) {
    throw UserError(folder.string(),
                    fmt::format("is where the Hugging Face Hub's cache keeps {}, not a checkpoint; {}",
                                repository_of(root.filename().string()), advice_of(snapshots_of(root))));
  }
  if (const std::string adapter = about_adapter(folder); !adapter.empty()) throw UserError(folder.string(), adapter);
  throw UserError(folder.string(),
                  fmt::format("has no config.json (it says what kind of model this is); {}", checkpoint_wanted));
}

}  // namespace tributary::detail::checkpoint
