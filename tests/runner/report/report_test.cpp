// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Reports on results files that somebody else made: whatever such a file holds, a report shows it or names it, and
// goes on with the others.
#include "runner/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "common/errors.h"
#include "common/text.h"
#include "runner/report/summary.h"
#include "tests/io/temporary_folder.h"
#include "tests/runner/results/synthetic_results.h"

namespace tributary {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Report : public TemporaryFolder {
 protected:
  /// Whether a file is shown. Then summary and tables must come about, beside those of a file without fault.
  bool shown(const ResultsFile& file) const {
    write_results(folder_ / "results.h5", file);
    RunResults run{"changed", {}};
    try {
      run.results = read_shown_results(folder_ / "results.h5");
    } catch (const UserError&) {
      return false;
    }
    summary_of(run.results);
    std::vector<RunResults> runs;
    runs.push_back({"whole", synthetic_results()});
    runs.push_back(std::move(run));
    report_document(Document::Kind::sweep, "title", runs, {});
    return true;
  }
};

/// One axis of a name that no row has.
void flatten(Dataset& dataset) {
  dataset.shape = {std::visit([](const auto& values) { return std::ssize(values); }, dataset.values)};
  dataset.axes = {"flat"};
}

bool read_by_reports(const DatasetRow& row) {
  const bool of_scores = group_of_neurons(group_of(row.path)) == "/attribution";
  return !of_scores || !row.path.substr(group_of(row.path).size()).starts_with("/pair_");
}

TEST_F(Report, ShowsAFileWithEverything) { EXPECT_TRUE(shown(synthetic_results())); }

TEST_F(Report, SurvivesTheAbsenceOfAnyDataset) {
  for (const DatasetRow& row : results_schema().datasets) {
    ResultsFile file = synthetic_results();
    remove_dataset(file, row.path);
    if (shown(file)) {
      EXPECT_TRUE(row.when != always || row.need == Need::optional) << row.path;
    }
  }
}

TEST_F(Report, RefusesAnyDatasetWithOtherAxes) {
  for (const DatasetRow& row : results_schema().datasets) {
    if (row.path == group_of(row.path) + "/" + row.axes.front()) continue;  // no file can have its scale otherwise
    ResultsFile file = synthetic_results();
    flatten(dataset_at(file, row.path));
    EXPECT_EQ(shown(file), !read_by_reports(row)) << row.path;
  }
}

TEST_F(Report, RefusesAnyDatasetOfAnotherType) {
  for (const DatasetRow& row : results_schema().datasets) {
    ResultsFile file = synthetic_results();
    Dataset& dataset = dataset_at(file, row.path);
    const auto count = std::visit([](const auto& values) { return values.size(); }, dataset.values);
    dataset.values = synthetic_values(row.type == ValueType::text ? ValueType::int64 : ValueType::text, count);
    EXPECT_EQ(shown(file), !read_by_reports(row)) << row.path;
  }
}

TEST_F(Report, SurvivesTheAbsenceOfAnyAttribute) {
  for (const AttributeRow& row : results_schema().attributes) {
    ResultsFile file = synthetic_results();
    if (file.group_attributes.contains(row.owner))
      file.group_attributes[row.owner].erase(row.name);
    else
      dataset_at(file, row.owner).attributes.erase(row.name);
    EXPECT_EQ(shown(file), row.need == Need::optional) << row.owner << ":" << row.name;
  }
}

TEST_F(Report, RefusesAnyAttributeOfAnotherType) {
  for (const AttributeRow& row : results_schema().attributes) {
    ResultsFile file = synthetic_results();
    auto& attributes = file.group_attributes.contains(row.owner) ? file.group_attributes[row.owner]
                                                                 : dataset_at(file, row.owner).attributes;
    attributes[row.name] = row.type == AttributeType::numbers ? Attribute(std::string("x")) : std::vector<double>{1.5};
    EXPECT_FALSE(shown(file)) << row.owner << ":" << row.name;
  }
}

TEST_F(Report, ReadsPlacesAndTextsThatPointNowhere) {
  ResultsFile file = synthetic_results();
  constexpr std::int64_t far = std::int64_t{1} << 40;
  for (const char* const group : {"/agreement", "/steering"}) {
    for (const char* const name : {"layer", "position", "neuron"}) {
      std::get<std::vector<std::int64_t>>(dataset_at(file, std::string(group) + "/" + name).values)[0] = far;
    }
  }
  file.group_attributes["/attribution"]["rules"] = std::vector<std::string>{"unheard-of"};
  file.group_attributes["/attribution"]["method"] = std::string("unheard-of");
  for (const char* const seconds : {"", "{", "[1]", R"({"attribution": "long"})"}) {
    file.group_attributes["/provenance"]["seconds"] = std::string(seconds);
    EXPECT_TRUE(shown(file)) << seconds;
  }
}

TEST_F(Report, SaysWhyThereIsNoInterval) {
  const auto notes_of = [](const ResultsFile& file) {
    std::vector<RunResults> runs;
    runs.push_back({".", file});
    return join(report_document(Document::Kind::run, "title", runs, {}).notes, "\n");
  };
  const ResultsFile whole = synthetic_results();
  EXPECT_THAT(notes_of(whole), Not(HasSubstr("no interval")));
  EXPECT_THAT(summary_of(whole), Not(HasSubstr("no interval")));
  ResultsFile file = whole;
  for (const char* const end : {"low", "high"}) {
    for (const char* const of : {"/circuit/faithfulness_", "/agreement/value_", "/steering/metric_"}) {
      for (double& value : std::get<std::vector<double>>(dataset_at(file, std::string(of) + end).values)) {
        value = std::nan("");
      }
    }
  }
  for (const char* const group : {"/circuit", "/agreement", "/steering"}) {
    auto& rows = std::get<std::vector<std::int64_t>>(dataset_at(file, std::string(group) + "/pair").values);
    std::iota(rows.begin(), rows.end(), 0);
  }
  auto& prompts = std::get<std::vector<std::string>>(dataset_at(file, "/pairs/clean_prefix").values);
  std::size_t number = 0;
  for (std::string& prompt : prompts) prompt = "prompt " + std::to_string(++number);
  EXPECT_THAT(notes_of(file), AllOf(HasSubstr("no interval of faithfulness"), HasSubstr("F(M) − F(∅) within 0.05"),
                                    HasSubstr("agreement.sample")));
  EXPECT_THAT(summary_of(file), AllOf(HasSubstr("within 0.05 logits of 0"), Not(HasSubstr("nan to nan"))));
  for (const char* const name : {"clean_prefix", "patch_prefix"}) {
    for (auto& text : std::get<std::vector<std::string>>(dataset_at(file, std::string("/pairs/") + name).values)) {
      text = "the same";
    }
  }
  EXPECT_THAT(notes_of(file), AllOf(HasSubstr("completeness: "), HasSubstr("no interval of steering: "),
                                    HasSubstr("no interval of some agreement"), Not(HasSubstr("F(∅)"))));
}

TEST_F(Report, ComparesOnlyRunsWithScoresOfOneShape) {
  ResultsFile file = synthetic_results();  // a data set's hashes, but fewer neurons
  for (Dataset& dataset : file.datasets) {
    for (std::size_t i = 0; i < dataset.axes.size(); ++i) {
      if (dataset.axes[i] != "neuron") continue;
      dataset.shape[i] -= 2;
      std::get<std::vector<float>>(dataset.values).resize(std::get<std::vector<float>>(dataset.values).size() / 2);
    }
  }
  EXPECT_TRUE(shown(file));
}

TEST_F(Report, NamesTheRunThatItCannotShowAndShowsTheOthers) {
  std::filesystem::create_directories(folder_ / "whole");
  std::filesystem::create_directories(folder_ / "other");
  write_results(folder_ / "whole" / "results.h5", synthetic_results());
  ResultsFile other = synthetic_results();
  flatten(dataset_at(other, "/attribution/scores"));
  write_results(folder_ / "other" / "results.h5", other);
  report_command(folder_);
  const std::string page = read_file((folder_ / "report.html").string());
  EXPECT_THAT(page, HasSubstr("run 'other' cannot be read: "));
  EXPECT_THAT(page, AllOf(HasSubstr("/attribution/scores has the axes [flat]"), HasSubstr("\"whole\"")));
  std::filesystem::remove_all(folder_ / "whole");
  EXPECT_THAT(message_of([&] { report_command(folder_); }), HasSubstr("not as this program writes them"));
}

}  // namespace
}  // namespace tributary
