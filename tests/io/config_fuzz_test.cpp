// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Random damage to a good file: whatever it holds is either settings or a UserError, never anything else.
#include <random>

#include "io/config.h"
#include "tests/io/config_fixture.h"

namespace tributary {
namespace {

const std::string kGood =
    "# sweep\nname: \"hot or cold\"\nmodel: {path: &m models/small, dtype: float32}\n"
    "attribution:\n  method: relp\n  steps: 10\n  tolerance: 1e-3\n  rules:\n    norm: true\n    half: false\n"
    "pairs:\n  seed: 3\n  file: *m\ncircuit:\n  counts: [10, 30]\n  fractions:\n    - 0.5\n    - 1\n"
    "  notes: [a, 'b', \"c\\n\"]\nthreads: auto\nfused: true\n"
    "sweep:\n  grid:\n    attribution.method: [relp, atp]\n    circuit.counts: [[1], [2, 3]]\n";

const std::string kNotes = "[a, 'b: c', \"d\\n\"]";

const std::vector<std::string> kFragments{
    "\n",       " ",    "  ",      "\t",    ": ",    ":",           "- ",     "[",      "]",      "{",
    "}",        ",",    "'",       "\"",    "#",     "&a ",         "*a",     "*m",     "!!str ", "|\n",
    ">-\n",     "? ",   "<<: ",    "---\n", "...\n", "%YAML 1.1\n", "~",      "null",   "\xFF",   "\x04",
    "\xC3\xBC", "\\x",  "\\ud800", "0",     "1e3",   "99999999999", "-",      "true",   "\r\n",   "name",
    ".",        "\"\\", "sweep:",  "grid:", "[[[[[", "{a: {b:",     "\u2028", "\\U0011"};

using ::testing::ElementsAre;

std::string damaged(std::string text, std::mt19937_64& random) {
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
  for (std::size_t edits = 1 + below(4); edits > 0; --edits) {
    const std::size_t at = below(text.size() + 1);
    switch (below(4)) {
      case 0:
        text.insert(at, kFragments[below(kFragments.size())]);
        break;
      case 1:
        text.erase(at, 1 + below(12));
        break;
      case 2:
        text.insert(at, text.substr(below(text.size() + 1), below(40)));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
    }
  }
  return text;
}

/// Another file that mostly still is one: digits change, lines end in a comment.
std::string altered(std::string text, std::mt19937_64& random) {
  const std::string digits = "123456789";
  for (char& c : text) {
    if (digits.find(c) != std::string::npos && random() % 3 == 0) c = digits[random() % digits.size()];
  }
  for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1)) {
    if (random() % 4 != 0) continue;
    const std::string comment = "  # {: [";
    text.insert(at, comment);
    at += comment.size();
  }
  return text;
}

TEST_F(ConfigTest, DamagedFilesGiveSettingsOrUserErrors) {
  ASSERT_THAT(problems(kGood, {"circuit.notes=" + kNotes}), ElementsAre());
  constexpr int rounds = 100;
  int all_accepted = 0;
  int all_refused = 0;
  for (const std::uint64_t seed : {1, 2, 3, 5, 8, 13, 21, 34}) {
    std::mt19937_64 random(seed);
    int accepted = 0;
    int refused = 0;
    for (int round = 0; round < rounds; ++round) {
      const std::string text = round % 4 == 0 ? damaged(kGood, random) : altered(kGood, random);
      const std::string notes = round % 2 == 0 ? kNotes : damaged(kNotes, random);
      SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round) + ", override " + notes +
                   ", file:\n" + text);
      try {
        for (const Settings& run : read_all(text, {"circuit.notes=" + notes})) {
          EXPECT_EQ(read_all(run.resolved()).at(0).resolved(), run.resolved());
        }
        ++accepted;
      } catch (const UserError& error) {
        for (const Problem& problem : error.problems()) {
          EXPECT_FALSE(problem.where.empty());
          EXPECT_FALSE(problem.text.empty());
        }
        ++refused;
      } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
      }
    }
    // Both ways are met, or the damage says nothing.
    EXPECT_GT(accepted, 0) << seed;
    EXPECT_GT(refused, 0) << seed;
    all_accepted += accepted;
    all_refused += refused;
  }
  EXPECT_GT(all_accepted, 8 * rounds / 20);
  EXPECT_GT(all_refused, 8 * rounds / 20);
}

}  // namespace
}  // namespace tributary
