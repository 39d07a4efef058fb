// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "common/errors.h"
#include "common/text.h"
#include "common/version.h"
#include "io/atomic_file.h"
#include "runner/machine/host.h"
#include "runner/report/detail/missing_intervals.h"
#include "runner/report/detail/named_rows.h"
#include "runner/report/detail/performance.h"
#include "runner/report/detail/report_runs.h"
#include "runner/results/schema.h"

namespace tributary {
namespace {

/// What lies in a folder: the results that can be read, and what is to be said of the rest.
struct Findings {
  std::string title;
  Document::Kind kind = Document::Kind::run;
  std::vector<RunResults> runs;
  std::vector<std::string> notes;
};

std::filesystem::path names_path(const std::filesystem::path& folder) { return folder / "sweep.json"; }

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

constexpr const char* script_name = "plotly.min.js";

/// script: the chart script's address, seen from the page; empty: the page holds it.
void write_page(const std::filesystem::path& folder, const Document& document, const std::string& script) {
  const std::filesystem::path file = (folder / "report.html").lexically_normal();
  write_atomically(file, page_of(document, script));
  std::cout << "report       " << file.string() << '\n';
}

/// Of each data set on which the model often fails the task, what a reader should know first.
std::vector<std::string> performance_notes(const detail::Runs& runs) {
  std::vector<std::string> notes;
  std::set<std::int64_t> told;
  for (const detail::ReportRun& run : runs) {
    const std::string warning = detail::performance_warning(*run.results);
    if (warning.empty() || !told.insert(run.data).second) continue;
    notes.push_back((run.folder == "." ? "" : "run '" + run.folder + "': ") + warning);
  }
  return notes;
}

/// Why numbers have no interval, each reason once, with the runs that have it.
std::vector<std::string> interval_notes(const detail::Runs& runs) {
  std::vector<std::pair<std::string, std::vector<std::string>>> reasons;
  for (const detail::ReportRun& run : runs) {
    for (const std::string& reason : detail::missing_intervals(*run.results)) {
      const auto same =
          std::find_if(reasons.begin(), reasons.end(), [&](const auto& known) { return known.first == reason; });
      std::vector<std::string>& folders =
          (same == reasons.end() ? reasons.emplace_back(reason, std::vector<std::string>()) : *same).second;
      folders.push_back(run.folder);
    }
  }
  std::vector<std::string> notes;
  for (const auto& [reason, folders] : reasons) {
    if (folders.size() == runs.size()) {
      notes.push_back(reason);
    } else {
      const std::string more = folders.size() == 1 ? "" : fmt::format(" and {} more runs", folders.size() - 1);
      notes.push_back(fmt::format("run '{}'{}: {}", folders.front(), more, reason));
    }
  }
  return notes;
}

}  // namespace

ResultsFile read_shown_results(const std::filesystem::path& file) {
  // The scores of single pairs may be larger than memory, and no table has them.
  const auto shown = [](const std::string& path) {
    const bool of_scores = path.starts_with("/attribution/") || path.starts_with("/nodes/");
    return !of_scores || path.find("/pair_") == std::string::npos;
  };
  ResultsFile results = read_results(file, shown);
  require_schema(file, results);
  return results;
}

Document report_document(Document::Kind kind, const std::string& title, const std::vector<RunResults>& runs,
                         std::vector<std::string> notes) {
  using namespace detail;
  const Runs all = report_runs(runs);
  Document document{.kind = kind,
                    .title = title,
                    .generator = std::string("tributary ") + version,
                    .made = utc_now(),
                    .notes = std::move(notes)};
  for (std::string& note : performance_notes(all)) document.notes.push_back(std::move(note));
  for (std::string& note : interval_notes(all)) document.notes.push_back(std::move(note));
  for (Table (*const table)(const Runs&) :
       {runs_table, data_table, curve_table, agreement_table, methods_table, top_table, values_table, heat_table,
        layers_table, tokens_table, inputs_table, exact_table, steering_table, steering_tokens_table, steered_table,
        cases_table, pairs_table, provenance_table}) {
    document.tables.push_back(table(all));
  }
  return document;
}

void report_command(const std::filesystem::path& folder, ChartScript script) {
  Findings found = find_results(folder);
  const bool shared = found.kind == Document::Kind::sweep && script == ChartScript::shared;
  const std::filesystem::path script_file = folder / script_name;
  if (found.kind == Document::Kind::sweep) {
    if (shared)
      write_atomically(script_file, chart_script());
    else
      std::filesystem::remove(script_file);  // no page asks for it any more
    for (RunResults& run : found.runs) {
      if (run.folder == ".") continue;  // its page would be the sweep's
      std::vector<RunResults> alone;
      alone.push_back(std::move(run));
      write_page(folder / alone.front().folder,
                 report_document(Document::Kind::run, found.title + ": " + alone.front().folder, alone, {}),
                 shared ? std::string("../") + script_name : "");
      run = std::move(alone.front());
    }
  }
  write_page(folder, report_document(found.kind, found.title, found.runs, found.notes), shared ? script_name : "");
  for (const std::string& note : found.notes) std::cout << "  missing: " << note << '\n';
}

void export_command(const std::filesystem::path& folder, const std::filesystem::path& out) {
  const Findings found = find_results(folder);
  const Document document = report_document(found.kind, found.title, found.runs, found.notes);
  const std::filesystem::path target = out.empty() ? folder / "export" : out;
  make_folder(target);
  for (const Table& table : document.tables) {
    write_atomically(target / (table.name + ".csv"), csv_of(detail::with_names(table, document)));
  }
  write_atomically(target / "tables.json", json_of(document));
  std::cout << "export       " << document.tables.size() << " tables as CSV, and tables.json, in "
            << target.lexically_normal().string() << '\n';
  for (const std::string& note : found.notes) std::cout << "  missing: " << note << '\n';
}

std::string way_back(const std::filesystem::path& folder) {
  return "`tributary finalize " + folder.string() +
         "` writes it again from journal/ without computing anything, and keeps this one as results.h5.changed";
}

std::vector<std::string> kept_run_names(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  try {
    names = nlohmann::json::parse(read_file(names_path(folder).string())).at("runs").get<std::vector<std::string>>();
  } catch (const std::exception&) {
    return {};  // none are kept, or what is kept is damaged
  }
  std::erase_if(names, [](const std::string& name) { return name != "." && !is_plain_name(name); });
  return names;
}

void keep_run_names(const std::filesystem::path& folder, const std::string& name,
                    const std::vector<std::string>& runs) {
  make_folder(folder);
  write_atomically(names_path(folder), nlohmann::json({{"name", name}, {"runs", runs}}).dump(1) + "\n");
}

}  // namespace tributary
