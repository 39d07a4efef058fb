// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "common/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tributary {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(UserError, ListsEveryProblemWithItsPlace) {
  const UserError error(std::vector<Problem>{{"sweep.yaml:3:5", "bad key"}, {"", "no pairs"}});
  EXPECT_STREQ(error.what(), "sweep.yaml:3:5: bad key\nno pairs");
  ASSERT_EQ(error.problems().size(), 2u);
  EXPECT_EQ(error.problems()[0].where, "sweep.yaml:3:5");
  EXPECT_EQ(error.problems()[1].text, "no pairs");
}

TEST(UserError, OfOneProblem) {
  const UserError error("pairs.jsonl", "is empty");
  EXPECT_STREQ(error.what(), "pairs.jsonl: is empty");
  EXPECT_EQ(error.problems().size(), 1u);
}

/// Texts of exceptions are C strings: what stands behind a NUL would be lost.
TEST(UserError, ShowsANulAndWhatStandsBehindIt) {
  using std::string_literals::operator""s;
  EXPECT_STREQ(UserError("a\0b"s, "the pattern '\0' is wrong"s).what(), "a\\x00b: the pattern '\\x00' is wrong");
}

TEST(Expect, ThrowsWithPlaceConditionAndReason) {
  const int rows = 3;
  try {
    TRIBUTARY_EXPECT(rows % 2 == 0, "rows come in twos, got " + std::to_string(rows));
    FAIL() << "nothing was thrown";
  } catch (const ContractViolation& violation) {
    EXPECT_THAT(violation.what(), AllOf(HasSubstr("errors_test.cpp:"), HasSubstr("rows % 2 == 0"), HasSubstr("got 3"),
                                        HasSubstr("report it")));
  }
}

TEST(Expect, EvaluatesTheReasonOnlyOnFailure) {
  int evaluations = 0;
  const auto reason = [&evaluations] {
    ++evaluations;
    return std::string("why");
  };
  TRIBUTARY_EXPECT(true, reason());
  EXPECT_EQ(evaluations, 0);
  EXPECT_THROW(TRIBUTARY_EXPECT(false, reason()), ContractViolation);
  EXPECT_EQ(evaluations, 1);
}

TEST(Expect, IsOneStatement) {
  const bool checked = true;
  if (checked)
    TRIBUTARY_EXPECT(checked, "an unbraced if must still take its else");
  else
    FAIL();
}

}  // namespace
}  // namespace tributary
