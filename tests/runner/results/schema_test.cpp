// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/results/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "common/errors.h"
#include "runner/results/detail/datasets.h"
#include "tests/runner/results/synthetic_results.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

TEST(ResultsSchema, EveryPathIsThereOnceAndSaysWhatItIs) {
  std::set<std::string> paths;
  for (const DatasetRow& row : results_schema().datasets) {
    EXPECT_TRUE(paths.insert(row.path).second) << row.path;
    EXPECT_THAT(row.long_name, Not(IsEmpty())) << row.path;
    EXPECT_THAT(row.axes, Not(IsEmpty())) << row.path;
    EXPECT_EQ(row.other_axes.empty(), row.other_axes_when.empty()) << row.path;
  }
  for (const AttributeRow& row : results_schema().attributes) {
    EXPECT_TRUE(paths.insert(row.owner + ":" + row.name).second) << row.owner << row.name;
    EXPECT_THAT(row.meaning, Not(IsEmpty())) << row.name;
  }
}

TEST(ResultsSchema, AxesOfDatasetsAreThoseThatItExplains) {
  std::set<std::string> used, explained;
  for (const DatasetRow& row : results_schema().datasets) {
    for (const std::string& axis : row.axes) used.insert(group_of(row.path) + "/" + axis);
    for (const std::string& axis : row.other_axes) used.insert(group_of(row.path) + "/" + axis);
  }
  for (const AxisRow& row : results_schema().axes) explained.insert(row.group + "/" + row.name);
  EXPECT_EQ(used, explained);
  EXPECT_EQ(explained.size(), results_schema().axes.size());
}

TEST(ResultsSchema, AFileWithEverythingFits) {
  EXPECT_THAT(differences_from_schema(synthetic_results()), IsEmpty());
  EXPECT_THAT(parts_without_row(synthetic_results()), IsEmpty());
}

TEST(ResultsSchema, AFileWithWhatIsAlwaysThereFits) {
  ResultsFile file = synthetic_results();
  for (const DatasetRow& row : results_schema().datasets) {
    if (row.when != always) remove_dataset(file, row.path);
  }
  for (const AttributeRow& row : results_schema().attributes) {
    if (row.when != always) file.group_attributes[row.owner].erase(row.name);
  }
  EXPECT_LT(file.datasets.size(), results_schema().datasets.size());
  EXPECT_THAT(differences_from_schema(file), IsEmpty());
}

TEST(ResultsSchema, OtherAxesAreAsGoodAsTheUsualOnes) {
  ResultsFile file = synthetic_results();
  Dataset& residual = dataset_at(file, "/attribution/residual");
  residual.axes = {"pair", "path"};
  residual.shape = {3, 1};
  residual.values = std::vector<float>(3);
  EXPECT_THAT(differences_from_schema(file), IsEmpty());
}

TEST(ResultsSchema, ReadersLeaveAloneWhatTheyDoNotKnowWhileTheWriterNamesIt) {
  ResultsFile file = synthetic_results();
  file.datasets.push_back({"/novel/thing", {"x"}, {1}, std::vector<float>{1}, "new", "", {}});
  file.group_attributes["/circuit"]["novelty"] = 1.0;
  file.group_attributes["/provenance"]["weather"] = std::string("fair");
  dataset_at(file, "/pairs/case").attributes["colour"] = 2.0;
  EXPECT_THAT(differences_from_schema(file), IsEmpty());
  EXPECT_THAT(parts_without_row(file), UnorderedElementsAre("/novel/thing", "the attribute novelty of /circuit",
                                                            "the attribute colour of /pairs/case"));
}

struct Change {
  const char* name;
  std::function<void(ResultsFile&)> apply;
  std::vector<std::string> differences;
};

void lengthen(ResultsFile& file, const std::string& group, const std::string& axis) {
  for (Dataset& dataset : file.datasets) {
    for (std::size_t i = 0; i < dataset.axes.size(); ++i) {
      if (group_of(dataset.path) == group && dataset.axes[i] == axis) ++dataset.shape[i];
    }
  }
}

