// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/report/detail/findings.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "common/errors.h"
#include "common/text.h"

namespace tributary::detail {
namespace {

/// Pages are written into the folders of runs: a list from elsewhere must not make us write elsewhere.
void require_inside(const std::filesystem::path& file, const std::string& name) {
  if (name == "." || is_plain_name(name)) return;
  throw UserError(file.string(), "names a run '" + printable(name, LineEnds::escape) +
                                     "', which is no folder beside it: this program wrote no such file; remove it (the "
                                     "folders that are there will do)");
}

/// Folders of runs: those that the sweep named, in its order, then whatever else holds results. found: gets the sweep's
/// title, and a note where the sweep's own list cannot be read.
std::vector<std::string> run_folders(const std::filesystem::path& folder, Findings& found) {
  std::vector<std::string> names;
  std::error_code ignored;
  if (std::filesystem::exists(names_path(folder), ignored)) {
    try {
      const nlohmann::json json = nlohmann::json::parse(read_file(names_path(folder).string()));
      const auto title = json.at("name").get<std::string>();
      names = json.at("runs").get<std::vector<std::string>>();
      for (const std::string& name : names) require_inside(names_path(folder), name);
      found.title = title;
    } catch (const nlohmann::json::exception&) {
      names.clear();  // the folders themselves will do
      found.notes.push_back(names_path(folder).string() +
                            " is damaged: runs of the sweep that have no results yet are not named; `run` writes it "
                            "again when it has something to compute");
    }
  }
  std::set<std::string> others;
  if (std::filesystem::exists(results_path(folder))) others.insert(".");
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_directory() && std::filesystem::exists(results_path(entry.path()))) {
      others.insert(entry.path().filename().string());
    }
  }
  for (const std::string& name : others) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

}  // namespace

std::filesystem::path names_path(const std::filesystem::path& folder) { return folder / "sweep.json"; }

Findings find_results(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) {
    throw UserError(folder.string(), "there is no such folder; name the one that `run` wrote to");
  }
  Findings found;
  found.title = std::filesystem::absolute(folder / ".").parent_path().filename().string();
  const std::vector<std::string> folders = run_folders(folder, found);
  const bool single = folders.size() == 1 && folders.front() == ".";
  found.kind = single || folders.empty() ? Document::Kind::run : Document::Kind::sweep;
  for (const std::string& name : folders) {
    const std::filesystem::path file = results_path(folder / name);
    const std::string run = name == "." ? "the run" : "run '" + name + "'";
    if (!std::filesystem::exists(file)) {
      found.notes.push_back(run + " is not finished: it has no results yet");
      continue;
    }
    try {
      found.runs.push_back({name, read_shown_results(file)});
    } catch (const ResultsChanged& error) {
      found.notes.push_back(run + " cannot be read: " + error.what() + "; " + way_back(folder));
    } catch (const UserError& error) {
      found.notes.push_back(run + " cannot be read: " + error.what());
    }
  }
  if (found.runs.empty()) {
    throw UserError(folder.string(), found.notes.empty()
                                         ? std::string("holds no results; name the folder of a run or a sweep")
                                         : "holds no results: " + join(found.notes, "; "));
  }
  return found;
}

}  // namespace tributary::detail
