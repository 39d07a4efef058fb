// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Sweeps: the runs they make, and what these are called.
#include "io/config.h"
#include "tests/io/config_fixture.h"

namespace tributary {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(ConfigTest, ExpandsTheGridWithTheLastKeyFastest) {
  const std::vector<Settings> runs = read_all(kGrid);
  EXPECT_THAT(labels(runs),
              ElementsAre("method=relp,steps=5", "method=relp,steps=10", "method=atp,steps=5", "method=atp,steps=10"));
  EXPECT_EQ(runs[2].at<std::string>("attribution.method"), "atp");
  EXPECT_EQ(runs[2].at<std::int64_t>("attribution.steps"), 5);
  EXPECT_TRUE(runs[2].given("attribution.steps"));
  EXPECT_EQ(runs[2].where("attribution.method"), file.string() + ":5:32");
}

TEST_F(ConfigTest, LabelsAreDistinctFolderNames) {
  EXPECT_THAT(
      labels(read_all("name: x\nsweep: {grid: {circuit.counts: [[10, 30], [100]], model.path: [a/b, 'a b', a-b]}}")),
      ElementsAre("counts=10-30,path=b", "counts=10-30,path=a-b", "counts=10-30,path=a-b-2", "counts=100,path=b",
                  "counts=100,path=a-b", "counts=100,path=a-b-2"))
      << "of a path its last part";
  EXPECT_THAT(labels(read_all("name: x\nsweep: {grid: {model.path: [models/a/, models/b/]}}")),
              ElementsAre("path=a", "path=b"));
  EXPECT_THAT(labels(read_all("sweep: {grid: {name: ['=,', '..', \"\xC3\xBC\"]}}")),
              ElementsAre("name=--", "name=..", "name=---2"));
  // An axis of one value does not tell runs apart.
  EXPECT_THAT(labels(read_all("name: x\nsweep: {grid: {pairs.seed: [1], attribution.tolerance: [0.5, 1e-9]}}")),
              ElementsAre("tolerance=0.5", "tolerance=1e-09"));
  EXPECT_THAT(labels(read_all("name: x\nsweep: {grid: {pairs.seed: [1]}}")), ElementsAre(""));
}

TEST_F(ConfigTest, LabelsTakeMoreOfThePathWhereTheLastPartIsShared) {
  table.push_back({.path = "seed", .kind = Kind::integer});
  table.push_back({.path = "deep.pairs.seed", .kind = Kind::integer});
  EXPECT_THAT(labels(read_all("name: x\nsweep: {grid: {seed: [1, 2], pairs.seed: [3], deep.pairs.seed: [4, 5]}}")),
              ElementsAre("seed=1,pairs.seed=4", "seed=1,pairs.seed=5", "seed=2,pairs.seed=4", "seed=2,pairs.seed=5"));
}

TEST_F(ConfigTest, LongLabelsStayShortAndDistinct) {
  const std::string start(200, 'a');
  const auto names = labels(read_all("sweep: {grid: {name: [" + start + "b, " + start + "c]}}"));
  EXPECT_THAT(names, ElementsAre(StartsWith("name=a"), StartsWith("name=a")));
  EXPECT_NE(names[0], names[1]);
  EXPECT_LE(names[0].size(), 160u);
  // A value in front changes nobody's name.
  const auto more = labels(read_all("sweep: {grid: {name: [" + start + "a, " + start + "b, " + start + "c]}}"));
  EXPECT_THAT(std::vector(more.begin() + 1, more.end()), names);
}

TEST_F(ConfigTest, EveryRunOfALargeGridIsNamed) {
  // Work that grows with the square of the points would still end here, with the cube it would not.
  std::string seeds = "0";
  for (int seed = 1; seed < 10'000; ++seed) seeds += "," + std::to_string(seed);
  const auto names = labels(read_all("name: x\nsweep: {grid: {pairs.seed: [" + seeds + "]}}"));
  ASSERT_EQ(names.size(), 10'000u);
  EXPECT_EQ(names.front(), "seed=0");
  EXPECT_EQ(names.back(), "seed=9999");
}

TEST_F(ConfigTest, ManyValuesThatLookAlikeAreNumbered) {
  std::string texts;
  for (int i = 0; i < 5'000; ++i) {
    const char32_t character = 0x4E00 + static_cast<char32_t>(i);
    for (const char32_t bits : {0xE0 | character >> 12, 0x80 | (character >> 6 & 0x3F), 0x80 | (character & 0x3F)}) {
      texts += static_cast<char>(bits);
    }
    texts += ", ";
  }
  const auto names = labels(read_all("sweep: {grid: {name: [" + texts + "'---3']}}"));
  ASSERT_EQ(names.size(), 5'001u);
  EXPECT_EQ(names[0], "name=---");
  EXPECT_EQ(names[1], "name=----2");
  EXPECT_EQ(names[4'999], "name=----5000");
  EXPECT_EQ(names[5'000], "name=---3") << "a look of its own";
}

TEST_F(ConfigTest, RefusesWhatAGridCannotHold) {
  EXPECT_THAT(
      problems("name: x\nsweep:\n  zap: {}\n  grid:\n"
               "    atribution.method: [atp]\n"
               "    attribution: {steps: [1, 2]}\n"
               "    method: [atp]\n"
               "    attribution.steps: 5\n"
               "    circuit.counts: [10, [0]]\n"
               "    model.dtype: []\n"
               "    pairs.seed: [1, 2, +1]\n"
               "    pairs.seed: [3]\n"
               "    fused: [true, ~]\n"),
      ElementsAre(AllOf(StartsWith("3:3: unknown key 'zap' in sweep"), HasSubstr("grid")),
                  StartsWith("5:5: unknown key 'atribution.method' in sweep.grid (did you mean 'attribution.method'?)"),
                  AllOf(StartsWith("6:5: 'attribution' in sweep.grid"), HasSubstr("'attribution.steps: [values]'")),
                  StartsWith("7:5: unknown key 'method' in sweep.grid (did you mean 'attribution.method'?)"),
                  AllOf(StartsWith("8:24: sweep.grid.attribution.steps must be a list"), HasSubstr("write [5]")),
                  AllOf(StartsWith("9:22: circuit.counts must be a list"), HasSubstr("write [10]")),
                  StartsWith("9:27: item 1 of circuit.counts must be at least 1, not 0"),
                  StartsWith("10:18: sweep.grid.model.dtype must be a list of values, not an empty list"),
                  AllOf(StartsWith("11:24: sweep.grid.pairs.seed has '1' twice")),
                  StartsWith("12:5: duplicate key 'sweep.grid.pairs.seed'"),
                  StartsWith("13:19: fused must be true | false, not empty or null")));
  EXPECT_THAT(problems("name: x\nsweep: [1]\n"), ElementsAre(StartsWith("2:8: sweep must be a mapping")));
  EXPECT_THAT(problems("name: x\nsweep: {grid: }\n"), ElementsAre(HasSubstr("sweep.grid must be a mapping")));
  std::string seeds = "1";
  for (int i = 2; i <= 101; ++i) seeds += ", " + std::to_string(i);
  EXPECT_THAT(problems("name: x\nsweep: {grid: {pairs.seed: [" + seeds + "], attribution.steps: [" + seeds + "]}}"),
              ElementsAre(HasSubstr("more than 10000 runs")));
}

TEST_F(ConfigTest, SweepZipGoesTogether) {
  const auto runs = read_all("name: x\nsweep: {zip: {attribution.method: [atp, relp], attribution.steps: [1, 2]}}");
  EXPECT_THAT(labels(runs), ElementsAre("method=atp,steps=1", "method=relp,steps=2"));
  EXPECT_EQ(runs[1].at<std::int64_t>("attribution.steps"), 2);
  EXPECT_EQ(runs[1].at<std::string>("attribution.method"), "relp");
}

TEST_F(ConfigTest, SweepZipTimesGrid) {
  EXPECT_THAT(labels(read_all("name: x\nsweep: {grid: {pairs.seed: [7, 8]}, zip: {attribution.method: [atp, relp], "
                              "attribution.steps: [1, 2]}}")),
              ElementsAre("seed=7,method=atp,steps=1", "seed=7,method=relp,steps=2", "seed=8,method=atp,steps=1",
                          "seed=8,method=relp,steps=2"));
}

TEST_F(ConfigTest, SweepZipMayLeaveKeysOut) {
  const auto runs =
      read_all("name: x\npairs: {seed: 3}\nsweep: {zip: {attribution.method: [atp, null], pairs.seed: [~, 8]}}");
  EXPECT_THAT(labels(runs), ElementsAre("method=atp", "seed=8"));
  EXPECT_FALSE(runs[1].given("attribution.method"));
  EXPECT_EQ(runs[0].at<std::int64_t>("pairs.seed"), 3) << "the file's own value";
  EXPECT_EQ(runs[1].at<std::int64_t>("pairs.seed"), 8);
  EXPECT_THAT(problems("name: x\nsweep: {grid: {pairs.seed: [1, null]}}"), ElementsAre(HasSubstr("null")))
      << "only in zip";
  EXPECT_THAT(labels(read_all("name: x\nsweep: {zip: {pairs.seed: [null, 8]}}")),
              ElementsAre("seed=default", "seed=8"));
  EXPECT_THAT(problems("sweep: {zip: {name: [a, null], pairs.seed: [1, 2]}}"),
              ElementsAre(AllOf(HasSubstr("missing key 'name'"), HasSubstr("seed=2"))))
      << "a required key that only some runs have";
}

TEST_F(ConfigTest, SweepZipOfTheCommandLineIsCheckedToo) {
  const std::string text = "name: x\nsweep: {zip: {pairs.seed: [1, 2], attribution.steps: [3, 4]}}";
  EXPECT_THAT(problems(text, {"sweep.zip.pairs.seed=[1, 2, 3]", "sweep.zip.attribution.steps=[8, 9]"}),
              ElementsAre(HasSubstr("equally long")));
}

TEST_F(ConfigTest, SweepExcludeMakesHolesAndIncludeAdds) {
  const std::string text =
      "name: x\nsweep:\n  grid: {attribution.method: [atp, relp], attribution.steps: [1, 2]}\n"
      "  exclude: [{attribution.method: relp, attribution.steps: 2}]\n"
      "  include: [{attribution.method: ig-acts, pairs.seed: 5}]\n";
  const auto runs = read_all(text);
  EXPECT_THAT(labels(runs),
              ElementsAre("method=atp,steps=1", "method=atp,steps=2", "method=relp,steps=1", "method=ig-acts,seed=5"));
  ASSERT_EQ(runs.size(), 4U);
  EXPECT_EQ(runs[3].at<std::int64_t>("pairs.seed"), 5);
  EXPECT_FALSE(runs[3].given("attribution.steps"));
  EXPECT_THAT(labels(read_all(text, {"attribution.steps=2"})),
              ElementsAre("method=atp", "method=relp", "method=ig-acts,seed=5"))
      << "a key that is set is not swept, so the hole is not met";
  EXPECT_THAT(labels(read_all(text, {"sweep.exclude=[{attribution.method: atp}]", "sweep.include=[{pairs.seed: 9}]"})),
              ElementsAre("method=relp,steps=1", "method=relp,steps=2", "seed=9"));
  EXPECT_THAT(labels(read_all(text, {"sweep.grid.attribution.steps=[2, 3]"})),
              ElementsAre("method=atp,steps=2", "method=atp,steps=3", "method=relp,steps=3", "method=ig-acts,seed=5"))
      << "a hole where the file's axis crosses one of the command line";
}

TEST_F(ConfigTest, TheCommandLineWinsOverAnIncludedRun) {
  const std::string text =
      "name: x\nsweep:\n  include: [{pairs.seed: 5}, {pairs.seed: 6}, {pairs.seed: 6, attribution.steps: 3}]\n";
  const auto runs = read_all(text, {"pairs.seed=7"});
  EXPECT_THAT(labels(runs), ElementsAre("default", "steps=3")) << "two have become the same, and none is of seed 5";
  for (const auto& run : runs) EXPECT_EQ(run.at<std::int64_t>("pairs.seed"), 7);
  EXPECT_THAT(labels(read_all("name: x\nsweep: {include: [{pairs.seed: 5}]}", {"pairs.seed=7"})), ElementsAre(""));
}

TEST_F(ConfigTest, SweepIncludeAloneIsAList) {
  EXPECT_THAT(labels(read_all("name: x\nsweep: {include: [{attribution.method: atp}, {attribution.method: relp}]}")),
              ElementsAre("method=atp", "method=relp"));
}

TEST_F(ConfigTest, SweepRefusesWhatCannotBe) {
  EXPECT_THAT(problems("name: x\nsweep: {zip: {attribution.method: [atp, relp], attribution.steps: [1]}}"),
              ElementsAre(AllOf(StartsWith("2:14: sweep.zip"), HasSubstr("attribution.steps has 1 value and "),
                                HasSubstr("equally long"))));
  EXPECT_THAT(problems("name: x\nsweep: {grid: {pairs.seed: [1]}, exclude: [{pairs.seed: 1}]}"),
              ElementsAre(HasSubstr("leaves no run")));
  EXPECT_THAT(problems("name: x\nsweep: {grid: {pairs.seed: [1, 2]}, include: [{pairs.seed: 2}]}"),
              ElementsAre(HasSubstr("two runs of one name, 'seed=2'")));
  EXPECT_THAT(problems("name: x\nsweep: {zip: {pairs.seed: [1, 1], attribution.steps: [2, 2]}}"),
              ElementsAre(HasSubstr("two runs of one name")));
  EXPECT_THAT(problems("name: x\nsweep: {grid: {pairs.seed: [1, 2]}, zip: {pairs.seed: [3, 4]}}"),
              ElementsAre("2:43: pairs.seed is both in sweep.grid and in sweep.zip; remove one"));
  EXPECT_THAT(problems("name: x", {"sweep.grid.pairs.seed=[1, 2]", "sweep.zip.pairs.seed=[3, 4]"}),
              ElementsAre("command line: pairs.seed is both in sweep.grid and in sweep.zip; remove one"));
  for (const std::string part : {"grid", "zip"}) {
    EXPECT_THAT(problems("name: x", {"pairs.seed=3", "sweep." + part + ".pairs.seed=[1, 2]"}),
                ElementsAre("command line: both pairs.seed=… and sweep." + part +
                            ".pairs.seed=… are given (one sets what the other sweeps); remove one"));
  }
  EXPECT_THAT(problems("name: x\nsweep: {exclude: [{pairs.sed: 1}]}"),
              ElementsAre(HasSubstr("unknown key 'pairs.sed' in sweep.exclude (did you mean 'pairs.seed'?)")));
  EXPECT_THAT(problems("name: x\nsweep: {include: {pairs.seed: 1}}"), ElementsAre(HasSubstr("a list of mappings")));
  EXPECT_THAT(problems("name: x\nsweep: {include: [{pairs.seed: many}]}"), ElementsAre(HasSubstr("pairs.seed")));
}

}  // namespace
}  // namespace tributary
