// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a run prints at its end, of made-up results with nodes of several kinds.
#include "runner/report/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "runner/report/report.h"
#include "tests/runner/results/synthetic_results.h"

namespace tributary {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using Texts = std::vector<std::string>;

ResultsFile results_of(const Texts& kinds) {
  ResultsFile file = synthetic_results();
  file.group_attributes["/attribution"]["nodes"] = kinds;
  file.group_attributes["/circuit"]["kinds"] = kinds;
  return file;
}

void give(ResultsFile& file, const std::string& path, std::vector<std::int64_t> shape, Values values) {
  Dataset& dataset = dataset_at(file, path);
  dataset.shape = std::move(shape);
  dataset.values = std::move(values);
}

/// Four heads, and the embeddings as one node.
ResultsFile summed_positions(const std::string& ranking, const std::string& ablation) {
  ResultsFile file = results_of({"heads", "embeddings"});
  file.group_attributes["/attribution"]["positions"] = std::string("sum");
  file.group_attributes["/circuit"]["ranking"] = ranking;
  file.group_attributes["/circuit"]["ablation"] = ablation;
  give(file, "/nodes/heads/scores", {2, 1, 2}, std::vector<float>{0.5F, -2, 3, 1});
  give(file, "/nodes/embeddings/scores", {1}, std::vector<float>{-1.5F});
  for (const char* const kind : {"heads", "embeddings"}) {
    for (const char* const spread : {"/standard_error", "/sign_share"}) {
      remove_dataset(file, std::string("/nodes/") + kind + spread);
    }
  }
  return file;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

/// A run's row of a table, by column.
std::map<std::string, Cell> only_row(const ResultsFile& file, const std::string& name) {
  std::vector<RunResults> runs;
  runs.push_back({".", file});
  const Document document = report_document(Document::Kind::run, "title", runs, {});
  std::map<std::string, Cell> row;
  for (const Table& table : document.tables) {
    if (table.name != name) continue;
    for (std::size_t i = 0; i < table.columns.size(); ++i) row[table.columns[i].name] = table.rows.at(0).at(i);
  }
  return row;
}

TEST(Summary, SaysWhichNodesCircuitsChooseAmong) {
  ResultsFile file = results_of({"heads", "mlps", "embeddings"});
  file.group_attributes["/circuit"]["kinds"] = Texts{"heads", "mlps"};
  // Of 2 layers, 3 positions and 2 heads; by position the embeddings are several nodes.
  EXPECT_THAT(summary_of(file), AllOf(HasSubstr("  circuits choose among 18 nodes: heads, mlps\n"),
                                      Not(HasSubstr("the embeddings are"))));
  EXPECT_EQ(only_row(file, "runs").at("nodes"), Cell(std::int64_t{21}));
  EXPECT_EQ(only_row(file, "runs").at("circuit_nodes"), Cell(std::int64_t{18}));
  EXPECT_EQ(only_row(file, "runs").at("circuit_kinds"), Cell("heads, mlps"));
  EXPECT_THAT(summary_of(results_of({"neurons"})), Not(HasSubstr("choose among")));
}

TEST(Summary, SaysTheRankOfEmbeddingsThatAreOneNode) {
  // By |score| 3, −2, −1.5; by score 3, 1, 0.5, −1.5.
  EXPECT_THAT(summary_of(summed_positions("abs", "resample")),
              AllOf(HasSubstr("  circuits choose among 5 nodes: heads, embeddings\n"),
                    HasSubstr("  the embeddings are node 3 of the ranking and 4 of CPR's: circuits of fewer nodes have "
                              "F(C) = F(∅)\n")));
  EXPECT_THAT(summary_of(summed_positions("signed", "mean")),
              HasSubstr("node 4 of the ranking and 3 of CMD's: circuits of fewer nodes compute from the same input"));
  EXPECT_EQ(only_row(summed_positions("abs", "zero"), "runs").at("embeddings_rank"), Cell(std::int64_t{3}));
  EXPECT_EQ(only_row(summed_positions("signed", "zero"), "runs").at("embeddings_rank"), Cell(std::int64_t{4}));
  ResultsFile heads = summed_positions("abs", "resample");
  heads.group_attributes["/circuit"]["kinds"] = Texts{"heads"};
  EXPECT_THAT(summary_of(heads), AllOf(HasSubstr("among 4 nodes: heads\n"), Not(HasSubstr("the embeddings are"))));
  ResultsFile without_score = summed_positions("abs", "resample");
  give(without_score, "/nodes/embeddings/scores", {1}, std::vector<float>{std::nanf("")});
  EXPECT_THAT(summary_of(without_score), Not(HasSubstr("the embeddings are")));
}

TEST(Summary, NamesDictionariesWhereErrorsAreLargest) {
  ResultsFile file = results_of({"features", "errors"});
  file.group_attributes["/nodes/features"]["dictionaries"] = Texts{"mlp_out 3 a", "resid_post 20 b"};
  give(file, "/nodes/errors/residual", {3, 2}, std::vector<float>{0.5F, 1.5F, 0.5F, -1.5F, 0.5F, 1.5F});
  give(file, "/nodes/errors/converged", {3, 2}, std::vector<std::int64_t>{1, 0, 1, 1, 1, 0});
  EXPECT_THAT(summary_of(file),
              AllOf(HasSubstr(", most in dictionary 1 (resid_post 20 b): 1.5 (errors)\n"),
                    HasSubstr("from 0: dictionary 1 (resid_post 20 b): pairs 0, 2\n"), Not(HasSubstr("in layer"))));
}

TEST(Summary, TellsTheResidualOfASharedPathOnce) {
  ResultsFile file = results_of({"heads", "mlps"});
  for (const char* const kind : {"heads", "mlps"}) {
    const std::string path = std::string("/nodes/") + kind + "/residual";
    give(file, path, {3, 1}, std::vector<float>{0.5F, 0.25F, 0.75F});
    dataset_at(file, path).axes = {"pair", "path"};
  }
  const std::string mean = "residual     mean |sum of scores − true difference| ";
  const std::string shared = summary_of(file);
  EXPECT_THAT(shared, HasSubstr(mean + "0.5 logits (of the path that heads, mlps share)\n"));
  EXPECT_EQ(count_of(shared, mean), 1);
  give(file, "/nodes/mlps/residual", {3, 1}, std::vector<float>{2, 2, 2});  // points of its own
  EXPECT_THAT(summary_of(file), AllOf(HasSubstr(mean + "0.5 logits (heads)\n"), HasSubstr(mean + "2 logits (mlps)\n")));
}

TEST(Summary, TellsAgreementOfEachKindAndSteering) {
  ResultsFile file = results_of({"neurons", "heads"});
  for (const char* const group : {"/agreement", "/nodes/heads/agreement"}) {
    const std::string path = group;
    give(file, path + "/statistic", {4}, Texts{"top-10 overlap in the sample", "pearson", "other", "spearman"});
    give(file, path + "/value", {4}, std::vector<double>{0.1, path == "/agreement" ? 0.9126 : -0.5, 0.3, 0.8});
    give(file, path + "/value_low", {4}, std::vector<double>{0, 0.8004, 0, std::nan("")});
    give(file, path + "/value_high", {4}, std::vector<double>{1, 0.95, 1, std::nan("")});
  }
  give(file, "/steering/factor", {3}, std::vector<double>{2, -1.5, 0});
  give(file, "/steering/metric", {3, 2}, std::vector<float>{3, 4, -1, -2, 7, 7});
  EXPECT_THAT(
      summary_of(file),
      AllOf(HasSubstr("\nagreement    with exact patching of 7 sampled neurons: Pearson 0.913 (0.800 to 0.950), "
                      "Spearman 0.800\n"),
            HasSubstr("\nagreement    with exact patching of 7 sampled heads: Pearson -0.500 (0.800 to 0.950), "),
            HasSubstr("\nsteering     of 2 nodes: mean m -1.500 with factor -1.5, mean m 3.500 with factor 2\n")));
  give(file, "/agreement/value", {4}, std::vector<double>(4, std::nan("")));  // of a single node
  EXPECT_THAT(summary_of(file), HasSubstr("sampled neurons: Pearson – (0.800"));
  std::erase_if(file.datasets, [](const Dataset& dataset) {
    return dataset.path.find("/agreement/") != std::string::npos || dataset.path.starts_with("/steering/");
  });
  EXPECT_THAT(summary_of(file), AllOf(Not(HasSubstr("agreement  ")), Not(HasSubstr("steering  "))));
}

TEST(Summary, ShowsIntervalsWithTheDecimalsOfTheirValues) {
  ResultsFile file = synthetic_results();
  give(file, "/circuit/faithfulness", {4}, std::vector<double>{0.12345, 0, 0, 0});
  give(file, "/circuit/faithfulness_low", {4}, std::vector<double>{-0.00001, 0, 0, 0});
  give(file, "/circuit/faithfulness_high", {4}, std::vector<double>{0.23456, 0, 0, 0});
  EXPECT_THAT(summary_of(file), HasSubstr("       0.123  0.000 to 0.235 "));
}

TEST(Summary, ExplainsItsColumns) {
  EXPECT_THAT(summary_of(results_of({"heads", "mlps"})),
              AllOf(HasSubstr("\n  node      kind:layer/position/index, "), HasSubstr("dictionary's number"),
                    HasSubstr("\n  promotes  tokens whose logits its output raises most: ")));
  EXPECT_THAT(summary_of(summed_positions("abs", "mean")), HasSubstr("\n  node      kind:layer/index, "));
  EXPECT_THAT(summary_of(results_of({"neurons"})),
              AllOf(Not(HasSubstr("\n  node ")), HasSubstr("\n  promotes  tokens whose logits a positive value ")));
}

}  // namespace
}  // namespace tributary
