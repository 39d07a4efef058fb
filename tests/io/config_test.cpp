// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/config.h"

#include "tests/io/config_fixture.h"

namespace tributary {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Counts = std::vector<std::int64_t>;

/// One problem, at this place, with these words.
template <typename... Words>
auto only_problem(const std::string& place, Words... words) {
  return ElementsAre(AllOf(StartsWith(place + ": "), HasSubstr(words)...));
}

TEST_F(ConfigTest, ReadsEveryKind) {
  const Settings settings = read_one(
      "model: {path: models/small, dtype: bfloat16}\n"
      "attribution:\n  steps: +7\n"
      "fused: false\n",
      {"attribution.tolerance=1e-3", "circuit.fractions=[0, .5, 1.]", "circuit.notes=[12, true, 'null']"});
  EXPECT_EQ(settings.at<std::string>("name"), "x");
  EXPECT_EQ(settings.at<std::filesystem::path>("model.path"), folder / "models/small");
  EXPECT_EQ(settings.at<std::int64_t>("attribution.steps"), 7);
  EXPECT_EQ(settings.at<double>("attribution.tolerance"), 1e-3);
  EXPECT_EQ(settings.at<bool>("fused"), false);
  EXPECT_EQ(settings.at<std::vector<double>>("circuit.fractions"), (std::vector<double>{0, 0.5, 1}));
  EXPECT_EQ(settings.at<std::vector<std::string>>("circuit.notes"), (std::vector<std::string>{"12", "true", "null"}));
  EXPECT_EQ(settings.label(), "");
}

TEST_F(ConfigTest, FillsInDefaultsAndSaysWhereValuesComeFrom) {
  const Settings settings = read_one("pairs:\n  seed: 5\n", {"fused=false"});
  EXPECT_EQ(settings.at<Counts>("circuit.counts"), (Counts{10, 30}));
  EXPECT_EQ(settings.at<std::filesystem::path>("pairs.file"), folder / "pairs.jsonl");
  EXPECT_TRUE(settings.given("pairs.seed"));
  EXPECT_FALSE(settings.given("circuit.counts"));
  EXPECT_TRUE(settings.has("circuit.counts"));
  EXPECT_FALSE(settings.has("model.path"));
  EXPECT_EQ(settings.get<std::filesystem::path>("model.path"), std::nullopt);
  EXPECT_EQ(settings.where("pairs.seed"), file.string() + ":3:9");
  EXPECT_EQ(settings.where("fused"), "command line");
  EXPECT_EQ(settings.where("circuit.counts"), "default");
}

TEST_F(ConfigTest, KeepsWordsApartFromNumbers) {
  const Settings by_word = read_one("");
  EXPECT_EQ(by_word.get<std::int64_t>("threads"), std::nullopt);
  EXPECT_EQ(by_word.get<std::string>("threads"), "auto");
  const Settings by_number = read_one("threads: 4");
  EXPECT_EQ(by_number.get<std::int64_t>("threads"), 4);
  EXPECT_EQ(by_number.get<std::string>("threads"), std::nullopt);
}

TEST_F(ConfigTest, WrongQuestionsBreakTheContract) {
  const Settings settings = read_one("");
  EXPECT_THROW((void)settings.has("attribution.stpes"), ContractViolation);
  EXPECT_THROW((void)settings.get<double>("attribution.steps"), ContractViolation);
  EXPECT_THROW((void)settings.get<std::string>("attribution.steps"), ContractViolation);
  EXPECT_THROW((void)settings.at<std::filesystem::path>("model.path"), ContractViolation);
  table[4].fallback = "0";
  EXPECT_THROW((void)read_one(""), ContractViolation);
  table = {table[0], table[0]};
  EXPECT_THROW((void)read_one(""), ContractViolation);
}

TEST_F(ConfigTest, TakesPathsRelativeToTheFileAndOnTheCommandLineToTheCurrentFolder) {
  EXPECT_EQ(read_one("model: {path: ../m/./x/}").at<std::filesystem::path>("model.path"),
            folder.parent_path() / "m" / "x");
  EXPECT_EQ(read_one("model: {path: /m}").at<std::filesystem::path>("model.path"), "/m");
  EXPECT_EQ(read_one("", {"model.path=m"}).at<std::filesystem::path>("model.path"),
            std::filesystem::current_path() / "m");
}

TEST_F(ConfigTest, KeepsTheFileThatDotsBehindALinkName) {
  std::filesystem::create_directories(folder / "far/away");
  std::filesystem::create_directories(folder / "far/model");
  std::filesystem::create_directory_symlink(folder / "far/away", folder / "link");
  const auto path = read_one("model: {path: link/../model}").at<std::filesystem::path>("model.path");
  EXPECT_TRUE(std::filesystem::equivalent(path, folder / "far/model")) << path;
}

TEST_F(ConfigTest, NamesTheNearestKey) {
  EXPECT_THAT(problems("name: x\n\nattribution:\n  stpes: 5\n"),
              ElementsAre("4:3: unknown key 'stpes' in attribution (did you mean 'steps'?)"));
  EXPECT_THAT(problems("name: x\nsteps: 5\n"),
              ElementsAre("2:1: unknown key 'steps' (did you mean 'attribution.steps'?)"));
  EXPECT_THAT(problems("name: x\nattribution: {threads: 2}\n"),
              ElementsAre("2:15: unknown key 'threads' in attribution (did you mean 'threads' at the top level?)"));
  EXPECT_THAT(problems("name: x\npairs: {dtype: float32}\n"), only_problem("2:9", "in pairs", "'model.dtype'"));
  EXPECT_THAT(problems("name: x\nmodel: {zzzzzzzz: 1}\n"),
              only_problem("2:9", "in model", "known in model: path, dtype"));
  EXPECT_THAT(problems("name: x\nswep: {}\n"), only_problem("2:1", "did you mean 'sweep'?"));
}

TEST_F(ConfigTest, ListsAllProblemsInFileOrder) {
  EXPECT_THAT(
      problems("circuit: {counts: [1, 0, x]}\n"
               "attribution:\n"
               "  steps: 0\n"
               "  method: relpp\n"
               "  steps: 7\n"
               "wong: 1\n",
               {"threads=0", "pairs.sed=1"}),
      ElementsAre(AllOf(StartsWith("1:1: missing key 'name'"), HasSubstr("a text"), HasSubstr("Name of the sweep.")),
                  StartsWith("1:23: item 2 of circuit.counts must be at least 1, not 0"),
                  StartsWith("1:26: item 3 of circuit.counts must be an integer, at least 1, not 'x'"),
                  StartsWith("3:10: attribution.steps must be at least 1 and at most 1000, not 0"),
                  AllOf(StartsWith("4:11: attribution.method must be relp | atp | ig-acts, not 'relpp'"),
                        HasSubstr("did you mean 'relp'?")),
                  AllOf(StartsWith("5:3: duplicate key 'attribution.steps'"), HasSubstr("line 3")),
                  StartsWith("6:1: unknown key 'wong'"),
                  AllOf(StartsWith("command line: threads must be at least 1, not 0"), HasSubstr("'threads=0'")),
                  StartsWith("command line: unknown key 'pairs.sed' (did you mean 'pairs.seed'?)")));
}

TEST_F(ConfigTest, MissingKeysAreReportedAtTheMappingThatLacksThem) {
  for (Key& key : table) {
    if (key.path == "model.path" || key.path == "circuit.notes") key.presence = Key::Presence::required;
  }
  EXPECT_THAT(problems("name: x\nmodel:\n  dtype: float32\n"),
              ElementsAre(StartsWith("1:1: missing key 'circuit.notes'"), StartsWith("3:3: missing key 'model.path'")));
  EXPECT_THAT(
      problems("name: x\nmodel: {path: ''}\ncircuit: 4\n"),
      ElementsAre(StartsWith("2:15: model.path must be a path"), StartsWith("3:10: circuit is a group of keys")));
  EXPECT_THAT(problems("name: x\n", {"model.path=m", "sweep.grid.circuit.notes=[[a], [b]]"}), IsEmpty());
}

TEST_F(ConfigTest, NamesTheFileAsItWasGiven) {
  const auto before = std::filesystem::current_path();
  write("name: 1\nnme: 2\n");
  std::filesystem::current_path(folder);
  try {
    read_settings(table, "sweep.yaml", {});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "sweep.yaml:2:1: unknown key 'nme' (did you mean 'name'?)");
  }
  std::filesystem::current_path(before);
}

