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

const std::vector<std::string> kFragments{
    "\n",       " ",    "  ",      "\t",    ": ",    ":",           "- ",     "[",      "]",      "{",
    "}",        ",",    "'",       "\"",    "#",     "&a ",         "*a",     "*m",     "!!str ", "|\n",
    ">-\n",     "? ",   "<<: ",    "---\n", "...\n", "%YAML 1.1\n", "~",      "null",   "\xFF",   "\x04",
    "\xC3\xBC", "\\x",  "\\ud800", "0",     "1e3",   "99999999999", "-",      "true",   "\r\n",   "name",
    ".",        "\"\\", "sweep:",  "grid:", "[[[[[", "{a: {b:",     "\u2028", "\\U0011"};

std::string damaged(std::mt19937_64& random) {
  std::string text = kGood;
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

TEST_F(ConfigTest, DamagedFilesGiveSettingsOrUserErrors) {
  std::mt19937_64 random(20260301);
  constexpr int rounds = 500;
  int accepted = 0;
  int refused = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string text = damaged(random);
    try {
      for (const Settings& run : read_all(text, {"circuit.notes=" + text.substr(0, text.size() % 40)})) {
        EXPECT_NO_THROW((void)read_all(run.resolved())) << run.resolved();
      }
      ++accepted;
    } catch (const UserError& error) {
      for (const Problem& problem : error.problems()) {
        EXPECT_FALSE(problem.where.empty());
        EXPECT_FALSE(problem.text.empty());
      }
      ++refused;
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what() << " for\n" << text;
    }
  }
  // Both ways are met, or the damage says nothing.
  EXPECT_GT(refused, rounds / 10);
  EXPECT_EQ(accepted + refused, rounds);
}

}  // namespace
}  // namespace tributary
