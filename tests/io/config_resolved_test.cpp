// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What comes out of settings again: YAML that reads back as the same values, and the text that identifies a run.
#include "io/config.h"
#include "tests/io/config_fixture.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

const std::set<Effect> all_numbers = {Effect::numbers, Effect::evaluation};

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
    EXPECT_EQ(second.identity_text(all_numbers), first.identity_text(all_numbers));
    EXPECT_THAT(second.keys_that_differ(first), IsEmpty());
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
  const Settings settings = read_one("threads: 2\nmodel: {path: m}\ncircuit: {notes: [a, 'b, c']}");
  const std::string before =
      "name = x\nmodel.dtype = float32\nattribution.method = relp\nattribution.steps = 10\npairs.seed = 0\n";
  const std::string counts = "circuit.counts = [10, 30]\n";
  const std::string after = "circuit.notes = [a, \"b, c\"]\n";
  EXPECT_EQ(settings.identity_text(all_numbers), before + counts + after);
  EXPECT_EQ(settings.identity_text({Effect::numbers}), before + after);
  EXPECT_EQ(settings.text_of({"circuit", "name"}), "name = x\n" + counts + after);
  EXPECT_EQ(read_one("attribution: {steps: 10}", {"fused=false"}).identity_text(all_numbers),
            read_one("threads: 8").identity_text(all_numbers));
}

TEST_F(ConfigTest, WhatDiffersIsNamed) {
  const Settings one = read_one("threads: 2\nmodel: {path: m}\ncircuit: {notes: [a]}");
  EXPECT_THAT(one.keys_that_differ(read_one("threads: 3\nmodel: {path: n}\ncircuit: {notes: [a]}")), IsEmpty());
  EXPECT_THAT(one.keys_that_differ(read_one("circuit: {counts: [7]}\nattribution: {steps: 4}")),
              ElementsAre("attribution.steps", "circuit.counts", "circuit.notes"));
  EXPECT_THAT(settings_of(table, one.resolved(), "then").keys_that_differ(one), IsEmpty());
}

}  // namespace
}  // namespace tributary
