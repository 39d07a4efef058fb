// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Files of scores as other programs write them, byte by byte, and files that only look like them.
#include "io/score_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "tests/io/temporary_folder.h"

namespace tributary {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
std::string bytes_of(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}

std::string little_endian(std::uint64_t number, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(number >> (8 * i) & 0xFF);
  return text;
}

std::string npy(const std::string& header, const std::string& data, char version = 1) {
  return "\x93NUMPY" + std::string{version, '\0'} + little_endian(header.size(), version == 1 ? 2 : 4) + header + data;
}

std::string npy_header(const std::string& descr, const std::string& fortran, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }    \n";
}

const std::string two_by_three = npy_header("<f4", "False", "(2, 3)");
const std::string six = bytes_of<float>({1, -2, 0.5F, 0, 1e-40F, 3e38F});

class ScoreFiles : public TemporaryFolder {
 protected:
  ScoreFile read(const std::string& name, const std::string& content) const {
    return read_score_file(write(name, content));
  }
  std::string refusal(const std::string& name, const std::string& content) const {
    return message_of([&] { (void)read(name, content); });
  }
};

TEST_F(ScoreFiles, ArraysOfNumpy) {
  for (const char version : {'\1', '\2', '\3'}) {
    const ScoreFile scores = read("a.npy", npy(two_by_three, six, version));
    const ScoreArray& array = scores.arrays.at("");
    EXPECT_THAT(array.shape, ElementsAre(2, 3));
    EXPECT_THAT(array.values, ElementsAre(1, -2, 0.5, 0, double{1e-40F}, double{3e38F}));
    EXPECT_FALSE(scores.list);
  }
  const ScoreFile wide = read("a.npy", npy(npy_header("<f8", "False", "(1,)"), bytes_of<double>({0.1})));
  EXPECT_THAT(wide.arrays.at("").values, ElementsAre(0.1));
  const std::string other_order = "{\"shape\":(0, 7),\"fortran_order\":False,\"descr\":\"<f4\"}";
  EXPECT_THAT(read("a.npy", npy(other_order, "")).arrays.at("").shape, ElementsAre(0, 7));
  EXPECT_TRUE(read("a.npy", npy(npy_header("<f4", "False", "()"), bytes_of<float>({1}))).arrays.at("").shape.empty());
}

TEST_F(ScoreFiles, ArraysOfNumpyThatAreCutShort) {
  const std::string whole = npy(two_by_three, six);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THAT(refusal("a.npy", whole.substr(0, length)), HasSubstr("write it again with numpy.save")) << length;
  }
  EXPECT_THAT(refusal("a.npy", whole + "x"), HasSubstr("does not take the 25 bytes"));
}

TEST_F(ScoreFiles, ArraysOfNumpyOfAnotherForm) {
  const auto with = [&](const std::string& descr, const std::string& fortran, const std::string& shape) {
    return refusal("a.npy", npy(npy_header(descr, fortran, shape), six));
  };
  EXPECT_THAT(with("<f4", "True", "(2, 3)"), HasSubstr("numpy.ascontiguousarray"));
  for (const char* const type : {"<f2", ">f4", "<i4", "|O", "<c8", "|b1", "<f4 "}) {
    EXPECT_THAT(with(type, "False", "(2, 3)"), HasSubstr("astype(numpy.float32)")) << type;
  }
  for (const char* const shape :
       {"(2, -3)", "(2, 3", "2, 3", "(2.0, 3)", "(2 3)", "(, )", "(99999999999999999999,)", "[2, 3]", "(2,,3)"}) {
    EXPECT_THAT(with("<f4", "False", shape), HasSubstr("numpy.save")) << shape;
  }
  for (const char* const shape : {"(4611686018427387904, 4)", "(9223372036854775807, 9223372036854775807)", "(2, 4)",
                                  "(4294967296, 4294967296)"}) {
    EXPECT_THAT(with("<f4", "False", shape), HasSubstr("does not take the 24 bytes")) << shape;
  }
  EXPECT_THAT(with("<f4", "Maybe", "(2, 3)"), HasSubstr("neither True nor False"));
  EXPECT_THAT(refusal("a.npy", npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}", six)),
              HasSubstr("several fields"));
  EXPECT_THAT(refusal("a.npy", npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (6,)}", six)),
              HasSubstr("'descr' where it should not"));
  EXPECT_THAT(refusal("a.npy", npy("{'descr': '<f4', 'shape': (6,)}", six)), HasSubstr("lacks"));
  EXPECT_THAT(refusal("a.npy", npy("{'fortran_order': False, 'shape': (6,), 'descr': '<f4'} x", six)),
              HasSubstr("behind its header"));
  EXPECT_THAT(refusal("a.npy", npy("{'descr': '<f4", six)), HasSubstr("does not end"));
  EXPECT_THAT(refusal("a.npy", npy(two_by_three, six, 4)), HasSubstr("version 4"));
}

