// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/stage_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "common/errors.h"
#include "runner/cluster/block_codec.h"
#include "runner/cluster/fold.h"
#include "runner/journal/block_file.h"
#include "runner/journal/group_journal.h"

namespace tributary {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class StageJournalTest : public ::testing::Test {
 protected:
  StageJournalTest()
      : folder_(std::filesystem::temp_directory_path() / ("tributary-stage-journal-" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~StageJournalTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] GroupJournal group(const std::string& processor = "cpu") const {
    GroupJournal journal(folder_, JournalGroup::of({{"a", "1"}, {"b", "2"}}), {processor, {processor}});
    journal.begin();
    return journal;
  }
  [[nodiscard]] StageJournal stage(const std::string& processor = "cpu") const {
    StageJournal journal = group(processor).stage("work", table_);
    journal.begin("work", table_);
    return journal;
  }
  BlockResult block(std::int64_t first, int level) const {
    BlockResult result;
    result.nodes.push_back({0, level, first >> level, {static_cast<double>(first)}});
    return result;
  }
  std::vector<std::string> all_of(StageJournal journal, const std::vector<std::string>& processors = {"cpu"}) {
    std::vector<std::string> found;
    while (const auto result = journal.next(processors, [this](const auto& text) { warnings_.push_back(text); })) {
      const std::vector<std::byte> bytes = encode(*result);
      found.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  static void change(const std::filesystem::path& file, const std::function<void(std::string&)>& how) {
    std::ostringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    std::string bytes = text.str();
    how(bytes);
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  }

  std::filesystem::path folder_;
  const UnitTable table_{{{0, 0, 1}, {0, 1, 1}, {0, 2, 1}, {0, 3, 1}, {0, 4, 1}}};
  std::vector<std::string> warnings_;
};

TEST_F(StageJournalTest, GivesBackEveryBlock) {
  const StageJournal journal = stage();
  journal.write(block(0, 2), table_);
  journal.write(block(4, 0), table_);
  EXPECT_TRUE(std::filesystem::exists(journal.folder() / "0.0.4.block"));
  EXPECT_TRUE(std::filesystem::exists(journal.folder() / "0.4.1.block"));
  EXPECT_THAT(all_of(stage()), SizeIs(2));
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(StageJournalTest, StoresNothingWhereNothingWasComputed) {
  BlockResult failed;
  failed.failed.push_back({1, 0, "bad"});
  stage().write(failed, table_);
  EXPECT_THAT(all_of(stage()), IsEmpty());
}

TEST_F(StageJournalTest, LeavesFailuresToBeTriedAgain) {
  BlockResult partly = block(1, 0);
  partly.failed.push_back({0, 0, "bad"});
  stage().write(partly, table_);
  BlockResult retried = block(0, 0);
  stage().write(retried, table_);
  StageJournal journal = stage();
  const auto ignore = [](const std::string&) {};
  while (const auto result = journal.next({"cpu"}, ignore)) EXPECT_THAT(result->failed, IsEmpty());
  EXPECT_THAT(all_of(stage()), SizeIs(2));
}

TEST_F(StageJournalTest, SetsDamagedFilesAside) {
  const StageJournal journal = stage();
  for (std::int64_t unit = 0; unit < 4; ++unit) journal.write(block(unit, 0), table_);
  change(journal.folder() / "0.0.1.block", [](std::string& bytes) { bytes.clear(); });
  change(journal.folder() / "0.1.1.block", [](std::string& bytes) { bytes.pop_back(); });
  change(journal.folder() / "0.2.1.block", [](std::string& bytes) { bytes[60] ^= 4; });
  EXPECT_THAT(all_of(stage()), SizeIs(1));
  EXPECT_THAT(warnings_, SizeIs(3));
  EXPECT_THAT(warnings_, ::testing::Each(HasSubstr("computed again")));
  EXPECT_TRUE(std::filesystem::exists(journal.folder() / "0.1.1.block.damaged"));
  EXPECT_THAT(all_of(stage()), SizeIs(1));
  EXPECT_THAT(warnings_, SizeIs(3)) << "a second time there is nothing to warn of";
}

TEST_F(StageJournalTest, LeavesEverythingAsItLiesWhereItOnlyReads) {
  const StageJournal journal = stage();
  for (std::int64_t unit = 0; unit < 2; ++unit) journal.write(block(unit, 0), table_);
  change(journal.folder() / "0.1.1.block", [](std::string& bytes) { bytes.pop_back(); });
  const GroupJournal reading(folder_, JournalGroup::of({{"a", "1"}, {"b", "2"}}));
  EXPECT_THAT(all_of(reading.stage("work", table_), {}), SizeIs(1));
  EXPECT_THAT(warnings_, ::testing::ElementsAre(HasSubstr("to be computed again")));
  EXPECT_TRUE(std::filesystem::exists(journal.folder() / "0.1.1.block"));
}

TEST_F(StageJournalTest, SweepsWhatKilledWritersHaveLeft) {
  const std::filesystem::path folder = stage().folder();
  for (const char* name : {".tributary-17-0.part", ".tributary-9-3.part"}) std::ofstream(folder / name) << "half a blo";
  std::ofstream(folder / "notes.part") << "somebody's";
  (void)stage();
  EXPECT_FALSE(std::filesystem::exists(folder / ".tributary-17-0.part"));
  EXPECT_FALSE(std::filesystem::exists(folder / ".tributary-9-3.part"));
  EXPECT_TRUE(std::filesystem::exists(folder / "notes.part"));
}

TEST_F(StageJournalTest, RefusesBlocksOfOtherWork) {
  const StageJournal journal = stage();
  journal.write(block(0, 0), table_);
  const StageJournal other = group().stage("other", table_);
  other.begin("other", table_);
  std::filesystem::copy(journal.folder() / "0.0.1.block", other.folder() / "0.0.1.block");
  EXPECT_THROW(all_of(group().stage("other", table_)), UserError);
}

TEST_F(StageJournalTest, RefusesBlocksOfAnotherProcessor) {
  stage("an older one").write(block(0, 0), table_);
  EXPECT_THROW(all_of(stage()), UserError);
  EXPECT_THAT(all_of(stage(), {"an older one", "cpu"}), SizeIs(1));
  EXPECT_THAT(all_of(stage(), {}), SizeIs(1)) << "of any kind";
}

TEST_F(StageJournalTest, KnowsWhichProcessorsComputedWhatItGave) {
  stage("an older one").write(block(0, 0), table_);
  stage().write(block(1, 0), table_);
  StageJournal journal = stage();
  EXPECT_THAT(journal.processors(), IsEmpty());
  while (journal.next({}, [](const std::string&) {})) continue;
  EXPECT_THAT(journal.processors(), ::testing::ElementsAre("an older one", "cpu"));
}

TEST_F(StageJournalTest, RefusesAnotherVersion) {
  const StageJournal journal = stage();
  std::ofstream file(journal.folder() / "0.0.1.block", std::ios::binary);
  const BlockResult result = block(0, 0);
  put_block_file(
      {"x", "cpu"}, view_of(result), [&file](std::string_view bytes) { file << bytes; }, 2);
  file.close();
  EXPECT_THROW(all_of(stage()), UserError);
}

TEST_F(StageJournalTest, KeepsAnotherCutApart) {
  stage().write(block(0, 0), table_);
  const UnitTable other({{0, 0, 1}, {0, 1, 1}});
  const StageJournal journal = group().stage("work", other);
  journal.begin("work", other);
  EXPECT_THAT(all_of(journal), IsEmpty());
}

TEST_F(StageJournalTest, PacksAStageIntoOneFile) {
  StageJournal journal = stage();
  journal.write(block(0, 2), table_);
  journal.write(block(4, 0), table_);
  BlockResult all;
  all.nodes.push_back({0, LaneFold::root_level(5), 0, {42.0}});
  journal.pack(view_of(all));
  StageJournal again = stage();
  const auto result = again.next({"cpu"}, [](const std::string&) {});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->nodes.front().sum, std::vector<double>{42.0});
  EXPECT_EQ(LaneFold::range(result->nodes.front(), 5), std::pair(std::int64_t{0}, std::int64_t{5}));
  EXPECT_TRUE(again.packed());
  EXPECT_FALSE(again.next({"cpu"}, [](const std::string&) {}));
  EXPECT_FALSE(std::filesystem::exists(journal.folder() / "0.0.4.block"));
}

TEST_F(StageJournalTest, GivesBackSparseSums) {
  const auto ignore = [](const std::string&) {};
  BlockResult part = block(0, 2);
  part.nodes.front().sparse = {1, {3, 8'000'000'000}, {0.5, 0.25}};
  stage().write(part, table_);
  const auto stored = stage().next({"cpu"}, ignore);
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->nodes.front().sparse, part.nodes.front().sparse);
  part.nodes.front().level = LaneFold::root_level(5);
  stage().pack(view_of(part));
  StageJournal again = stage();
  const auto whole = again.next({"cpu"}, ignore);
  ASSERT_TRUE(whole && again.packed());
  EXPECT_EQ(whole->nodes.front().sparse, part.nodes.front().sparse);
}

TEST_F(StageJournalTest, GoesOnWithPartsWhenTheWholeIsDamaged) {
  StageJournal journal = stage();
  BlockResult all;
  all.nodes.push_back({0, LaneFold::root_level(5), 0, {42.0}});
  journal.pack(view_of(all));
  journal.write(block(0, 2), table_);  // as after a kill between writing the whole and removing its parts
  EXPECT_THAT(all_of(stage()), SizeIs(1)) << "the whole alone";
  change(journal.folder() / "all.block", [](std::string& bytes) { bytes.resize(50); });
  EXPECT_THAT(all_of(stage()), SizeIs(1)) << "the part alone";
  EXPECT_THAT(warnings_, SizeIs(1));
}

TEST_F(StageJournalTest, SaysWhyTheDiskRefuses) {
  const StageJournal journal = stage();
  std::filesystem::remove_all(folder_);
  try {
    journal.write(block(0, 0), table_);
    FAIL() << "written into a folder that is gone";
  } catch (const std::exception& problem) {
    EXPECT_THAT(problem.what(), HasSubstr("0.0.1.block"));
  }
}

}  // namespace
}  // namespace tributary
