// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/group_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "common/errors.h"

namespace tributary {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Keeps the folder to itself, and removes it.
class GroupJournalTest : public ::testing::Test {
 protected:
  GroupJournalTest()
      : folder_(std::filesystem::temp_directory_path() / ("tributary-group-journal-" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~GroupJournalTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
  std::vector<std::string> warnings_;
};

TEST_F(GroupJournalTest, ListsItsGroups) {
  EXPECT_THAT(journalled_groups(folder_, [](const std::string&) {}), IsEmpty());
  const JournalGroup written = JournalGroup::of({{"a", "1"}, {"b", "2"}});
  const GroupJournal journal(folder_, written);
  EXPECT_FALSE(journal.visible());
  journal.begin();
  EXPECT_TRUE(journal.visible());
  const std::vector<JournalGroup> groups = journalled_groups(folder_, [](const std::string&) {});
  ASSERT_THAT(groups, SizeIs(1));
  EXPECT_EQ(groups.front().name, written.name);
  EXPECT_EQ(groups.front().runs, written.runs);
  std::ofstream(folder_ / written.name / "group.json") << "{";
  EXPECT_THAT(journalled_groups(folder_, [this](const auto& text) { warnings_.push_back(text); }), IsEmpty());
  EXPECT_THAT(warnings_, SizeIs(1));
  forget_group(folder_, written.name);
  EXPECT_FALSE(std::filesystem::exists(folder_ / written.name));
}

TEST_F(GroupJournalTest, ARunOutsideTheFolderIsRefused) {
  const JournalGroup written = JournalGroup::of({{"a", "1"}});
  GroupJournal(folder_, written).begin();
  const auto ignore = [](const std::string&) {};
  for (const char* const folder : {"../../x", "/etc", "..", "", "a/b", "a\\nb", "a\\u0000b"}) {
    std::ofstream(folder_ / written.name / "group.json")
        << R"({"runs": [{"folder": ")" << folder << R"(", "identity": "1"}]})";
    EXPECT_THROW(journalled_groups(folder_, ignore), UserError) << folder;
  }
  std::ofstream(folder_ / written.name / "group.json") << R"({"runs": [{"folder": ".", "identity": "1"}]})";
  EXPECT_THAT(journalled_groups(folder_, ignore), SizeIs(1));
}

}  // namespace
}  // namespace tributary
