// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A folder, a table of keys and short ways to read settings, for the tests of io/config.h.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/errors.h"
#include "io/config.h"
#include "tests/io/small_table.h"

namespace tributary {

/// Two methods times two numbers of steps.
inline const std::string kGrid =
    "name: x\nattribution: {method: relp}\n"
    "sweep:\n  grid:\n    attribution.method: [relp, atp]\n    attribution.steps: [5, 10]\n";

inline std::vector<std::string> labels(const std::vector<Settings>& runs) {
  std::vector<std::string> all;
  for (const Settings& run : runs) all.push_back(run.label());
  return all;
}

/// What attribution.rules and what lies below it hold: "relp, norm=true".
inline std::string rules(const Settings& settings) {
  std::string text = settings.get<std::string>("attribution.rules").value_or("-");
  for (const char* name : {"norm", "half"}) {
    const auto rule = settings.get<bool>(std::string("attribution.rules.") + name);
    if (rule) text += std::string(", ") + name + "=" + (*rule ? "true" : "false");
  }
  return text;
}

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "config_test_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder = pattern;
    file = folder / "sweep.yaml";
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  void write(const std::string& yaml) const { std::ofstream(file, std::ios::binary) << yaml; }

  /// The runs of a file that holds `yaml`.
  [[nodiscard]] std::vector<Settings> read_all(const std::string& yaml,
                                               const std::vector<std::string>& overrides = {}) const {
    write(yaml);
    return read_settings(table, file, overrides);
  }

  /// Its only run; the required name is put in front.
  [[nodiscard]] Settings read_one(const std::string& yaml, const std::vector<std::string>& overrides = {}) const {
    const std::vector<Settings> runs = read_all("name: x\n" + yaml, overrides);
    EXPECT_EQ(runs.size(), 1u);
    return runs.at(0);
  }

  /// Its problems as "line:column: text" or "command line: text"; none when it is accepted.
  [[nodiscard]] std::vector<std::string> problems(const std::string& yaml,
                                                  const std::vector<std::string>& overrides = {}) const {
    std::vector<std::string> lines;
    try {
      (void)read_all(yaml, overrides);
    } catch (const UserError& error) {
      for (const Problem& problem : error.problems()) {
        const std::string prefix = file.string() + ":";
        const bool in_file = problem.where.starts_with(prefix);
        lines.push_back((in_file ? problem.where.substr(prefix.size()) : problem.where) + ": " + problem.text);
      }
    }
    return lines;
  }

  std::vector<Key> table = small_table();
  std::filesystem::path folder;
  std::filesystem::path file;
};

}  // namespace tributary
