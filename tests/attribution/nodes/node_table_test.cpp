// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/node_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "common/errors.h"

namespace tributary {
namespace {

/// Those that a model has by itself; how many features there are is said by dictionaries.
const std::vector<NodeKind>& model_kinds() {
  static const std::vector<NodeKind> kinds = {NodeKind::neurons, NodeKind::heads, NodeKind::mlps, NodeKind::embeddings};
  return kinds;
}

/// 5 layers of 3 heads of 4, 7 neurons, d_model 8.
Architecture sized() {
  Architecture a;
  a.d_model = 8;
  a.heads = 3;
  a.kv_heads = 1;
  a.d_head = 4;
  a.neurons = 7;
  a.blocks.resize(5);
  return a;
}

NodeLayout layout_of(const std::vector<NodeKind>& kinds, std::int64_t positions, Positions kept = Positions::keep) {
  std::vector<NodeTable> tables;
  for (const NodeKind kind : kinds) tables.push_back(node_table(kind, sized()));
  return {tables, positions, kept};
}

void expect_table(const NodeTable& table, Site site, std::int64_t layers, std::int64_t nodes, std::int64_t dims) {
  EXPECT_EQ(table.site, site);
  EXPECT_EQ(table.layers, layers);
  EXPECT_EQ(table.nodes, nodes);
  EXPECT_EQ(table.dims, dims);
  EXPECT_EQ(table.width(), nodes * dims);
}

TEST(NodeTable, HasTheNodesOfAModelAndWhereTheyAreRead) {
  expect_table(node_table(NodeKind::neurons, sized()), Site::neurons, 5, 7, 1);
  expect_table(node_table(NodeKind::heads, sized()), Site::z, 5, 3, 4);
  expect_table(node_table(NodeKind::mlps, sized()), Site::mlp_out, 5, 1, 8);
  expect_table(node_table(NodeKind::mlps, sized(), MlpSide::written), Site::mlp_written, 5, 1, 8);
  expect_table(node_table(NodeKind::embeddings, sized()), Site::embeddings, 1, 1, 8);
  for (const NodeKind kind : model_kinds()) EXPECT_EQ(node_table(kind, sized()).kind, kind);
}

TEST(NodeTable, OfEmbeddingsComesWithTheFirstLayer) {
  for (const NodeKind kind : model_kinds()) {
    const NodeTable table = node_table(kind, sized());
    const bool embeddings = kind == NodeKind::embeddings;
    const LayerRange lower = table.within({0, 2}), upper = table.within({2, 5}), none = table.within({0, 0});
    EXPECT_EQ(lower.count(), embeddings ? 1 : 2);
    EXPECT_EQ(upper.count(), embeddings ? 0 : 3);
    EXPECT_EQ(none.count(), 0);
    EXPECT_EQ(lower.first, 0);
    EXPECT_EQ(upper.first, embeddings ? 0 : 2);
  }
}

TEST(NodeLayout, ListsKindAfterKindInTheOrderThatWasAskedFor) {
  for (const Positions kept : {Positions::keep, Positions::sum}) {
    const std::int64_t positions = kept == Positions::keep ? 2 : 1;
    const NodeLayout layout =
        layout_of({NodeKind::heads, NodeKind::embeddings, NodeKind::neurons, NodeKind::mlps}, positions, kept);
    std::vector<Node> expected;
    for (const NodeTable& table : layout.tables()) {
      for (std::int64_t layer = 0; layer < table.layers; ++layer) {
        for (std::int64_t position = 0; position < positions; ++position) {
          for (std::int64_t index = 0; index < table.nodes; ++index) {
            expected.push_back({layer, kept == Positions::keep ? position : -1, index, table.kind});
          }
        }
      }
    }
    ASSERT_EQ(layout.nodes(), std::ssize(expected));
    for (std::int64_t place = 0; place < layout.nodes(); ++place) {
      EXPECT_EQ(layout.node(place), expected[static_cast<std::size_t>(place)]) << place;
    }
  }
}

TEST(NodeLayout, KnowsWhereEachKindBegins) {
  const NodeLayout layout = layout_of({NodeKind::mlps, NodeKind::heads, NodeKind::embeddings}, 6);
  EXPECT_EQ(layout.kinds(), 3U);
  EXPECT_EQ(layout.first(0), 0);
  EXPECT_EQ(layout.first(1), 5 * 6);
  EXPECT_EQ(layout.first(2), 5 * 6 + 5 * 6 * 3);
  EXPECT_EQ(layout.nodes(), 5 * 6 + 5 * 6 * 3 + 6);
  EXPECT_EQ(layout.nodes(1), 5 * 6 * 3);
  EXPECT_EQ(layout.shape(1), (std::vector<std::int64_t>{5, 6, 3}));
  EXPECT_EQ(layout.shape(2), (std::vector<std::int64_t>{1, 6, 1}));
  EXPECT_EQ(layout.find(NodeKind::heads), 1U);
  EXPECT_EQ(layout.find(NodeKind::neurons), 3U);
}

TEST(NodeLayout, CountsWhatItReadsAndWhatARangeOfLayersHas) {
  const NodeLayout layout = layout_of(model_kinds(), 6);
  EXPECT_EQ(layout.read_at_position(), 5 * 7 + 5 * 12 + 5 * 8 + 8);
  EXPECT_EQ(layout.nodes_in({0, 2}), 2 * 6 * (7 + 3 + 1) + 6);
  EXPECT_EQ(layout.nodes_in({2, 5}), 3 * 6 * (7 + 3 + 1));
  EXPECT_EQ(layout.nodes_in({0, 5}), layout.nodes());
}

TEST(NodeLayout, OfSomeKindsKeepsItsOwnOrder) {
  const NodeLayout layout = layout_of({NodeKind::mlps, NodeKind::heads, NodeKind::embeddings}, 6, Positions::keep);
  const NodeLayout some = layout.only({NodeKind::embeddings, NodeKind::mlps, NodeKind::neurons});
  ASSERT_EQ(some.kinds(), 2U);
  EXPECT_EQ(some.tables()[0].kind, NodeKind::mlps);
  EXPECT_EQ(some.tables()[1].kind, NodeKind::embeddings);
  EXPECT_EQ(some.positions(), 6);
  EXPECT_EQ(some.kept(), Positions::keep);
  EXPECT_EQ(some.node(5 * 6 + 2), (Node{0, 2, 0, NodeKind::embeddings}));
}

TEST(SampleNodes, OfAllOfThemAreAllInOrder) {
  for (const NodeKind kind : model_kinds()) {
    const NodeLayout layout = layout_of({kind}, 4);
    std::vector<Node> all;
    for (std::int64_t place = 0; place < layout.nodes(); ++place) all.push_back(layout.node(place));
    EXPECT_EQ(sample_nodes(layout.tables()[0], 4, layout.nodes(), 3, Positions::keep), all) << name_of(kind);
  }
}

TEST(SampleNodes, AreDistinctSeededAndSpreadOverTheLayers) {
  const NodeTable heads = node_table(NodeKind::heads, sized());
  const std::vector<Node> sample = sample_nodes(heads, 4, 13, 3, Positions::keep);
  EXPECT_EQ(std::set<Node>(sample.begin(), sample.end()).size(), 13U);
  EXPECT_TRUE(std::is_sorted(sample.begin(), sample.end()));
  std::vector<int> by_layer(5, 0);
  for (const Node& node : sample) {
    EXPECT_EQ(node.kind, NodeKind::heads);
    EXPECT_TRUE(node.position >= 0 && node.position < 4 && node.index >= 0 && node.index < 3);
    ++by_layer[static_cast<std::size_t>(node.layer)];
  }
  EXPECT_EQ(by_layer, (std::vector<int>{2, 3, 2, 3, 3}));
  EXPECT_EQ(sample, sample_nodes(heads, 4, 13, 3, Positions::keep));
  EXPECT_NE(sample, sample_nodes(heads, 4, 13, 4, Positions::keep));
}

TEST(SampleNodes, HaveNoPositionWherePositionsAreSummed) {
  for (const Node& node : sample_nodes(node_table(NodeKind::heads, sized()), 1, 10, 3, Positions::sum)) {
    EXPECT_EQ(node.position, -1);
    EXPECT_LT(node.index, 3);
  }
}

TEST(SampleNodes, AreRefusedWhereThereAreFewer) {
  const NodeTable embeddings = node_table(NodeKind::embeddings, sized());
  EXPECT_EQ(sample_nodes(embeddings, 4, 4, 0, Positions::keep).size(), 4U);
  EXPECT_THROW(sample_nodes(embeddings, 4, 5, 0, Positions::keep), ContractViolation);
}

}  // namespace
}  // namespace tributary