const std::vector<Change>& changes() {
  static const std::vector<Change> all = {
      {"MissingAlways", [](ResultsFile& file) { remove_dataset(file, "/pairs/split"); }, {"/pairs/split is missing"}},
      {"MissingBesideOthers",
       [](ResultsFile& file) { remove_dataset(file, "/steering/factor"); },
       {"/steering/factor is missing"}},
      {"MissingAttribute",
       [](ResultsFile& file) { file.group_attributes["/attribution"].erase("direction"); },
       {"the attribute direction of /attribution is missing"}},
      {"MissingAttributeBesideOthers",
       [](ResultsFile& file) { file.group_attributes["/circuit"].erase("cpr"); },
       {"the attribute cpr of /circuit is missing"}},
      {"MissingOptionalAttribute",
       [](ResultsFile& file) { file.group_attributes["/attribution"].erase("fired_norm"); },
       {}},
      {"OtherType",
       [](ResultsFile& file) { dataset_at(file, "/circuit/count").values = std::vector<double>(4); },
       {"/circuit/count holds float64 instead of int64"}},
      {"OtherTypeOfAttribute",
       [](ResultsFile& file) { file.group_attributes["/attribution"]["fired_norm"] = 1.5; },
       {"the attribute fired_norm of /attribution is number instead of integer"}},
      {"OtherAxes",
       [](ResultsFile& file) { dataset_at(file, "/attribution/scores").axes = {"node"}; },
       {"/attribution/scores has the axes [node] instead of [layer, position, neuron]"}},
      {"NotAsManyPairsAsTheSplitSays",
       [](ResultsFile& file) { lengthen(file, "/circuit", "pair"); },
       {"the axis /circuit/pair has length 3, but the pairs of the split test are 2"}},
      {"NotAsManyNeuronsAsScores",
       [](ResultsFile& file) { lengthen(file, "/cases", "neuron"); },
       {"the axis /cases/neuron has length 5, but /attribution/neuron has 4"}},
      {"ThreeRunsOfTheMetric",
       [](ResultsFile& file) { lengthen(file, "/attribution", "run"); },
       {"the axis /attribution/run has length 3, but should have 2"}},
  };
  return all;
}

class ChangedResults : public testing::TestWithParam<Change> {};

TEST_P(ChangedResults, AreFoundOut) {
  ResultsFile file = synthetic_results();
  GetParam().apply(file);
  EXPECT_EQ(differences_from_schema(file), GetParam().differences);
}

INSTANTIATE_TEST_SUITE_P(ResultsSchema, ChangedResults, testing::ValuesIn(changes()),
                         [](const auto& chosen) { return chosen.param.name; });

TEST(ResultsSchema, ARefusalNamesTheFileAndTheFirstDifferences) {
  ResultsFile file;
  EXPECT_NO_THROW(require_schema("a/results.h5", synthetic_results()));
  try {
    require_schema("a/results.h5", file);
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("a/results.h5: "));
    EXPECT_THAT(error.what(), HasSubstr("not as this program writes them"));
    EXPECT_THAT(error.what(), HasSubstr("/attribution/metric is missing"));
    EXPECT_THAT(error.what(), HasSubstr(" more; `run --fresh` computes them again"));
  }
}

TEST(ResultsSchema, ALaterSchemaIsRefusedByItsNumber) {
  ResultsFile file = synthetic_results();
  file.group_attributes["/"]["schema"] = results_schema_version + 1;
  try {
    require_schema("a/results.h5", file);
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("are of schema 2, and this program reads up to 1"));
  }
}

TEST(ResultsSchema, EveryAxisThatCountsPairsOfASplitHasARowForItsScale) {
  for (const AxisRow& axis : results_schema().axes) {
    if (axis.split.empty()) continue;
    ASSERT_NE(schema_row(axis.group + "/" + axis.name), nullptr) << axis.group;
    EXPECT_EQ(schema_row(axis.group + "/" + axis.name)->long_name, "row of /pairs") << axis.group;
  }
}

TEST(ResultsSchema, ADatasetTakesAxesAndWordsFromItsRow) {
  const Dataset scores = detail::dataset("/attribution/scores", {1, 1, 2}, std::vector<float>{1, 2});
  EXPECT_THAT(scores.axes, ElementsAre("layer", "position", "neuron"));
  EXPECT_EQ(scores.units, "logits");
  EXPECT_EQ(scores.long_name, schema_row("/attribution/scores")->long_name);
  const Dataset residual = detail::table("/attribution/residual", {{1}, {2}}, detail::Axes::other);
  EXPECT_THAT(residual.axes, ElementsAre("pair", "path"));
  EXPECT_THAT(residual.shape, ElementsAre(2, 1));
}

TEST(ResultsSchema, ADatasetWithoutARowOrOfAnotherTypeIsOurFault) {
  EXPECT_THROW(detail::list("/attribution/novel", std::vector<float>{1}), ContractViolation);
  EXPECT_THROW(detail::list("/circuit/count", std::vector<float>{1}), ContractViolation);
  EXPECT_THROW(detail::list("/attribution/scores", std::vector<float>{1}), ContractViolation);
  EXPECT_THROW(detail::table("/attribution/scores", {{1}}, detail::Axes::other), ContractViolation);
}

}  // namespace
}  // namespace tributary
