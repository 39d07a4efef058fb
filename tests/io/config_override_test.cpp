// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Overrides on the command line, and words that replace what lies below them.
#include "io/config.h"
#include "tests/io/config_fixture.h"

namespace tributary {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(ConfigTest, OverridesWinOverTheFileAndItsGrid) {
  EXPECT_EQ(read_one("pairs: {seed: 1}", {"pairs.seed=2", "pairs.seed=3"}).at<std::int64_t>("pairs.seed"), 3);
  EXPECT_EQ(read_one("", {"name=a=b"}).at<std::string>("name"), "a=b");

  const Settings grouped = read_one("attribution: {method: atp, steps: 7}", {"attribution={steps: 4, tolerance: 0.5}"});
  EXPECT_EQ(grouped.at<std::string>("attribution.method"), "atp");
  EXPECT_EQ(grouped.at<std::int64_t>("attribution.steps"), 4);

  const auto fixed = read_all(kGrid, {"attribution.method=ig-acts"});
  EXPECT_THAT(labels(fixed), ElementsAre("steps=5", "steps=10"));
  EXPECT_EQ(fixed[1].at<std::string>("attribution.method"), "ig-acts");

  EXPECT_THAT(labels(read_all(kGrid, {"sweep.grid.attribution.method=[ig-acts]", "sweep.grid.pairs.seed=[1, 2]"})),
              ElementsAre("steps=5,seed=1", "steps=5,seed=2", "steps=10,seed=1", "steps=10,seed=2"));
  EXPECT_THAT(labels(read_all("name: x", {"sweep={grid: {pairs.seed: [1, 2]}}"})), ElementsAre("seed=1", "seed=2"));
}

TEST_F(ConfigTest, RefusesBadOverridesWithTheirText) {
  EXPECT_THAT(
      problems("name: x", {"fused", "=1", "atribution.method=atp", "sweep.grid.stps=[1]", "sweep.zap=[1]",
                           "fused=", "fused=[", "attribution=atp", "sweep.grid.fused=[true]", "fused=false", "a\xFF=1",
                           "name=a\xFF", "attribution.steps.deep=1"}),
      ElementsAre("command line: 'fused' is no override; write key.path=value",
                  "command line: '=1' is no override; write key.path=value",
                  AllOf(HasSubstr("'atribution.method' (did you mean 'attribution.method'?)"),
                        HasSubstr("(in 'atribution.method=atp')")),
                  HasSubstr("unknown key 'stps' in sweep.grid (did you mean 'attribution.steps'?)"),
                  HasSubstr("unknown key 'zap' in sweep"), HasSubstr("fused must be true | false, not empty or null"),
                  AllOf(HasSubstr("'[' is not closed"), HasSubstr("(in 'fused=[')")),
                  HasSubstr("attribution is a group of keys"), HasSubstr("unknown key"), HasSubstr("not UTF-8"),
                  HasSubstr("unknown key 'attribution.steps.deep'"), HasSubstr("both fused")));
}

TEST_F(ConfigTest, AHashInAnOverrideBeginsNoComment) {
  const std::string name = "name";
  EXPECT_EQ(read_one("", {"name=run #1"}).at<std::string>(name), "run #1");
  EXPECT_EQ(read_one("", {"name=#1"}).at<std::string>(name), "#1");
  EXPECT_EQ(read_one("", {"name= a # b "}).at<std::string>(name), "a # b");
  EXPECT_EQ(read_one("", {"name='a' # b"}).at<std::string>(name), "a") << "quotes end it";
  EXPECT_EQ(read_one("", {"pairs.file=/data #1/p.jsonl"}).at<std::filesystem::path>("pairs.file"), "/data #1/p.jsonl");
  EXPECT_THAT(problems("name: x", {"attribution.steps=4 # four"}), ElementsAre(HasSubstr("not '4 # four'")));
}

TEST_F(ConfigTest, ValuesWithCommasAreAListInBrackets) {
  EXPECT_THAT(problems("name: x", {"circuit.counts=5,10"}), ElementsAre(HasSubstr("write [5,10] (in")));
  EXPECT_THAT(problems("name: x", {"circuit.counts=5"}), ElementsAre(HasSubstr("write [5] for a list of one")));
}

TEST_F(ConfigTest, AWordReplacesTheValuesBelowItInLowerLayers) {
  const std::string values = "attribution: {rules: {norm: true, half: false}}";
  EXPECT_EQ(rules(read_one(values)), "-, norm=true, half=false");
  EXPECT_EQ(rules(read_one(values, {"attribution.rules=none"})), "none");
  EXPECT_EQ(rules(read_one(values, {"attribution.rules.half=true", "attribution.rules=none"})), "none, half=true");
  EXPECT_EQ(rules(read_one(values, {"attribution.rules.half=true"})), "-, norm=true, half=true");
  EXPECT_EQ(rules(read_one("attribution: {rules: relp}", {"attribution.rules={half: true}"})), "relp, half=true");
  EXPECT_EQ(rules(read_one("attribution: {rules: relp, rules.norm: false}")), "relp, norm=false");

  const auto swept = read_all("name: x\n" + values + "\nsweep: {grid: {attribution.rules: [relp, none]}}");
  EXPECT_EQ(rules(swept[1]), "none");
  const auto both =
      read_all("name: x\n" + values +
               "\nsweep: {grid: {attribution.rules.norm: [false, true], attribution.rules: [relp, none]}}");
  ASSERT_EQ(both.size(), 4u);
  EXPECT_EQ(rules(both[0]), "relp, norm=false");
  const auto overridden =
      read_all("name: x\nsweep: {grid: {attribution.rules.norm: [false, true]}}", {"attribution.rules=none"});
  ASSERT_EQ(overridden.size(), 1u);
  EXPECT_EQ(rules(overridden[0]), "none");
  const auto kept =
      read_all("name: x\nsweep: {grid: {attribution.rules: [relp, none]}}", {"attribution.rules.norm=true"});
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(rules(kept[1]), "none, norm=true");
  const auto crossed = read_all("name: x\nsweep: {grid: {attribution.rules: [relp, none]}}",
                                {"sweep.grid.attribution.rules.norm=[true, false]"});
  ASSERT_EQ(crossed.size(), 4u);
  EXPECT_EQ(rules(crossed[0]), "relp, norm=true");
}

}  // namespace
}  // namespace tributary
