// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/journalled_stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
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
    result.nodes.push_back({0, level, first >> level, {sum}, {1, {first % 2, 5'000'000'000}, {sum, 1}}});
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
  static constexpr std::int64_t count = StageStore::few_files + 1;
  static constexpr double sum_of_all = count * (count + 1) / 2.0;
  const std::vector<UnitSpec> units_ = [] {
    std::vector<UnitSpec> units;
    for (std::int64_t i = 0; i < count; ++i) units.push_back({0, i, 1});
    return units;
  }();
  const Stage stage_{"work", " of run 0", units_, {}};

  /// Units from `first` on, each in a file of its own, with the sums 1, 2, 3 …
  static void write_units(const StageStore& store, std::int64_t first = 0) {
    for (std::int64_t i = first; i < count; ++i) store.write(block(i, 0, static_cast<double>(i + 1)));
  }
  /// The same with the first two units in one file: few files.
  static void write_with_a_pair(const StageStore& store) {
    write_units(store, 2);
    store.write(block(0, 1, 3));
  }
  [[nodiscard]] StageStore begun() const {
    written_.begin();
    StageStore store(alone_, written_, stage_);
    store.begin();
    return store;
  }
  static StageResult whole() {
    StageResult all;
    all.sums = {{sum_of_all}};
    all.sparse = {{1, {5'000'000'000}, {count}}};
    all.rows.assign(count, {3.0});
    return all;
  }
  [[nodiscard]] bool is_packed() const {
    const std::vector<std::filesystem::path> all = files();
    return std::any_of(all.begin(), all.end(), [](const auto& file) { return file.filename() == "all.block"; });
  }
};

TEST_F(JournalledStagesTest, ReadsAStageFromItsBlocks) {
  const StageStore store = begun();
  write_with_a_pair(store);
  const std::vector<std::filesystem::path> before = files();
  const StageResult result = read();
  EXPECT_THAT(result.sums, ElementsAre(ElementsAre(sum_of_all)));
  EXPECT_THAT(result.rows[0], ElementsAre(3, -3));
  EXPECT_THAT(result.rows[1], IsEmpty());
  EXPECT_THAT(result.rows[3], ElementsAre(4, -4));
  EXPECT_EQ(result.restored, count);
  EXPECT_EQ(files(), before) << "reading leaves the journal as it is";
}

TEST_F(JournalledStagesTest, ReadsAPackedStageWithTheSameNumbers) {
  const StageStore store = begun();
  write_units(store);
  const StageResult parts = read();
  EXPECT_THAT(parts.sparse, ElementsAre(SparseSum{1, {0, 1, 5'000'000'000}, {25, 20, count}}));
  store.end(parts, {});
  EXPECT_TRUE(is_packed());
  const StageResult whole = read();
  EXPECT_EQ(whole.sums, parts.sums);
  EXPECT_EQ(whole.sparse, parts.sparse);
  EXPECT_EQ(whole.rows, parts.rows);
}

TEST_F(JournalledStagesTest, AStageOfFewBlocksIsNotWrittenAgain) {
  const StageStore store = begun();
  write_with_a_pair(store);
  const std::vector<std::filesystem::path> before = files();
  store.end(whole(), {});
  EXPECT_EQ(files(), before);
  store.end(read(), {});
  EXPECT_TRUE(is_packed()) << "blocks of an earlier start may overlap";
  EXPECT_EQ(read().restored, count);
}

TEST_F(JournalledStagesTest, RefusesWhereUnitsAreMissing) {
  EXPECT_THROW((void)read(), UserError) << "no journal at all";
  const StageStore store = begun();
  store.write(block(0, 1, 3));
  EXPECT_THROW((void)read(), UserError) << "one unit is missing";
}

TEST_F(JournalledStagesTest, AStageThatCannotBePackedIsThereAllTheSame) {
  written_.begin();
  StageStore store(alone_, written_, stage_);
  store.begin();
  write_units(store);
  std::filesystem::path folder;
  for (const auto& file : files()) {
    if (file.extension() == ".block") folder = file.parent_path();
  }
  ASSERT_FALSE(folder.empty());
  std::filesystem::create_directories(folder / "all.block" / "something");  // so that no file can take its name
  std::vector<std::string> warnings;
  EXPECT_NO_THROW(store.end(whole(), [&warnings](const std::string& text) { warnings.push_back(text); }));
  EXPECT_THAT(warnings, ElementsAre(::testing::HasSubstr("the blocks stay as they are")));
  std::filesystem::remove_all(folder / "all.block");
  EXPECT_THAT(read().sums, ElementsAre(ElementsAre(sum_of_all)));
}

TEST_F(JournalledStagesTest, BlocksOfSeveralProcessorsStayApart) {
  written_.begin();
  const GroupJournal older(folder_, group_, {"an older one", {"an older one"}});
  StageStore(alone_, older, stage_).begin();
  write_units(StageStore(alone_, older, stage_), 1);
  StageStore store(alone_, written_, stage_);
  store.begin();
  store.write(block(0, 0, 1));
  while (store.next({})) continue;
  store.end(whole(), {});
  EXPECT_FALSE(is_packed()) << "it would name one of them";
  EXPECT_THAT(read().sums, ElementsAre(ElementsAre(sum_of_all)));
}

}  // namespace
}  // namespace tributary