TEST_F(ScoreFiles, Tables) {
  const ScoreFile scores =
      read("a.csv", "\xEF\xBB\xBF\"score\",kind,layer,position,index\r\n-1e-3,\"heads\",2,,5\r\n\r\n.5,x,0,-1,0");
  ASSERT_TRUE(scores.list);
  ASSERT_EQ(scores.list->size(), 2U);
  const ListedScore& first = scores.list->front();
  EXPECT_EQ(first.kind, "heads");
  EXPECT_THAT((std::vector<std::int64_t>{first.layer, first.position, first.index}), ElementsAre(2, -1, 5));
  EXPECT_EQ(first.score, -1e-3);
  EXPECT_THAT(first.where, testing::EndsWith("a.csv:2"));
  EXPECT_EQ(scores.list->back().kind, "x");
  EXPECT_EQ(scores.list->back().score, 0.5);
  EXPECT_THAT(scores.list->back().where, testing::EndsWith("a.csv:4"));
}

TEST_F(ScoreFiles, TablesOfDictionaries) {
  const ScoreFile scores = read("a.csv",
                                "kind,dictionary,layer,position,index,score\n"
                                "features,2,,3,7,1\nfeatures,,4,,7,1\nheads,-1,4,,7,1\nerrors,0,4,,0,1\n");
  std::vector<std::int64_t> dictionaries, layers;
  for (const ListedScore& one : *scores.list) {
    dictionaries.push_back(one.dictionary);
    layers.push_back(one.layer);
  }
  EXPECT_THAT(dictionaries, ElementsAre(2, -1, -1, 0));
  EXPECT_THAT(layers, ElementsAre(-1, 4, 4, 4));
  const std::string header = "kind,dictionary,layer,position,index,score\n";
  EXPECT_THAT(refusal("a.csv", header + "features,,,3,7,1\n"), HasSubstr("layer is ''"));
  EXPECT_THAT(refusal("a.csv", header + "features,x,1,3,7,1\n"), HasSubstr("dictionary is 'x'"));
  EXPECT_THAT(refusal("a.csv", header + "features,1,3,7,1\n"), HasSubstr("5 cells where there are 6"));
  EXPECT_THAT(refusal("a.csv", "kind,dictionary,dictionary,layer,position,index,score\n"), HasSubstr("columns"));
}

TEST_F(ScoreFiles, TablesWithMistakes) {
  const std::string header = "kind,layer,position,index,score\n";
  for (const char* const first :
       {"kind,layer,position,index", "kind,layer,position,index,score,more", "kind,layer,position,index,index",
        "a,b,c,d,e", "kind;layer;position;index;score", ""}) {
    EXPECT_THAT(refusal("a.csv", std::string(first) + "\nheads,0,0,0,1\n"),
                AllOf(HasSubstr("a.csv:1:"), HasSubstr("columns")))
        << first;
  }
  for (const char* const row :
       {"heads,0,0,0", "heads,0,0,0,1,2", "heads,,0,0,1", "heads,0,0,,1", "heads,0,0,0,", "heads,0x1,0,0,1",
        "heads,1.0,0,0,1", "heads, 1,0,0,1", "heads,+1,0,0,1", "heads,99999999999999999999,0,0,1", "heads,0,0,0,nan",
        "heads,0,0,0,-inf", "heads,0,0,0,1e999", "heads,0,0,0,1 ", "heads,0,0,0,one"}) {
    EXPECT_THAT(refusal("a.csv", header + "heads,0,0,1,1\n" + row + "\n"), HasSubstr("a.csv:3:")) << row;
  }
  const std::string both = refusal("a.csv", header + "a,b,0,0,1\na,0,0,0,b\n");
  EXPECT_THAT(both, AllOf(HasSubstr("a.csv:2:"), HasSubstr("a.csv:3:")));
  EXPECT_THAT(refusal("a.csv", header + "heads\xFF,0,0,0,1\n"), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal("a.csv", ""), HasSubstr("is empty"));
  EXPECT_TRUE(read("a.csv", header).list->empty());
}