struct Refused {
  const char* yaml;
  const char* place;
  const char* words;
};

void PrintTo(const Refused& refused, std::ostream* stream) { *stream << refused.yaml; }

class RefusedValue : public ConfigTest, public ::testing::WithParamInterface<Refused> {};

TEST_P(RefusedValue, WithPlaceAndHint) {
  EXPECT_THAT(problems(std::string("name: x\n") + GetParam().yaml), only_problem(GetParam().place, GetParam().words));
}

INSTANTIATE_TEST_SUITE_P(
    Values, RefusedValue,
    ::testing::Values(
        Refused{"pairs: {seed: 010}", "2:15", "write 10"}, Refused{"pairs: {seed: -007}", "2:15", "write -7"},
        Refused{"pairs: {seed: 1e3}", "2:15", "write 1000"}, Refused{"pairs: {seed: 1.0}", "2:15", "write 1"},
        Refused{"pairs: {seed: 0x10}", "2:15", "write 16"}, Refused{"pairs: {seed: 1_000}", "2:15", "write 1000"},
        Refused{"pairs: {seed: '10'}", "2:15", "drop the quotes"},
        Refused{"pairs: {seed: \"10\"}", "2:15", "drop the quotes"},
        Refused{"pairs: {seed: 1.5}", "2:15", "pairs.seed must be an integer, not '1.5'"},
        Refused{"pairs: {seed: 9223372036854775808}", "2:15", "64 bits"},
        Refused{"pairs: {seed: +-1}", "2:15", "integer"}, Refused{"pairs: {seed: ~}", "2:15", "not empty or null"},
        Refused{"pairs: {seed: }", "2:15", "not empty or null"},
        Refused{"pairs: {seed: [1]}", "2:15", "sweep: {grid: {pairs.seed: "},
        Refused{"pairs: {seed: {a: 1}}", "2:15", "not a mapping"},
        Refused{"attribution: {tolerance: nan}", "2:26", "must be a number"},
        Refused{"attribution: {tolerance: .inf}", "2:26", "must be a number"},
        Refused{"attribution: {tolerance: 1e999}", "2:26", "double precision"},
        Refused{"attribution: {tolerance: 1e}", "2:26", "must be a number"},
        Refused{"attribution: {tolerance: .}", "2:26", "must be a number"},
        Refused{"attribution: {tolerance: '1'}", "2:26", "drop the quotes"},
        Refused{"attribution: {tolerance: -0.5}", "2:26", "must be at least 0, not -0.5"},
        Refused{"attribution: {steps: 1001}", "2:22", "at most 1000, not 1001"},
        Refused{"attribution: {method: [atp]}", "2:23", "not a list"},
        Refused{"attribution: {rules: {norm: yes}}", "2:29", "write true"}, Refused{"fused: off", "2:8", "write false"},
        Refused{"fused: 'true'", "2:8", "drop the quotes"}, Refused{"fused: True", "2:8", "write true"},
        Refused{"threads: aut", "2:10", "did you mean 'auto'?"}, Refused{"threads: 1.0", "2:10", "write 1"},
        Refused{"circuit: {counts: 10}", "2:19", "write [10]"},
        Refused{"circuit: {counts: []}", "2:19", "not an empty list"},
        Refused{"circuit: {counts: [1, [2]]}", "2:23", "item 2 of circuit.counts"},
        Refused{"circuit: {counts: [1,,2]}", "2:22", "item 2 of circuit.counts"},
        Refused{"circuit: {fractions: [0.5, 1.5]}", "2:28", "at most 1, not 1.5"},
        Refused{"model: {path: ~/m}", "2:15", "'~' is not expanded"},
        Refused{"model: {path: \"a\\0b\"}", "2:15", "zero byte"},
        Refused{"model: small", "2:8", "(path, dtype), not 'small'"},
        Refused{"model:", "2:7", "model is a group of keys"}, Refused{"model: [a]", "2:8", "not a list"},
        Refused{"attribution:\n  steps:10", "3:3", "a space must follow the ':'"},
        Refused{"attribution.steps: 10", "2:1", "attribution: {steps:"}));

