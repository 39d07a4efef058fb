// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Scores of a file against the nodes of a small model: 2 layers, 3 heads, 4 neurons, prompts of 5 tokens.
#include "runner/job/imported_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  const std::vector<float> scores = imported_scores(file, nodes, "file");
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
  EXPECT_EQ(imported_scores(file, layout({NodeKind::mlps}, Positions::sum), "file"), (std::vector<float>{1, 2}));
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
  const std::vector<float> scores = imported_scores(
      list({{"embeddings", 0, 4, 0, -2, ""}, {"heads", 1, 2, 1, 3, ""}, {"mlps", 0, 0, 0, 0, ""}}), nodes, "file");
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
  EXPECT_EQ(imported_scores(file, nodes, "file").front(), 1);
  file.heads = 4;
  EXPECT_THAT(refusal(file, nodes), HasSubstr("n_heads 4 where this model has 3"));
  file.layers = 3;
  EXPECT_THAT(refusal(file, nodes), HasSubstr("n_layers 3 where this model has 2"));
}

TEST(ImportedScores, AreToldApartByTheirNumbers) {
  EXPECT_EQ(hash_of_scores({1, 2}), hash_of_scores({1, 2}));
  EXPECT_NE(hash_of_scores({1, 2}), hash_of_scores({2, 1}));
  EXPECT_NE(hash_of_scores({0, 0}), hash_of_scores({0}));
}

}  // namespace
}  // namespace tributary::testing
