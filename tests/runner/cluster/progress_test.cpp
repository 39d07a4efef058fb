// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The progress display, with a clock of its own and a string for a terminal.

#include "runner/cluster/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
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
  EXPECT_THAT(out_.str(), StartsWith("attribution 20/1000 2% · 10 units/s · 1:38 left\n"));
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
    EXPECT_THAT(text, HasSubstr("attribution [#############...........] 550/1000 55% · 50 units/s · 0:09 left"));
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

TEST_F(ProgressDisplayTest, SaysNothingWhenSilent) {
  ProgressDisplay display(out_, ProgressStyle::Silent, clock_);
  run(display, 10, 0.1, 10);
  display.clear();
  EXPECT_EQ(out_.str(), "");
}

TEST(RateMeter, FollowsAChangeOfPace) {
  RateMeter rate;
  EXPECT_EQ(rate.units_per_second(), 0);
  for (int second = 0; second <= 100; ++second) rate.add(second, 10 * second, 30 * second);
  EXPECT_DOUBLE_EQ(rate.units_per_second(), 10);
  EXPECT_DOUBLE_EQ(rate.cost_per_second(), 30);
  for (int second = 101; second <= 131; ++second) rate.add(second, 900 + second, 3 * (900 + second));
  EXPECT_DOUBLE_EQ(rate.units_per_second(), 1);
}

TEST(RateMeter, KnowsTheRateOfASlowStage) {
  RateMeter rate;
  for (int hour = 0; hour < 5; ++hour) rate.add(3600.0 * hour, hour, hour);
  EXPECT_NEAR(rate.units_per_second(), 1.0 / 3600, 1e-12);
}

TEST(RateMeter, DoesNotCountWhatWasRestored) {
  RateMeter rate;
  rate.add(0, 900, 900);
  rate.add(10, 910, 910);
  EXPECT_DOUBLE_EQ(rate.units_per_second(), 1);
}

TEST(FormatDuration, ReadsLikeAClock) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(6.2), "0:07");
  EXPECT_EQ(format_duration(245), "4:05");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "?");
}

}  // namespace
}  // namespace tributary