INSTANTIATE_TEST_SUITE_P(
    Documents, RefusedValue,
    ::testing::Values(
        Refused{"fused: true\nname: y", "3:1", "duplicate key 'name' (first given at line 1)"},
        Refused{"model: {path: a}\nmodel: {dtype: float32}", "3:1", "duplicate key 'model'"},
        Refused{"attribution: {rules: relp, rules: {norm: true}}", "2:28", "duplicate key 'attribution.rules'"},
        Refused{"attribution: {rules: {norm: true}, rules.norm: true}", "2:36",
                "duplicate key 'attribution.rules.norm'"},
        Refused{"<<: {fused: true}", "2:1", "merge keys"}, Refused{"fused: !!bool true", "2:8", "tag"},
        Refused{"---\nfused: true", "2:1", "second YAML document"}, Refused{"[a]: 1", "2:1", "a key must be a word"},
        Refused{": 1", "2:1", "a key must be a word"}, Refused{"fused: {", "2:9", "'{' is not closed"},
        Refused{"circuit: {counts: [1, 2", "2:24", "'[' is not closed"},
        Refused{"circuit: {notes: [\"a]}", "2:23", "quote"}, Refused{" fused: true", "2:7", "':' cannot stand here"},
        Refused{"\tfused: true", "2:1", "tab"}, Refused{"model:\n\tpath: a", "3:6", "tab"},
        Refused{"model: {path: *m}", "2:15", "anchor"}, Refused{"circuit: &c {notes: [*c]}", "2:22", "no end"},
        Refused{"model: {path: @m}", "2:15", "put quotes"}, Refused{"fused: true\x04", "2:12", "control character"},
        Refused{"fused: true\rname: y", "2:12", "control character"},
        Refused{"model: {path: \xC3\xBC\xFF}", "2:16", "not UTF-8"},
        Refused{"\xC3\xBC: {\xC3\xBC: 1}", "2:1", "unknown key"}));

