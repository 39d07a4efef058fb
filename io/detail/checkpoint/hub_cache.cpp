// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The download cache of the Hugging Face Hub, as huggingface_hub lays it out: models--org--name with refs/ (a file a
// branch or tag, which holds a commit) and snapshots/ (a folder a commit, of links to files in blobs/).
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "common/errors.h"
#include "common/text.h"
#include "io/checkpoint.h"
#include "io/detail/base/repository_name.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;

constexpr const char* snapshots_folder = "snapshots";

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

/// Empty where it is not set; "~/" is the home folder's.
std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path path_in(const std::string& value) {
  return value.starts_with("~/") ? fs::path(environment("HOME")) / value.substr(2) : fs::path(value);
}

fs::path hub_cache() {
  if (const std::string cache = environment("HF_HUB_CACHE"); !cache.empty()) return path_in(cache);
  if (const std::string cache = environment("HUGGINGFACE_HUB_CACHE"); !cache.empty()) return path_in(cache);
  if (const std::string home = environment("HF_HOME"); !home.empty()) return path_in(home) / "hub";
  const std::string caches = environment("XDG_CACHE_HOME");
  return (caches.empty() ? path_in("~/.cache") : path_in(caches)) / "huggingface" / "hub";
}

/// One repository in a cache.
class CachedRepository {
 public:
  explicit CachedRepository(fs::path root) : root_(std::move(root)) {}

  /// "org/name"
  [[nodiscard]] std::string name() const { return detail::repository_of(root_.filename().string()); }

  /// Where a snapshot lies.
  [[nodiscard]] ModelPlace at(const std::string& commit) const {
    return {root_ / snapshots_folder / commit, name(), commit};
  }

  /// Throws UserError.
  [[nodiscard]] ModelPlace snapshot(const std::string& revision) const {
    const std::string reference = commit_of(revision.empty() ? "main" : revision);
    if (!reference.empty() && is_folder(at(reference).folder)) return at(reference);
    if (!revision.empty()) return beginning_with(reference.empty() ? revision : reference, revision);
    const std::vector<std::string> commits = snapshots();
    if (std::error_code ignored; !commits.empty() && fs::exists(root_ / "refs" / "main", ignored)) {
      fail("main", "has no snapshot of its branch main" +
                       (reference.empty() ? ", which refs/main does not name" : ", which is " + reference) +
                       " (give a revision to take another one)");
    }
    if (commits.empty()) fail("", "has no snapshot in the Hugging Face Hub's cache");
    return at(*std::max_element(commits.begin(), commits.end(), [this](const auto& a, const auto& b) {
      std::error_code ignored;
      return fs::last_write_time(at(a).folder, ignored) < fs::last_write_time(at(b).folder, ignored);
    }));
  }

 private:
  /// Commits, in the order of their names.
  [[nodiscard]] std::vector<std::string> snapshots() const {
    std::vector<std::string> names;
    std::error_code ignored;
    for (fs::directory_iterator it(root_ / snapshots_folder, ignored), end; it != end; it.increment(ignored)) {
      if (it->is_directory(ignored)) names.push_back(it->path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  /// What a branch or tag holds; empty: there is none of that name.
  [[nodiscard]] std::string commit_of(const std::string& revision) const {
    const fs::path name(revision);
    const fs::path file = root_ / "refs" / name;
    std::error_code ignored;
    const bool inside = name.is_relative() && std::find(name.begin(), name.end(), "..") == name.end();
    if (!inside || !fs::is_regular_file(file, ignored)) return {};
    std::string commit = read_file(file.string());
    commit.erase(std::find_if(commit.begin(), commit.end(), [](char c) { return c == '\n' || c == '\r'; }),
                 commit.end());
    return is_plain_name(commit) ? commit : "";
  }

  [[nodiscard]] ModelPlace beginning_with(const std::string& commit, const std::string& revision) const {
    std::vector<std::string> found = snapshots();
    std::erase_if(found, [&commit](const std::string& name) { return !name.starts_with(commit); });
    if (found.size() == 1) return at(found[0]);
    if (found.empty())
      fail(revision, "has no snapshot of the revision '" + revision + "' in the Hugging Face Hub's cache");
    throw UserError(root_.string(), fmt::format("has several commits that begin with '{}': {}; give more of the one",
                                                revision, join(found)));
  }

  [[noreturn]] void fail(const std::string& revision, const std::string& problem) const {
    const std::vector<std::string> there = snapshots();
    throw UserError(root_.string(), fmt::format("{}{}; this program downloads nothing: run `hf download {}{}` first",
                                                problem, there.empty() ? "" : " (it has " + join(there) + ")", name(),
                                                revision.empty() ? "" : " --revision " + revision));
  }

  fs::path root_;
};

/// The folder of a repository in a cache that the path is, or whose snapshots/ it is; empty: neither.
fs::path cache_root_of(const fs::path& folder) {
  const fs::path root = folder.filename() == snapshots_folder ? folder.parent_path() : folder;
  return detail::repository_of(root.filename().string()).empty() ? fs::path() : root;
}

/// A folder that holds the model itself, with the names that it has as a snapshot of a cache.
ModelPlace plain_folder(const fs::path& folder) {
  const fs::path root = cache_root_of(folder.parent_path());
  const bool snapshot = !root.empty() && folder.parent_path().filename() == snapshots_folder;
  return snapshot ? CachedRepository(root).at(folder.filename().string()) : ModelPlace{folder};
}

}  // namespace

std::string text_of(const ModelPlace& place) {
  if (place.commit.empty()) return place.folder.string();
  return fmt::format("{} ({}, commit {})", place.folder.string(), place.repository, place.commit);
}

ModelPlace find_model(const fs::path& given, const std::string& revision) {
  const fs::path folder = given.has_filename() ? given : given.parent_path();  // "model/" is "model"
  std::error_code ignored;
  const bool there = fs::exists(fs::symlink_status(folder, ignored));
  if (const fs::path root = cache_root_of(folder); !root.empty() && is_folder(root / snapshots_folder)) {
    return CachedRepository(root).snapshot(revision);
  }
  const std::string name = given.string();
  if (there || !detail::is_repository_name(name)) {
    ModelPlace place = plain_folder(folder);
    if (!revision.empty() && (place.commit.empty() || !place.commit.starts_with(revision))) {
      throw UserError(folder.string(), "is one folder, and 'model.revision' is '" + revision +
                                           "' (a branch, tag or commit of a repository of the Hugging Face Hub); "
                                           "remove it, or give the repository's name");
    }
    return place;
  }
  const fs::path root = hub_cache() / detail::cache_folder_of(name);
  if (is_folder(root / snapshots_folder)) return CachedRepository(root).snapshot(revision);
  throw UserError(name,
                  fmt::format("there is no such folder, and no such model in the cache of the Hugging Face Hub ({}); "
                              "this program downloads nothing: give the folder of a checkpoint, or run `hf "
                              "download {}{}` first",
                              root.string(), name, revision.empty() ? "" : " --revision " + revision));
}

}  // namespace tributary
