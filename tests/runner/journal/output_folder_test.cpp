// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/output_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "common/errors.h"
#include "io/results.h"

namespace tributary {
namespace {

using ::testing::HasSubstr;

class OutputFolderTest : public ::testing::Test {
 protected:
  OutputFolderTest()
      : folder_(std::filesystem::temp_directory_path() / ("tributary-output-" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~OutputFolderTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(OutputFolderTest, RoomIsAskedForAndGivenBack) {
  claim_output(folder_ / "a" / "b", 1 << 20);
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "a" / "b"));
}

TEST_F(OutputFolderTest, WhatIsNotThereIsSaidBeforeTheWork) {
  const std::uint64_t more = free_disk_bytes(folder_) + (std::uint64_t{1} << 40);
  try {
    require_room(folder_, more, "the journal");
    FAIL() << "a disk that grows";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("no room for the journal"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(OutputFolderTest, ReplacedResultsStayUntilTheyAreForgotten) {
  set_replaced_aside(folder_);
  std::ofstream(results_path(folder_)) << "old";
  set_replaced_aside(folder_);
  EXPECT_FALSE(std::filesystem::exists(results_path(folder_)));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "results.h5.replaced"));
  set_replaced_aside(folder_);  // as a second --fresh does
  EXPECT_TRUE(std::filesystem::exists(folder_ / "results.h5.replaced"));
  forget_replaced(folder_);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

}  // namespace
}  // namespace tributary