TEST_F(ConfigTest, RefusesFilesThatHoldNoMapping) {
  for (const char* empty : {"", "\n", "# nothing\n", "---\n", "~"}) {
    EXPECT_THAT(problems(empty), only_problem("1:1", "empty")) << empty;
  }
  EXPECT_THAT(problems("- name: x"), only_problem("1:1", "must be a mapping", "not a list"));
  EXPECT_THAT(problems("name:x"), only_problem("1:1", "not 'name:x'", "a space must follow"));
  EXPECT_THAT(problems(std::string("\xFF\xFEn\0a\0", 6)), only_problem("1:1", "UTF-8"));
  std::filesystem::remove(file);
  EXPECT_THROW(read_settings(table, file, {}), UserError);
  EXPECT_THROW(read_settings(table, folder, {}), UserError);
}

TEST_F(ConfigTest, AcceptsWhatYamlOffersBesides) {
  const Settings settings = read_all(
      "\xEF\xBB\xBF# comment\r\nname:\t\"a\\u00e9\"\r\n"
      "circuit: &c {counts: &k [1, 2]}\r\nmodel: {path: &p m}\r\npairs:\r\n  ? seed\r\n  : 3\r\n  file: *p\r\n...\r\n")
      [0];
  EXPECT_EQ(settings.at<std::string>("name"), "a\u00e9");
  EXPECT_EQ(settings.at<Counts>("circuit.counts"), (Counts{1, 2}));
  EXPECT_EQ(settings.at<std::filesystem::path>("pairs.file"), folder / "m");
  EXPECT_EQ(settings.where("pairs.file"), file.string() + ":8:9");
}

TEST_F(ConfigTest, SurvivesBombs) {
  std::string aliases = "name: x\na0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string previous = "*a" + std::to_string(i - 1);
    aliases += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + previous;
    for (int copy = 0; copy < 8; ++copy) aliases += ", " + previous;
    aliases += "]\n";
  }
  EXPECT_THAT(problems(aliases), ElementsAre(AllOf(StartsWith("6:"), HasSubstr("too large"))));
  EXPECT_THAT(problems("name: " + std::string(19, '[') + std::string(19, ']')), only_problem("1:7", "not a list"));
  EXPECT_THAT(problems("name: " + std::string(20, '[') + std::string(20, ']')), only_problem("1:26", "nested"));
  EXPECT_THAT(problems("name: " + std::string(100'000, '[')), ElementsAre(HasSubstr("nested more than 20 deep")));
  EXPECT_THAT(problems(std::string(100'000, '{')), ElementsAre(HasSubstr("nested more than 20 deep")));
  std::string dashes;
  for (int i = 0; i < 50'000; ++i) dashes += "- ";
  EXPECT_THAT(problems(dashes), ElementsAre(HasSubstr("nested more than 20 deep")));
  EXPECT_THAT(problems("name: x #" + std::string(300'000, 'y')), only_problem("1:1", "KiB"));
  EXPECT_THAT(problems("name: &n '" + std::string(200'000, 'y') + "'\ncircuit: {notes: [*n" +
                       [] {
                         std::string more;
                         for (int i = 0; i < 1000; ++i) more += ", *n";
                         return more;
                       }() +
                       "]}"),
              ElementsAre(AllOf(StartsWith("2:"), HasSubstr("too large"))));
}

TEST_F(ConfigTest, DescribesItsKeys) {
  EXPECT_THAT(describe(table),
              AllOf(HasSubstr("name: a text; required\n    Name of the sweep.\n"),
                    HasSubstr("attribution.steps: an integer, at least 1 and at most 1000; default 10\n    Points.\n"),
                    HasSubstr("attribution.method: relp | atp | ig-acts; default relp\n"),
                    HasSubstr("threads: auto | an integer, at least 1; default auto\n    Changes how")));
}

}  // namespace
}  // namespace tributary
