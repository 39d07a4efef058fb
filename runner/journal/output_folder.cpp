// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/output_folder.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "common/errors.h"
#include "io/atomic_file.h"
#include "io/results.h"

namespace tributary {
namespace {

std::filesystem::path replaced_path(const std::filesystem::path& folder) { return folder / "results.h5.replaced"; }

}  // namespace

std::uint64_t free_disk_bytes(const std::filesystem::path& folder) {
  struct statvfs system {};
  if (statvfs(folder.c_str(), &system) != 0) return UINT64_MAX;
  return static_cast<std::uint64_t>(system.f_bavail) * system.f_frsize;
}

/// By the system's own call: the C library's stands in for it where a file system cannot reserve (NFS 3) by
/// writing every page.
void require_room(const std::filesystem::path& folder, std::uint64_t bytes, const std::string& what) {
  const std::string probe = (folder / (".tributary-" + std::to_string(getpid()) + "-room.part")).string();
  const int file = open(probe.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  int reason = file < 0 ? errno : 0;
  if (file >= 0) {
    do {
      reason = fallocate(file, 0, 0, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
    } while (reason == EINTR);
    const bool cannot_reserve = reason == EOPNOTSUPP || reason == ENOSYS || reason == EINVAL;
    if (cannot_reserve) reason = free_disk_bytes(folder) >= bytes ? 0 : ENOSPC;
    close(file);
    unlink(probe.c_str());
  }
  if (reason == 0) return;
  const std::string size = std::to_string(bytes / 1024 + 1) + " kB";
  throw UserError(folder.string(), reason == ENOSPC || reason == EDQUOT
                                       ? "the disk has no room for " + what + " (about " + size +
                                             "); free some, or name another folder with --out"
                                       : std::string("cannot be written (") + std::strerror(reason) +
                                             "); make it writable, or give `run` another folder with --out");
}

std::filesystem::path aside_path(const std::filesystem::path& folder) { return folder / "results.h5.changed"; }

void set_replaced_aside(const std::filesystem::path& folder) {
  const std::filesystem::path results = results_path(folder);
  std::error_code error;
  if (!std::filesystem::exists(results, error)) return;
  std::filesystem::rename(results, replaced_path(folder), error);
  if (error) throw UserError(results.string(), "cannot be set aside (" + error.message() + ")");
}

void forget_replaced(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::filesystem::remove(replaced_path(folder), ignored);
}

std::optional<StoredRun> stored_run(const std::filesystem::path& folder) {
  const std::filesystem::path results = results_path(folder);
  std::error_code error;
  const bool there = std::filesystem::exists(results, error);
  if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory) {
    throw UserError(folder.string(), "cannot be looked into (" + error.message() + "); name another folder with --out");
  }
  if (!there) return std::nullopt;
  ResultsFile file;
  try {
    file = read_results(results, [](const std::string&) { return false; });  // attributes alone
  } catch (const ResultsChanged&) {
    throw;
  } catch (const UserError& problem) {
    throw UserError("", std::string(problem.what()) + "; --fresh replaces it");
  }
  const std::map<std::string, Attribute>& facts = file.group_attributes["/provenance"];
  const auto text = [&facts](const std::string& name) {
    const auto found = facts.find(name);
    return found == facts.end() ? std::string() : std::get<std::string>(found->second);
  };
  return StoredRun{text("identity"),   text("scores_identity"),     text("configuration"),
                   text("model_hash"), text("training_pairs_hash"), text("imported_hash")};
}

void claim_output(const std::filesystem::path& folder, std::uint64_t bytes) {
  make_folder(folder);
  require_room(folder, bytes, "the results");
}

}  // namespace tributary
