// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/output_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "common/errors.h"
#include "io/atomic_file.h"
#include "io/results.h"

namespace tributary {
namespace {

/// Takes the space that results will need and gives it back: a full or read-only disk is found before the work, not
/// after.
void require_writable(const std::filesystem::path& folder, std::uint64_t bytes) {
  const std::string probe = (folder / (".room-" + std::to_string(getpid()))).string();
  const int file = open(probe.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  int reason = file < 0 ? errno : 0;
  if (file >= 0) {
    reason = posix_fallocate(file, 0, static_cast<off_t>(bytes));
    if (reason == EINVAL || reason == EOPNOTSUPP) reason = 0;  // a file system that cannot reserve: the write will tell
    close(file);
    unlink(probe.c_str());
  }
  if (reason == 0) return;
  const std::string size = std::to_string(bytes / 1024 + 1) + " kB";
  throw UserError(
      folder.string(),
      reason == ENOSPC || reason == EDQUOT
          ? "the disk has no room for the results (about " + size + "); free some, or name another folder with --out"
          : std::string("cannot be written (") + std::strerror(reason) + "); name another folder with --out");
}

}  // namespace

std::filesystem::path aside_path(const std::filesystem::path& folder) { return folder / "results.h5.changed"; }

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
  return StoredRun{text("identity"), text("scores_identity"), text("configuration"), text("model_hash"),
                   text("training_pairs_hash")};
}

void claim_output(const std::filesystem::path& folder, std::uint64_t bytes) {
  make_folder(folder);
  require_writable(folder, bytes);
}

}  // namespace tributary
