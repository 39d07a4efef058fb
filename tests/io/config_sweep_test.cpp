// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Overrides, sweeps, and what comes out of settings again.
#include "io/config.h"
#include "tests/io/config_fixture.h"

namespace tributary {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Counts = std::vector<std::int64_t>;

std::vector<std::string> labels(const std::vector<Settings>& runs) {
  std::vector<std::string> all;
  for (const Settings& run : runs) all.push_back(run.label());
  return all;
}

const std::string kGrid =
    "name: x\nattribution: {method: relp}\n"
    "sweep:\n  grid:\n    attribution.method: [relp, atp]\n    attribution.steps: [5, 10]\n";

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
  EXPECT_THAT(names, ElementsAre(StartsWith("run=1,name=a"), StartsWith("run=2,name=a")));
  EXPECT_LE(names[0].size(), 160u);
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

/// What attribution.rules and what lies below it hold: "relp, norm=true".
std::string rules(const Settings& settings) {
  std::string text = settings.get<std::string>("attribution.rules").value_or("-");
  for (const char* name : {"norm", "half"}) {
    const auto rule = settings.get<bool>(std::string("attribution.rules.") + name);
    if (rule) text += std::string(", ") + name + "=" + (*rule ? "true" : "false");
  }
  return text;
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

TEST_F(ConfigTest, ResolvedSettingsAreYamlInTableOrder) {
  EXPECT_EQ(read_one("threads: 2\nattribution: {tolerance: 0.1, rules: relp, rules.half: true}\nmodel: {path: /m}")
                .resolved(),
            "name: x\nmodel:\n  path: /m\n  dtype: float32\n"
            "attribution:\n  method: relp\n  steps: 10\n  tolerance: 0.1\n  rules: relp\n  rules.half: true\n"
            "pairs:\n  seed: 0\n  file: " +
                (folder / "pairs.jsonl").string() +
                "\n"
                "circuit:\n  counts: [10, 30]\nthreads: 2\nfused: true\n");
}

TEST_F(ConfigTest, ResolvedSettingsReadBackAsTheSameValues) {
  // The values are compared through identity_text and, for paths and words, one by one: resolved() itself is under
  // test.
  const std::vector<std::string> names{"plain",
                                       "010",
                                       "1e3",
                                       "true",
                                       "null",
                                       "~",
                                       "",
                                       " lead",
                                       "trail ",
                                       "a: b",
                                       "a #b",
                                       "- a",
                                       "'",
                                       "\"",
                                       "\\",
                                       "a\nb",
                                       "tab\tx",
                                       "\x01\x04\x7F",
                                       "\u0085\u2028\uFEFF",
                                       "\u00fc\U0001F600",
                                       "*x",
                                       "&x",
                                       "!x",
                                       "%x",
                                       "@x",
                                       "`x",
                                       "{",
                                       "[",
                                       "]",
                                       ",",
                                       "?",
                                       ":",
                                       "<<",
                                       "=",
                                       "|",
                                       "-",
                                       "y"};
  for (const std::string& name : names) {
    std::string escaped;
    for (const char c : name) {
      const auto byte = static_cast<unsigned char>(c);
      const char* digits = "0123456789abcdef";
      escaped += byte < 0x80 ? std::string("\\x") + digits[byte / 16] + digits[byte % 16] : std::string(1, c);
    }
    std::string text = "name: \"";
    text.append(escaped).append("\"\nmodel: {path: \"m/").append(escaped).append("\"}\n");
    text.append("attribution: {rules: none, rules.norm: true, tolerance: 0.1}\ncircuit: {notes: [\"").append(escaped);
    text.append("\"], fractions: [0.3, 1e-300, 1]}\n");
    const Settings first = read_all(text)[0];
    ASSERT_EQ(first.at<std::string>("name"), name);
    const Settings second = read_all(first.resolved())[0];
    EXPECT_EQ(second.at<std::string>("name"), name);
    EXPECT_EQ(second.at<std::vector<std::string>>("circuit.notes"), std::vector<std::string>{name});
    EXPECT_EQ(second.at<std::filesystem::path>("model.path"), first.at<std::filesystem::path>("model.path"));
    EXPECT_EQ(second.at<double>("attribution.tolerance"), 0.1);
    EXPECT_EQ(second.at<std::vector<double>>("circuit.fractions"), (std::vector<double>{0.3, 1e-300, 1}));
    EXPECT_EQ(second.get<std::string>("threads"), "auto");
    EXPECT_EQ(rules(second), "none, norm=true");
    EXPECT_EQ(second.identity_text(), first.identity_text());
    EXPECT_EQ(second.resolved(), first.resolved());
  }
  for (const Settings& run : read_all(kGrid)) EXPECT_EQ(read_all(run.resolved())[0].resolved(), run.resolved());
}

TEST_F(ConfigTest, ResolvedSettingsHoldNothingThatReadersOfYamlTakeForLineEndsOrWords) {
  EXPECT_THAT(read_all("name: \"\\x85\\u2028\\uFEFF\\x7f\\n\"").at(0).resolved(),
              StartsWith("name: \"\\x85\\u2028\\uFEFF\\x7f\\n\"\n"));
  EXPECT_THAT(read_all("name: No").at(0).resolved(), StartsWith("name: \"No\"\n"));
}

TEST_F(ConfigTest, IdentityHoldsNumbersOnlyAndNoPaths) {
  EXPECT_EQ(read_one("threads: 2\nmodel: {path: m}\ncircuit: {notes: [a, 'b, c']}").identity_text(),
            "name = x\nmodel.dtype = float32\nattribution.method = relp\nattribution.steps = 10\npairs.seed = 0\n"
            "circuit.counts = [10, 30]\ncircuit.notes = [a, \"b, c\"]\n");
  EXPECT_EQ(read_one("attribution: {steps: 10}", {"fused=false"}).identity_text(),
            read_one("threads: 8").identity_text());
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
  EXPECT_EQ(runs[3].at<std::int64_t>("pairs.seed"), 5);
  EXPECT_FALSE(runs[3].given("attribution.steps"));
  EXPECT_THAT(labels(read_all(text, {"attribution.steps=2"})),
              ElementsAre("method=atp", "method=relp", "method=ig-acts,seed=5"))
      << "a key that is set is not swept, so the hole is not met";
  EXPECT_THAT(labels(read_all(text, {"sweep.exclude=[{attribution.method: atp}]", "sweep.include=[{pairs.seed: 9}]"})),
              ElementsAre("method=relp,steps=1", "method=relp,steps=2", "seed=9"));
}

TEST_F(ConfigTest, SweepIncludeAloneIsAList) {
  EXPECT_THAT(labels(read_all("name: x\nsweep: {include: [{attribution.method: atp}, {attribution.method: relp}]}")),
              ElementsAre("method=atp", "method=relp"));
}

TEST_F(ConfigTest, SweepRefusesWhatCannotBe) {
  EXPECT_THAT(problems("name: x\nsweep: {zip: {attribution.method: [atp, relp], attribution.steps: [1]}}"),
              ElementsAre(AllOf(StartsWith("2:14: sweep.zip"), HasSubstr("equally long"))));
  EXPECT_THAT(problems("name: x\nsweep: {grid: {pairs.seed: [1]}, exclude: [{pairs.seed: 1}]}"),
              ElementsAre(HasSubstr("leaves no run")));
  EXPECT_THAT(problems("name: x\nsweep: {grid: {pairs.seed: [1, 2]}, include: [{pairs.seed: 2}]}"),
              ElementsAre(HasSubstr("two runs of one name, 'seed=2'")));
  EXPECT_THAT(problems("name: x\nsweep: {zip: {pairs.seed: [1, 1], attribution.steps: [2, 2]}}"),
              ElementsAre(HasSubstr("two runs of one name")));
  EXPECT_THAT(problems("name: x\nsweep: {grid: {pairs.seed: [1, 2]}, zip: {pairs.seed: [3, 4]}}"),
              ElementsAre(HasSubstr("both in sweep.grid and in sweep.zip")));
  EXPECT_THAT(problems("name: x\nsweep: {exclude: [{pairs.sed: 1}]}"),
              ElementsAre(HasSubstr("unknown key 'pairs.sed' in sweep.exclude (did you mean 'pairs.seed'?)")));
  EXPECT_THAT(problems("name: x\nsweep: {include: {pairs.seed: 1}}"), ElementsAre(HasSubstr("a list of mappings")));
  EXPECT_THAT(problems("name: x\nsweep: {include: [{pairs.seed: many}]}"), ElementsAre(HasSubstr("pairs.seed")));
}

}  // namespace
}  // namespace tributary
