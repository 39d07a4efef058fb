// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the results files of a sweep say together, as tables: everything that a report shows and an export holds comes
// from here, and here only from results.h5.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/results.h"
#include "io/tables.h"

namespace tributary {

/// One run's results.
struct RunResults {
  std::string folder;  //!< below the sweep's; "." for its only run
  ResultsFile results;
};

/// What summaries and reports show of a results file: all but the scores of single pairs. Throws UserError when the
/// file cannot be read or is not as this program writes them.
ResultsFile read_shown_results(const std::filesystem::path& file);

/// The document of runs (all tables, however few rows). notes: what is missing.
Document report_document(Document::Kind kind, const std::string& title, const std::vector<RunResults>& runs,
                         std::vector<std::string> notes);

/// Where the script that draws charts is: in every page, or beside the sweep's page, once for all pages of a sweep.
enum class ChartScript { shared, inside };

/// Writes folder/report.html of what lies in a run's or a sweep's folder; of a sweep also one in each folder of a run,
/// and with ChartScript::shared folder/plotly.min.js. A page of a run alone holds the script in any case. Runs that are
/// not finished are named in the page. Throws UserError: no such folder, no results in it, cannot be written.
void report_command(const std::filesystem::path& folder, ChartScript script = ChartScript::shared);

/// Writes every table as <out>/<table>.csv, and all of them as <out>/tables.json. out empty: folder/export. Throws
/// UserError.
void export_command(const std::filesystem::path& folder, const std::filesystem::path& out);

/// How results come back that another program has changed, for messages: "`tributary finalize FOLDER` …".
std::string way_back(const std::filesystem::path& folder);

/// The names of all runs that a sweep's folder is to hold, for reports on what is missing: kept as <folder>/sweep.json.
/// None where there is no such list, or one that cannot be read.
std::vector<std::string> kept_run_names(const std::filesystem::path& folder);
/// Throws UserError.
void keep_run_names(const std::filesystem::path& folder, const std::string& name, const std::vector<std::string>& runs);

}  // namespace tributary
