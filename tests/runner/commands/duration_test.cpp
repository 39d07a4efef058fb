// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/duration.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/errors.h"

namespace tributary {
namespace {

TEST(Duration, ReadsWhatPeopleAndSlurmWrite) {
  EXPECT_EQ(parse_duration("90s").count(), 90);
  EXPECT_EQ(parse_duration("45m").count(), 45 * 60);
  EXPECT_EQ(parse_duration("2h").count(), 7200);
  EXPECT_EQ(parse_duration("0:59").count(), 59);
  EXPECT_EQ(parse_duration("3:20").count(), 200);
  EXPECT_EQ(parse_duration("1:30:00").count(), 5400);
  EXPECT_EQ(parse_duration("2-12:00:00").count(), 60 * 3600);
}

TEST(Duration, RefusesTheRest) {
  for (const char* text : {"", "90", "UNLIMITED", "1:2:3:4", "-1:00", "1.5h", "10 m", "1:2"}) {
    EXPECT_THROW((void)parse_duration(text), UserError) << text;
  }
}

TEST(Duration, LeavesTimeToStop) {
  EXPECT_EQ(time_to_work(std::chrono::hours(10)), std::chrono::hours(10) - std::chrono::seconds(60));
  EXPECT_EQ(time_to_work(std::chrono::seconds(50)).count(), 45);
}

TEST(FormatDuration, ReadsLikeAClock) {
  EXPECT_EQ(format_duration(0), "0 s");
  EXPECT_EQ(format_duration(6.2), "7 s");
  EXPECT_EQ(format_duration(245), "4 min 05 s");
  EXPECT_EQ(format_duration(3723), "1 h 02 min");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "?");
}

}  // namespace
}  // namespace tributary
