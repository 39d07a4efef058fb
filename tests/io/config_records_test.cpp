// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Keys that hold a list of mappings.
#include "tests/io/config_fixture.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Records features_of(const Settings& settings) { return settings.at<Records>("features"); }

std::string path_of(const Settings& settings, std::size_t item) {
  return std::get<std::string>(features_of(settings).at(item).at("path"));
}

TEST_F(ConfigTest, RecordsHoldTextsPathsIntegersAndWords) {
  const Settings settings = read_one(
      "features:\n  - {path: sae/a, hook: resid_post, layer: 12}\n  - path: /abs/{layer}\n    layer: all\n"
      "  - {path: ../b, note: '7'}\n");
  EXPECT_EQ(features_of(settings),
            (Records{{{"path", folder / "sae/a"}, {"hook", "resid_post"}, {"layer", std::int64_t{12}}},
                     {{"path", "/abs/{layer}"}, {"layer", "all"}},
                     {{"path", folder.parent_path() / "b"}, {"note", "7"}}}));
  EXPECT_EQ(settings.where("features"), file.string() + ":3:3");
  EXPECT_EQ(read_one("").get<Records>("features"), std::nullopt);
  EXPECT_THROW((void)settings.get<std::string>("features"), ContractViolation);
  EXPECT_THROW((void)settings.get<Records>("name"), ContractViolation);
}

TEST_F(ConfigTest, RecordsAreRefusedWithTheItemAndItsPlace) {
  EXPECT_THAT(problems("name: x\nfeatures:\n  - {path: a}\n  - {path: b, hok: resid_post}\n"),
              ElementsAre("4:15: item 2 of features: unknown key 'hok' (did you mean 'hook'?)"));
  EXPECT_THAT(problems("name: x\nfeatures: [{path: a, width: 3}]\n"),
              ElementsAre("2:22: item 1 of features: unknown key 'width'; known: path, hook, layer, note"));
  EXPECT_THAT(problems("name: x\nfeatures:\n  - {path: a}\n  - {layer: 3}\n"),
              ElementsAre("4:5: item 2 of features: missing key 'path', which must be given: a path (a folder)"));
  EXPECT_THAT(
      problems("name: x\nfeatures:\n  - path: a\n    layer: 1\n    layer: 1\n"),
      ElementsAre("5:5: item 1 of features: duplicate key 'layer' (first given at line 4); keep one of the two"));
  EXPECT_THAT(problems("name: x\nfeatures:\n  - {path: a}\n  - {path: b}\n  - {path: a}\n"),
              ElementsAre("5:5: item 3 of features says the same as item 1; remove one of the two"));
  EXPECT_THAT(problems("name: x\nfeatures: [{path: a}, b]\n"),
              ElementsAre("2:23: item 2 of features must be a mapping with path, hook, layer, note, not 'b'; write "
                          "{path: …}"));
  EXPECT_THAT(problems("name: x\nfeatures: [null]\n"), ElementsAre(HasSubstr("item 1 of features must be a mapping")));
}

TEST_F(ConfigTest, RecordsRefuseWhatAFieldCannotHold) {
  EXPECT_THAT(problems("name: x\nfeatures: [{path: a, layer: -1}]\n"),
              ElementsAre("2:29: item 1 of features: layer must be at least 0, not -1"));
  EXPECT_THAT(
      problems("name: x\nfeatures: [{path: a, layer: al}]\n"),
      ElementsAre("2:29: item 1 of features: layer must be all | an integer, at least 0, not 'al' (did you mean "
                  "'all'?)"));
  EXPECT_THAT(problems("name: x\nfeatures: [{path: a, layer: '3'}]\n"), ElementsAre(HasSubstr("in quotes")));
  EXPECT_THAT(
      problems("name: x\nfeatures: [{path: a, layer: [3]}]\n"),
      ElementsAre(HasSubstr("2:29: item 1 of features: layer must be all | an integer, at least 0, not a list")));
  EXPECT_THAT(problems("name: x\nfeatures: [{path: , hook: resid}]\n"),
              ElementsAre(HasSubstr("item 1 of features: path must be a path, not empty or null"),
                          HasSubstr("item 1 of features: hook must be resid_pre | resid_post | mlp_out, not 'resid'")));
  EXPECT_THAT(problems("name: x\nfeatures: [{path: ~/sae}]\n"), ElementsAre(HasSubstr("'~' is not expanded")));
}

TEST_F(ConfigTest, RecordsAreAList) {
  for (const std::string wrong : {"{path: a}", "a", "null", "3"}) {
    EXPECT_THAT(problems("name: x\nfeatures: " + wrong + "\n"),
                ElementsAre(HasSubstr("2:11: features must be a list of mappings with path, hook, layer, note, not ")))
        << wrong;
  }
}

TEST_F(ConfigTest, RecordsComeFromTheCommandLineToo) {
  EXPECT_EQ(features_of(read_one("features: [{path: a}]\n", {"features=[]"})), Records());
  EXPECT_EQ(features_of(read_one("features: []\n")), Records());
  const Settings settings = read_one("features: [{path: a}, {path: b}]\n", {"features=[{path: x, layer: 3}]"});
  EXPECT_EQ(features_of(settings),
            (Records{{{"path", (std::filesystem::current_path() / "x").string()}, {"layer", std::int64_t{3}}}}));
  EXPECT_EQ(settings.where("features"), "command line");
  EXPECT_THAT(problems("name: x\n", {"features=[{path: x, lajer: 3}]"}),
              ElementsAre("command line: item 1 of features: unknown key 'lajer' (did you mean 'layer'?) (in "
                          "'features=[{path: x, lajer: 3}]')"));
}

