// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/spent_time.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace tributary {
namespace {

class SpentTime : public ::testing::Test {
 protected:
  SpentTime() : folder_(std::filesystem::temp_directory_path() / ("tributary-spent-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~SpentTime() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(SpentTime, IsWhatWasKept) {
  EXPECT_EQ(spent_seconds(folder_), 0);
  keep_spent_seconds(folder_, 12.5);
  EXPECT_EQ(spent_seconds(folder_), 12.5);
}

TEST_F(SpentTime, IsNoneWhereAFileSaysNone) {
  for (const char* const text :
       {"", "{", "[]", "{}", R"({"seconds": "x"})", R"({"seconds": -1})", R"({"seconds": 1e999})"}) {
    std::ofstream(folder_ / "seconds.json") << text;
    EXPECT_EQ(spent_seconds(folder_), 0) << text;
  }
}

TEST_F(SpentTime, OfAFolderThatIsGoneIsNoFailure) {
  keep_spent_seconds(folder_ / "gone", 1);
  EXPECT_EQ(spent_seconds(folder_ / "gone"), 0);
}

}  // namespace
}  // namespace tributary
