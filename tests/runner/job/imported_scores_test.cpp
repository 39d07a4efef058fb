// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Scores of a file against the nodes of a small model: 2 layers, 3 heads, 4 neurons, prompts of 5 tokens.
#include "runner/job/imported_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "common/errors.h"

namespace tributary::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

NodeLayout layout(const std::vector<NodeKind>& kinds, Positions positions = Positions::keep) {
  std::vector<NodeTable> tables;
  for (const NodeKind kind : kinds) {
    if (kind == NodeKind::neurons) tables.push_back({kind, Site::neurons, 2, 4, 1});
    if (kind == NodeKind::heads) tables.push_back({kind, Site::z, 2, 3, 8});
    if (kind == NodeKind::mlps) tables.push_back({kind, Site::mlp_out, 2, 1, 24});
    if (kind == NodeKind::embeddings) tables.push_back({kind, Site::embeddings, 1, 1, 24});
  }
  return {std::move(tables), positions == Positions::keep ? 5 : 1, positions};
}

ScoreArray array(std::vector<std::int64_t> shape, double first = 1) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  std::vector<double> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), first);
  return {"its name", std::move(shape), std::move(values)};
}

ScoreFile list(std::vector<ListedScore> scores) {
  ScoreFile file;
  file.list = std::move(scores);
  return file;
}