TEST_F(ConfigTest, RecordsAreSwept) {
  const std::vector<Settings> runs = read_all(
      "name: x\nsweep:\n  grid:\n    features:\n      - [{path: p/a}]\n      - [{path: q/a}]\n"
      "      - [{path: q/a, layer: 3}, {layer: all, path: 'b_{layer}', hook: mlp_out}]\n");
  EXPECT_THAT(labels(runs), ElementsAre("features=a", "features=a-2", "features=a-3+b_-layer--mlp_out-all"));
  EXPECT_EQ(path_of(runs[1], 0), folder / "q/a");
  EXPECT_EQ(path_of(runs[2], 1), folder / "b_{layer}");
  EXPECT_THAT(problems("name: x\nsweep: {grid: {features: [[{path: a}], [{path: a}]]}}\n"),
              ElementsAre(HasSubstr("features has 'a' twice")));
  EXPECT_THAT(problems("name: x\nsweep: {grid: {features: [{path: a}]}}\n"),
              ElementsAre(HasSubstr("2:27: features must be a list of mappings")));
}

TEST_F(ConfigTest, RecordsAreWrittenSoThatTheyReadBack) {
  const Settings settings = read_one(
      "features:\n  - {path: a b, layer: 3, note: '3'}\n  - {path: 'x_{layer}', layer: all, note: \"a, b: #\\n\"}\n");
  const std::string line = "features: [{layer: 3, note: \"3\", path: \"" + (folder / "a b").string() +
                           "\"}, {layer: all, note: \"a, b: #\\n\", path: \"" + (folder / "x_{layer}").string() +
                           "\"}]\n";
  EXPECT_THAT(settings.resolved(), HasSubstr(line));
  EXPECT_EQ(settings.as_given(), "name: x\n" + line);
  const Settings again = settings_of(table, settings.resolved(), "again");
  EXPECT_EQ(features_of(again), features_of(settings));
  EXPECT_EQ(again.resolved(), settings.resolved());
}

TEST_F(ConfigTest, PathsOfRecordsAreNoPartOfTheIdentity) {
  const auto read = [&](const std::string& items) { return read_one("features: [" + items + "]\n"); };
  const Settings a = read("{path: a, layer: 3}");
  const Settings elsewhere = read("{path: b, layer: 3}");
  const Settings other_layer = read("{path: a, layer: 4}");
  const std::set<Effect> all{Effect::numbers};
  EXPECT_THAT(a.identity_text(all), HasSubstr("features = [{layer: 3}]\n"));
  EXPECT_EQ(a.identity_text(all), elsewhere.identity_text(all));
  EXPECT_NE(a.identity_text(all), other_layer.identity_text(all));
  EXPECT_EQ(a.text_of({"features"}), "features = [{layer: 3}]\n");
  EXPECT_EQ(a.text_of({"features"}), elsewhere.text_of({"features"}));
  EXPECT_NE(a.text_without({"name"}), elsewhere.text_without({"name"}));
  EXPECT_THAT(a.keys_that_differ(elsewhere), IsEmpty());
  EXPECT_THAT(a.keys_that_differ(other_layer), ElementsAre("features"));
  EXPECT_THAT(read_one("").keys_that_differ(a), ElementsAre("features"));
}

TEST_F(ConfigTest, TheDefaultsOfRecordsAreRelativeToTheFile) {
  for (Key& key : table) {
    if (key.path == "features") key.fallback = "[{path: saes/x, layer: all}]";
  }
  EXPECT_EQ(features_of(read_one("")), (Records{{{"path", folder / "saes/x"}, {"layer", "all"}}}));
}

TEST_F(ConfigTest, RecordsAreDescribedFieldByField) {
  EXPECT_THAT(describe(table), HasSubstr("features: a list of mappings with path, hook, layer, note; no default\n"
                                         "    Dictionaries.\n"
                                         "    - path, a path; required: a folder\n"
                                         "    - hook, resid_pre | resid_post | mlp_out\n"
                                         "    - layer, all | an integer, at least 0\n"
                                         "    - note, a text\n"));
}

TEST_F(ConfigTest, ATableOfRecordsMustBeSound) {
  const auto broken = [&](const std::function<void(Key&)>& change) {
    std::vector<Key> other = small_table();
    change(other.back());
    EXPECT_THROW((void)describe(other), ContractViolation);
  };
  EXPECT_THAT(describe(small_table()), Not(IsEmpty()));
  broken([](Key& key) { key.fields.clear(); });
  broken([](Key& key) { key.kind = Kind::text; });
  broken([](Key& key) { key.choices = {"none"}; });
  broken([](Key& key) { key.fields[0].kind = Kind::boolean; });
  broken([](Key& key) { key.fields[1].fallback = "mlp_out"; });
}

}  // namespace
}  // namespace tributary
