// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/earlier_results.h"

#include <system_error>
#include <utility>

#include "common/errors.h"
#include "io/results.h"
#include "runner/journal/output_folder.h"
#include "runner/report/report.h"

namespace tributary {

namespace fs = std::filesystem;

EarlierResults::EarlierResults(fs::path out, std::set<std::string> folders)
    : out_(std::move(out)), folders_(std::move(folders)) {
  for (std::string& name : kept_run_names(out_)) earlier_folders_.insert(std::move(name));  // before a run renews them
}

void EarlierResults::look() {
  found_.emplace();
  for (const std::string& folder : earlier_folders_) {
    if (folders_.contains(folder)) continue;
    const fs::path place = (out_ / folder).lexically_normal();
    try {
      const std::optional<StoredRun> stored = stored_run(place);
      if (stored) found_->emplace(stored->results_identity, results_path(place));
    } catch (const UserError&) {
      continue;  // a damaged file is nobody's results
    }
  }
}

std::optional<fs::path> EarlierResults::move_to(const std::string& folder, const std::string& identity) {
  if (!found_) look();
  const auto place = found_->find(identity);
  if (place == found_->end()) return std::nullopt;
  const fs::path from = place->second;
  found_->erase(place);
  const fs::path to = results_path((out_ / folder).lexically_normal());
  std::error_code error;
  fs::rename(from, to, error);
  if (error) throw UserError(from.string(), "cannot be moved to " + to.string() + " (" + error.message() + ")");
  if (from.parent_path() != out_) {  // a folder of its own, which held nothing else but its page
    fs::remove(from.parent_path() / "report.html", error);
    fs::remove(from.parent_path(), error);
  }
  return from;
}

}  // namespace tributary