std::string refusal(const ScoreFile& file, const NodeLayout& nodes) {
  try {
    (void)imported_scores(file, nodes, "file");
  } catch (const UserError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(ImportedScores, OfArraysStandInTheOrderOfNodes) {
  ScoreFile file;
  file.arrays["neurons"] = array({2, 5, 4}, 100);
  file.arrays["heads"] = array({2, 5, 3}, 200);
  file.arrays["mlps"] = array({2, 5}, 300);
  file.arrays["embeddings"] = array({5}, 400);
  const NodeLayout nodes = layout({NodeKind::mlps, NodeKind::embeddings, NodeKind::neurons, NodeKind::heads});
  const std::vector<float> scores = imported_scores(file, nodes, "file").scores;
  ASSERT_EQ(std::ssize(scores), nodes.nodes());
  for (std::int64_t place = 0; place < nodes.nodes(); ++place) {
    const Node node = nodes.node(place);
    const std::int64_t row = node.layer * 5 + node.position;
    const std::int64_t expected = node.kind == NodeKind::neurons ? 100 + row * 4 + node.index
                                  : node.kind == NodeKind::heads ? 200 + row * 3 + node.index
                                  : node.kind == NodeKind::mlps  ? 300 + row
                                                                 : 400 + row;
    EXPECT_EQ(scores[static_cast<std::size_t>(place)], static_cast<float>(expected)) << text_of(node);
  }
}

TEST(ImportedScores, OfAnArrayWithoutANameAreOfTheOneKind) {
  ScoreFile file;
  file.arrays[""] = array({2, 1});
  EXPECT_EQ(imported_scores(file, layout({NodeKind::mlps}, Positions::sum), "file").scores, (std::vector<float>{1, 2}));
  EXPECT_THAT(refusal(file, layout({NodeKind::mlps, NodeKind::heads})), HasSubstr("several kinds (mlps, heads)"));
}

TEST(ImportedScores, HaveTheShapeOfTheirKind) {
  const auto shaped = [](std::vector<std::int64_t> shape, NodeKind kind, Positions positions = Positions::keep) {
    ScoreFile file;
    file.arrays[name_of(kind)] = array(std::move(shape));
    return refusal(file, layout({kind}, positions));
  };
  EXPECT_THAT(shaped({2, 5, 3}, NodeKind::neurons), HasSubstr("[2, 5, 4] (layer, position, neuron)"));
  EXPECT_THAT(shaped({2, 5, 1}, NodeKind::mlps), HasSubstr("[2, 5] (layer, position)"));
  EXPECT_THAT(shaped({1, 5}, NodeKind::embeddings), HasSubstr("[5] (position)"));
  EXPECT_THAT(shaped({}, NodeKind::heads), HasSubstr("[]"));
  EXPECT_THAT(shaped({2, 1, 4}, NodeKind::neurons), HasSubstr("take positions: sum"));
  EXPECT_THAT(shaped({2, 7, 4}, NodeKind::neurons), HasSubstr("pairs.length"));
  EXPECT_THAT(shaped({2, 5, 4}, NodeKind::neurons, Positions::sum), HasSubstr("add the positions up"));
  EXPECT_THAT(shaped({7}, NodeKind::embeddings, Positions::sum), HasSubstr("add the positions up"));
}

TEST(ImportedScores, AreOfTheKindsThatNodesName) {
  ScoreFile file;
  file.arrays["heads"] = array({2, 1, 3});
  const std::string text = refusal(file, layout({NodeKind::mlps}, Positions::sum));
  EXPECT_THAT(text, AllOf(HasSubstr("has scores of heads, and nodes are mlps"), HasSubstr("has no scores of mlps")));
}

TEST(ImportedScores, AreFinite) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  ScoreFile file;
  file.arrays["mlps"] = array({2, 1});
  for (const double bad : {nan, std::numeric_limits<double>::infinity(), -1e39}) {
    file.arrays["mlps"].values = {1, bad};
    EXPECT_THAT(refusal(file, layout({NodeKind::mlps}, Positions::sum)), HasSubstr("mlps:1/0"));
  }
  file.arrays["mlps"].values = {nan, nan};
  EXPECT_THAT(refusal(file, layout({NodeKind::mlps}, Positions::sum)), HasSubstr("scores of 1 more mlps"));
  EXPECT_THAT(refusal(list({{"mlps", 0, -1, 0, 1e39, "file:2"}}), layout({NodeKind::mlps}, Positions::sum)),
              HasSubstr("file:2"));
}

TEST(ImportedScores, OfAListAreZeroWhereItHasNone) {
  const NodeLayout nodes = layout({NodeKind::heads, NodeKind::embeddings});
  const ScoreFile file = list({{"embeddings", 0, 4, 0, -2, ""}, {"heads", 1, 2, 1, 3, ""}, {"mlps", 0, 0, 0, 0, ""}});
  const std::vector<float> scores = imported_scores(file, nodes, "file").scores;
  std::vector<float> expected(35, 0);
  expected[(1 * 5 + 2) * 3 + 1] = 3;
  expected[34] = -2;
  EXPECT_EQ(scores, expected);
}

TEST(ImportedScores, OfAListAreOfNodesThatThereAre) {
  const NodeLayout kept = layout({NodeKind::heads, NodeKind::embeddings});
  const NodeLayout summed = layout({NodeKind::heads, NodeKind::embeddings}, Positions::sum);
  const auto said = [](const NodeLayout& nodes, const ListedScore& one) { return refusal(list({one}), nodes); };
  EXPECT_THAT(said(kept, {"heads", 2, 0, 0, 1, "file:2"}), AllOf(HasSubstr("file:2"), HasSubstr("no layer 2")));
  EXPECT_THAT(said(kept, {"heads", 0, 5, 0, 1, ""}), HasSubstr("no position 5"));
  EXPECT_THAT(said(kept, {"heads", 0, -2, 0, 1, ""}), HasSubstr("no position -2"));
  EXPECT_THAT(said(kept, {"heads", 0, -1, 0, 1, ""}), HasSubstr("take positions: sum"));
  EXPECT_THAT(said(kept, {"heads", 0, 0, 3, 1, ""}), HasSubstr("no index 3"));
  EXPECT_THAT(said(kept, {"heads", 0, 0, std::numeric_limits<std::int64_t>::max(), 1, ""}), HasSubstr("no index"));
  EXPECT_THAT(said(kept, {"embeddings", 1, 0, 0, 1, ""}), HasSubstr("no layer 1"));
  EXPECT_THAT(said(kept, {"mlps", 0, 0, 0, 1, ""}), HasSubstr("add mlps to nodes"));
  EXPECT_THAT(said(kept, {"haeds", 0, 0, 0, 0, ""}), HasSubstr("did you mean 'heads'"));
  EXPECT_THAT(said(summed, {"heads", 0, 0, 0, 1, ""}), HasSubstr("positions are summed"));
  EXPECT_THAT(refusal(list({}), kept), HasSubstr("lists no node"));
  const ListedScore twice{"heads", 0, 0, 0, 1, "file:9"};
  EXPECT_THAT(refusal(list({twice, twice}), kept), AllOf(HasSubstr("file:9"), HasSubstr("second time")));
}

TEST(ImportedScores, AreOfThisModel) {
  ScoreFile file = list({{"heads", 0, -1, 0, 1, ""}});
  file.layers = 2;
  file.heads = 3;
  const NodeLayout nodes = layout({NodeKind::heads, NodeKind::mlps}, Positions::sum);
  EXPECT_EQ(imported_scores(file, nodes, "file").scores.front(), 1);
  file.heads = 4;
  EXPECT_THAT(refusal(file, nodes), HasSubstr("n_heads 4 where this model has 3"));
  file.layers = 3;
  EXPECT_THAT(refusal(file, nodes), HasSubstr("n_layers 3 where this model has 2"));
}

TEST(ImportedScores, AreToldApartByTheirNumbers) {
  const auto hash = [](std::vector<float> scores, SparseScores features = {}) {
    return hash_of_scores({std::move(scores), std::move(features)});
  };
  EXPECT_EQ(hash({1, 2}), hash({1, 2}));
  EXPECT_NE(hash({1, 2}), hash({2, 1}));
  EXPECT_NE(hash({0, 0}), hash({0}));
  const SparseScores features{1, {3, 4}, {1, 2}};
  EXPECT_EQ(hash({1}, features), hash({1}, features));
  EXPECT_NE(hash({1}, features), hash({2}, features));
  EXPECT_NE(hash({1}, features), hash({1}));
  EXPECT_NE(hash({1}, features), hash({1}, {1, {3, 5}, {1, 2}}));
  EXPECT_NE(hash({1}, features), hash({1}, {1, {3, 4}, {1, 3}}));
}

/// Of 10, 20 and 30 features, which read layers 0, 1 and 1.
std::vector<Dictionary> three_dictionaries() {
  std::vector<Dictionary> dictionaries(3);
  for (std::size_t d = 0; d < 3; ++d) {
    dictionaries[d].layer = d == 0 ? 0 : 1;
    dictionaries[d].encoder = at::empty({24, 10 * (static_cast<std::int64_t>(d) + 1)});
  }
  return dictionaries;
}

NodeLayout layout_of_features(Positions positions = Positions::keep) {
  std::vector<NodeTable> tables{{NodeKind::features, Site::resid_post, 3, 0, 1},
                                {NodeKind::errors, Site::resid_post, 3, 1, 24},
                                {NodeKind::heads, Site::z, 2, 3, 8}};
  return {std::move(tables), positions == Positions::keep ? 5 : 1, positions};
}

TEST(ImportedScores, OfFeaturesAreThoseListed) {
  const std::vector<Dictionary> dictionaries = three_dictionaries();
  const ScoreFile file = list({{"features", -1, 3, 29, 5, "", 2},
                               {"features", 1, 0, 2, -0.0, "", 1},
                               {"errors", 0, 4, 0, 2, ""},
                               {"features", 0, 1, 7, 1e-3, ""},
                               {"heads", 1, 2, 1, 3, ""}});
  const ImportedScores found = imported_scores(file, layout_of_features(), "file.csv", &dictionaries);
  const std::vector<std::int64_t> keys{10 + 7, 5 * 10 + 2, 5 * (10 + 20) + 3 * 30 + 29};
  EXPECT_EQ(found.features.keys, keys);
  EXPECT_EQ(found.features.values, (std::vector<double>{static_cast<double>(1e-3F), 0, 5}));
  EXPECT_FALSE(std::signbit(found.features.values[1]));
  std::vector<float> expected(3 * 5 + 2 * 5 * 3, 0);
  expected[4] = 2;
  expected[15 + (1 * 5 + 2) * 3 + 1] = 3;
  EXPECT_EQ(found.scores, expected);
  const ImportedScores summed =
      imported_scores(list({{"features", -1, -1, 29, 5, "", 2}, {"errors", -1, -1, 0, 1, "", 1}}),
                      layout_of_features(Positions::sum), "file.csv", &dictionaries);
  EXPECT_EQ(summed.features.keys, (std::vector<std::int64_t>{10 + 20 + 29}));
  EXPECT_EQ(summed.scores, (std::vector<float>{0, 1, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(ImportedScores, OfFeaturesAreOfDictionariesThatThereAre) {
  const std::vector<Dictionary> dictionaries = three_dictionaries();
  const auto said = [&](const std::vector<ListedScore>& rows, const std::string& name = "file.csv") {
    try {
      (void)imported_scores(list(rows), layout_of_features(), name, &dictionaries);
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string("nothing was thrown");
  };
  EXPECT_THAT(said({{"features", 0, 0, 10, 1, "file.csv:2"}}),
              AllOf(HasSubstr("file.csv:2"), HasSubstr("no index 10")));
  EXPECT_THAT(said({{"features", 0, 5, 0, 1, ""}}), HasSubstr("no position 5"));
  EXPECT_THAT(said({{"features", 0, -1, 0, 1, ""}}), HasSubstr("names no position"));
  EXPECT_THAT(said({{"errors", 0, 0, 1, 1, ""}}), HasSubstr("no index 1 of errors"));
  EXPECT_THAT(said({{"features", 2, 0, 0, 1, ""}}), HasSubstr("no dictionary reads layer 2"));
  EXPECT_THAT(said({{"features", 1, 0, 0, 1, ""}}), HasSubstr("2 dictionaries read layer 1 (1, 2)"));
  EXPECT_THAT(said({{"errors", -1, 0, 0, 1, "", 3}}), HasSubstr("no dictionary 3 (3 are there"));
  EXPECT_THAT(said({{"errors", -1, 0, 0, 1, "", -2}}), HasSubstr("no dictionary -2"));
  EXPECT_THAT(said({{"features", 0, 0, 0, 1, "", 1}}),
              HasSubstr("dictionary 1 reads layer 1, and the row says layer 0"));
  EXPECT_THAT(said({{"heads", 0, 0, 0, 1, "", 0}}), HasSubstr("heads are of none"));
  EXPECT_THAT(said({{"heads", -1, 0, 0, 1, ""}}), HasSubstr("no layer -1"));
  EXPECT_THAT(said({{"features", 0, 0, 0, 1e39, ""}}), HasSubstr("features:0/0/0"));
  EXPECT_THAT(said({{"features", 0, 0, 0, 1, ""}, {"features", -1, 0, 0, 1, "", 0}}), HasSubstr("second time"));
  EXPECT_THAT(said({{"errors", 0, 0, 0, 1, ""}, {"errors", -1, 0, 0, 1, "", 0}}), HasSubstr("second time"));
  EXPECT_THAT(said({{"heads", 0, 0, 0, 1, ""}}, "file.json"), HasSubstr("write a .csv"));
  EXPECT_THAT(refusal(list({{"errors", 0, 0, 0, 1, ""}}), layout({NodeKind::heads})),
              HasSubstr("add features to nodes"));
}

}  // namespace
}  // namespace tributary::testing