TEST_F(ScoreFiles, Circuits) {
  const ScoreFile scores = read("a.json", R"({"cfg": {"n_layers": 2, "n_heads": 3, "d_model": 8}, "edges": {"x->y": 1},
      "nodes": {"input": {"score": 1.5, "in_graph": false}, "a1.h2": {"score": -2}, "m1": {"score": 0}, "logits": {}}})");
  EXPECT_EQ(scores.layers, 2);
  EXPECT_EQ(scores.heads, 3);
  ASSERT_EQ(scores.list->size(), 3U);
  for (const ListedScore& one : *scores.list) {
    EXPECT_EQ(one.position, -1);
    const double expected = one.kind == "heads" ? -2 : one.kind == "mlps" ? 0 : 1.5;
    EXPECT_EQ(one.score, expected);
    EXPECT_EQ(one.layer, one.kind == "embeddings" ? 0 : 1);
    EXPECT_EQ(one.index, one.kind == "heads" ? 2 : 0);
  }
}

TEST_F(ScoreFiles, CircuitsWithMistakes) {
  for (const char* const name : {"", "a", "a0", "a0.h", "a.h1", "a-1.h0", "a0.h-1", "m", "m-1", "m0.h0", "a0.h0x",
                                 "A0.h0", "a99999999999999999999.h0", "inputs"}) {
    EXPECT_THAT(refusal("a.json", std::string(R"({"nodes": {")") + name + R"(": {"score": 1}}})"),
                HasSubstr("names no node"))
        << name;
  }
  for (const char* const fields : {"{}", "1", "null", "[1]", R"({"score": null})", R"({"score": "1"})"}) {
    EXPECT_THAT(refusal("a.json", std::string(R"({"nodes": {"m0": )") + fields + "}}"), HasSubstr("has no score"))
        << fields;
  }
  for (const char* const text : {"{", "[]", R"({"nodes": 1})", R"({"nodes": []})", R"({"edges": {}})", "1",
                                 R"({"nodes": {"m0": {"score": NaN}}})", R"({"nodes": {}, "nodes": {}})",
                                 R"({"cfg": {"n_layers": -1}, "nodes": {"m0": {"score": 1}}})",
                                 R"({"cfg": 3, "nodes": {"m0": {"score": 1}}})"}) {
    EXPECT_THAT(refusal("a.json", text), HasSubstr("a.json")) << text;
  }
}

TEST_F(ScoreFiles, Safetensors) {
  const auto file = [](const std::string& header, const std::string& data) {
    return little_endian(header.size(), 8) + header + data;
  };
  const ScoreFile scores =
      read("a.safetensors", file(R"({"scores":{"dtype":"F32","shape":[1,1,2],"data_offsets":[0,8]},)"
                                 R"("mlps":{"dtype":"F64","shape":[1,1],"data_offsets":[8,16]},)"
                                 R"("other":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}})",
                                 bytes_of<float>({1, 2}) + bytes_of<double>({0.1}) + bytes_of<float>({9})));
  EXPECT_EQ(scores.arrays.size(), 2U);
  EXPECT_THAT(scores.arrays.at("neurons").values, ElementsAre(1, 2));
  EXPECT_THAT(scores.arrays.at("neurons").shape, ElementsAre(1, 1, 2));
  EXPECT_THAT(scores.arrays.at("mlps").values, ElementsAre(0.1));
  EXPECT_THAT(refusal("a.safetensors", file(R"({"heads":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}})", "xx")),
              HasSubstr("'heads' is BF16"));
  EXPECT_THAT(
      refusal("a.safetensors", file(R"({"heads":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", "xxxxxxxx")),
      HasSubstr("no array of scores"));
  EXPECT_THAT(refusal("a.safetensors", "xx"), HasSubstr("has only 2 bytes"));
}

TEST_F(ScoreFiles, OtherEndings) {
  for (const char* const name : {"a.txt", "a", "a.npz", "a.CSV", "a.hdf5", ".npy"}) {
    EXPECT_THAT(refusal(name, "x"), HasSubstr("does not end in .npy")) << name;
  }
  EXPECT_THAT(message_of([&] { (void)read_score_file(folder_ / "missing.csv"); }), HasSubstr("missing.csv"));
  EXPECT_THAT(refusal("a.h5", "x"), HasSubstr("cannot open it as an HDF5 file"));
}

}  // namespace
}  // namespace tributary
