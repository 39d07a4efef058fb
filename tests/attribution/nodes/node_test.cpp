// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/node.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace tributary {
namespace {

TEST(Node, IsReadAsItIsWritten) {
  for (const NodeKind kind : all_node_kinds()) {
    for (const Node& node : {Node{0, 0, 0, kind}, Node{12, 3, 401, kind}, Node{12, -1, 401, kind}}) {
      EXPECT_EQ(node_of(text_of(node)), node) << text_of(node);
    }
  }
  EXPECT_EQ(text_of({3, 5, 2, NodeKind::heads}), "heads:3/5/2");
  EXPECT_EQ(text_of({3, -1, 2, NodeKind::heads}), "heads:3/2");
  EXPECT_EQ(text_of({0, 4, 0, NodeKind::embeddings}), "embeddings:0/4/0");
}

TEST(Node, OfNeuronsMayBeWrittenWithoutItsKind) {
  EXPECT_EQ(node_of("12/3/401"), (Node{12, 3, 401, NodeKind::neurons}));
  EXPECT_EQ(node_of("12/401"), (Node{12, -1, 401, NodeKind::neurons}));
}

TEST(Node, IsNotReadFromWhatIsNone) {
  for (const char* text : {"",
                           "3",
                           "1/2/3/4",
                           "heads:",
                           "heads:3",
                           "heads:1/2/3/4",
                           "neuron:1/2/3",
                           "Heads:1/2/3",
                           "head:1/2",
                           ":1/2/3",
                           "headsx:1/2/3",
                           "1/-2/3",
                           "-1/2/3",
                           "1/2/-3",
                           "1//3",
                           "/1/2",
                           "1/2/",
                           "1/2/3/",
                           "1/2/x",
                           "1/ 2/3",
                           "1/2/3 ",
                           " 1/2/3",
                           "+1/2/3",
                           "1.0/2/3",
                           "0x1/2/3",
                           "99999999999999999999/0/0",
                           "heads:mlps:1/2",
                           "1/2:3"}) {
    EXPECT_EQ(node_of(text), std::nullopt) << text;
  }
}

TEST(Node, KindsAreListedOnceWithNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const NodeKind kind : all_node_kinds()) names.insert(name_of(kind));
  EXPECT_EQ(names, (std::set<std::string>{"neurons", "heads", "mlps", "embeddings", "features"}));
  EXPECT_EQ(all_node_kinds().size(), names.size());
}

}  // namespace
}  // namespace tributary
