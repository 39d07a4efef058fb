// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/journalled_stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "common/errors.h"
#include "runner/stages/stage_store.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class JournalledStagesTest : public ::testing::Test {
 protected:
  JournalledStagesTest()
      : folder_(std::filesystem::temp_directory_path() / ("tributary-stages-" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~JournalledStagesTest() override { std::filesystem::remove_all(folder_); }

  static BlockResult block(std::int64_t first, int level, double sum) {
    BlockResult result;
    result.nodes.push_back({0, level, first >> level, {sum}});
    result.rows.push_back({first, {sum, -sum}});
    return result;
  }
  [[nodiscard]] StageResult read() const {
    const GroupJournal journal(folder_, group_);
    return JournalledStages(alone_, journal, [](const std::string&) {}).result_of(stage_);
  }
  [[nodiscard]] std::vector<std::filesystem::path> files() const {
    std::vector<std::filesystem::path> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) all.push_back(entry.path());
    std::sort(all.begin(), all.end());
    return all;
  }

  std::filesystem::path folder_;
  const Communicator alone_;
  const JournalGroup group_ = JournalGroup::of({{"a", "1"}});
  const GroupJournal written_{folder_, group_, {"cpu", {"cpu"}}};
  const std::vector<UnitSpec> units_ = {{0, 0, 1}, {0, 1, 1}, {0, 2, 1}};
  const Stage stage_{"work", " of run 0", units_, {}};
};

TEST_F(JournalledStagesTest, ReadsAStageFromItsBlocks) {
  written_.begin();
  const StageStore store(alone_, written_, stage_);
  store.begin();
  store.write(block(2, 0, 4));
  store.write(block(0, 1, 3));
  const std::vector<std::filesystem::path> before = files();
  const StageResult result = read();
  EXPECT_THAT(result.sums, ElementsAre(ElementsAre(7)));
  EXPECT_THAT(result.rows, ElementsAre(ElementsAre(3, -3), IsEmpty(), ElementsAre(4, -4)));
  EXPECT_EQ(result.restored, 3);
  EXPECT_EQ(files(), before) << "reading leaves the journal as it is";
}

TEST_F(JournalledStagesTest, ReadsAPackedStageWithTheSameNumbers) {
  written_.begin();
  const StageStore store(alone_, written_, stage_);
  store.begin();
  store.write(block(2, 0, 4));
  store.write(block(0, 1, 3));
  const StageResult parts = read();
  store.end(parts, {});
  EXPECT_THAT(files(), ::testing::Contains(::testing::Property(&std::filesystem::path::filename, "all.block")));
  const StageResult whole = read();
  EXPECT_EQ(whole.sums, parts.sums);
  EXPECT_EQ(whole.rows, parts.rows);
}

TEST_F(JournalledStagesTest, RefusesWhereUnitsAreMissing) {
  EXPECT_THROW((void)read(), UserError) << "no journal at all";
  written_.begin();
  const StageStore store(alone_, written_, stage_);
  store.begin();
  store.write(block(0, 1, 3));
  EXPECT_THROW((void)read(), UserError) << "one unit is missing";
}

TEST_F(JournalledStagesTest, AStageThatCannotBePackedIsThereAllTheSame) {
  written_.begin();
  StageStore store(alone_, written_, stage_);
  store.begin();
  store.write(block(2, 0, 4));
  store.write(block(0, 1, 3));
  std::filesystem::path folder;
  for (const auto& file : files()) {
    if (file.extension() == ".block") folder = file.parent_path();
  }
  ASSERT_FALSE(folder.empty());
  std::filesystem::create_directories(folder / "all.block" / "something");  // so that no file can take its name
  StageResult whole;
  whole.sums = {{7.0}};
  whole.rows = {{3.0}, {3.0}, {4.0}};
  std::vector<std::string> warnings;
  EXPECT_NO_THROW(store.end(whole, [&warnings](const std::string& text) { warnings.push_back(text); }));
  EXPECT_THAT(warnings, ElementsAre(::testing::HasSubstr("the blocks stay as they are")));
  std::filesystem::remove_all(folder / "all.block");
  EXPECT_THAT(read().sums, ElementsAre(ElementsAre(7.0)));
}

TEST_F(JournalledStagesTest, BlocksOfSeveralProcessorsStayApart) {
  written_.begin();
  const GroupJournal older(folder_, group_, {"an older one", {"an older one"}});
  StageStore(alone_, older, stage_).begin();
  StageStore(alone_, older, stage_).write(block(2, 0, 4));
  StageStore store(alone_, written_, stage_);
  store.begin();
  store.write(block(0, 1, 3));
  while (store.next({})) continue;
  StageResult whole;
  whole.sums = {{7.0}};
  whole.rows = {{3.0}, {3.0}, {4.0}};
  store.end(whole, {});
  for (const auto& file : files()) EXPECT_NE(file.filename(), "all.block") << "it would name one of them";
  EXPECT_THAT(read().sums, ElementsAre(ElementsAre(7.0)));
}

}  // namespace
}  // namespace tributary
