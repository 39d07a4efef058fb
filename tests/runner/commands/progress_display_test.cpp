// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The progress display, with a clock of its own and a string for a terminal.

#include "runner/commands/progress_display.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace tributary {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ProgressDisplayTest : public ::testing::Test {
 protected:
  /// A stage that does `rate` units a second, seen every `step` seconds.
  void run(ProgressDisplay& display, double seconds, double step, double rate) {
    for (const double end = now_ + seconds; now_ < end - 1e-9;) {
      now_ += step;
      state_.done = static_cast<std::int64_t>(std::floor(now_ * rate + 1e-6));
      state_.cost_done = static_cast<double>(state_.done) * 2;
      display.update(state_);
    }
  }
  std::int64_t lines() const {
    const std::string text = out_.str();
    return std::count(text.begin(), text.end(), '\n');
  }

  double now_ = 0;
  std::ostringstream out_;
  ProgressDisplay::Clock clock_ = [this] { return now_; };
  Progress state_{"attribution", 0, 0, 0, 1000, 0, 2000, {}};
};

TEST_F(ProgressDisplayTest, WritesPlainLinesNowAndThen) {
  ProgressDisplay display(out_, ProgressStyle::Lines, clock_);
  display.update(state_);
  run(display, 1.875, 0.125, 10);
  EXPECT_EQ(out_.str(), "");
  run(display, 0.25, 0.125, 10);
  EXPECT_EQ(lines(), 1);
  EXPECT_THAT(out_.str(), StartsWith("attribution 20/1000 2% · 10 units/s · 1 min 38 s left · 2 s so far\n"));
  run(display, 20, 0.125, 10);
  EXPECT_EQ(lines(), 5);
  EXPECT_THAT(out_.str(), Not(HasSubstr("\x1b")));
}

TEST_F(ProgressDisplayTest, WritesFewLinesInALongStage) {
  ProgressDisplay display(out_, ProgressStyle::Lines, clock_);
  display.update(state_);
  run(display, 10 * 3600, 1, 0.02);
  EXPECT_LT(lines(), 350);
  EXPECT_GT(lines(), 200);
}

TEST_F(ProgressDisplayTest, RedrawsABarAndWipesIt) {
  {
    ProgressDisplay display(out_, ProgressStyle::Bar, clock_);
    display.update(state_);
    run(display, 10, 1.0 / 1024, 50);
    run(display, 1, 1, 50);
    const std::string text = out_.str();
    const auto redraws = std::count(text.begin(), text.end(), '\r');
    EXPECT_LE(redraws, 102);
    EXPECT_GE(redraws, 90);
    EXPECT_EQ(lines(), 0);
    EXPECT_THAT(text,
                HasSubstr("attribution [#############...........] 550/1000 55% · 50 units/s · 9 s left · 11 s so far"));
  }
  EXPECT_THAT(out_.str(), EndsWith("\r\x1b[K"));
}

TEST_F(ProgressDisplayTest, ShowsFailures) {
  ProgressDisplay display(out_, ProgressStyle::Bar, clock_);
  state_.failed = 3;
  display.update(state_);
  EXPECT_THAT(out_.str(), HasSubstr("0/1000 0% · 3 failed"));
}

TEST_F(ProgressDisplayTest, IsNotDoneBeforeItIs) {
  ProgressDisplay display(out_, ProgressStyle::Bar, clock_);
  state_.done = 999;
  display.update(state_);
  EXPECT_THAT(out_.str(), HasSubstr(" 99%"));
}

TEST_F(ProgressDisplayTest, StartsAfreshWithAnotherStage) {
  ProgressDisplay display(out_, ProgressStyle::Lines, clock_);
  display.update(state_);
  run(display, 30, 0.5, 10);
  const std::int64_t before = lines();
  state_.stage = "curve";
  display.update(state_);
  now_ += 1.9;
  display.update(state_);
  EXPECT_EQ(lines(), before);
  now_ += 0.2;
  display.update(state_);
  EXPECT_EQ(lines(), before + 1);
}

TEST_F(ProgressDisplayTest, SaysNoPaceBeforeAUnitIsFinished) {
  ProgressDisplay display(out_, ProgressStyle::Lines, clock_);
  state_.total = 8;
  state_.cost_total = 8;
  display.update(state_);
  for (now_ = 1; now_ < 100; ++now_) display.update(state_);
  EXPECT_THAT(out_.str(), HasSubstr("attribution 0/8 0% · 57 s so far\n"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("left")));
  state_.done = 2;  // two workers, a unit every 100 s each
  state_.cost_done = 2;
  for (; now_ < 130; ++now_) display.update(state_);
  EXPECT_THAT(out_.str(), HasSubstr("attribution 2/8 25% · 0.02 units/s · 5 min 00 s left · 2 min 02 s so far\n"));
}

TEST_F(ProgressDisplayTest, SaysNothingWhenSilent) {
  ProgressDisplay display(out_, ProgressStyle::Silent, clock_);
  run(display, 10, 0.1, 10);
  display.clear();
  EXPECT_EQ(out_.str(), "");
}

}  // namespace
}  // namespace tributary
