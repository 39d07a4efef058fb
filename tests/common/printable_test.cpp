// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Texts of other people on a terminal, and as names of folders.
#include <gtest/gtest.h>

#include <string>

#include "common/text.h"

namespace tributary {
namespace {

TEST(Printable, ShowsWhatATerminalWouldObey) {
  EXPECT_EQ(printable("\x1b]0;title\x07 \x1b[2J"), "\\x1b]0;title\\x07 \\x1b[2J");
  EXPECT_EQ(printable("a\rb\x7f\x08"), "a\\rb\\x7f\\x08");
  EXPECT_EQ(printable("\u009b31m"), "\\x9b31m") << "a control character of one byte elsewhere";
  EXPECT_EQ(printable("\u202Eevil\u2066"), "\\u202eevil\\u2066");
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
}

TEST(Printable, LeavesTextAlone) {
  const std::string text = "caf\u00e9 \u6f22\u5b57 \U0001F600 \u00a0 'quoted' \\n";
  EXPECT_EQ(printable(text), text);
  EXPECT_EQ(printable("two\n\tlines"), "two\n\tlines");
  EXPECT_EQ(printable("two\n\tlines", LineEnds::escape), "two\\n\\tlines");
}

TEST(Printable, ShowsBytesThatAreNoText) {
  EXPECT_EQ(printable("a\xFF\xC3"), "a\\xff\\xc3");
  EXPECT_EQ(printable("\xC3\xBC\xBC"), "\u00fc\\xbc");
  EXPECT_EQ(printable("\x9b"), "\\x9b");
}

TEST(PlainName, StaysInItsFolder) {
  for (const char* const name : {"a", "method=atp,steps=10", "..a", "a..", "-", "\u00fc", "a b", "a\\b"}) {
    EXPECT_TRUE(is_plain_name(name)) << name;
  }
  for (const char* const name : {"", ".", "..", "/", "a/b", "/a", "../a", "a\nb", "a\x1b", "\xFF", "\u202E"}) {
    EXPECT_FALSE(is_plain_name(name)) << name;
  }
  EXPECT_FALSE(is_plain_name(std::string("a\0b", 3)));
  EXPECT_TRUE(is_plain_name(std::string(255, 'a')));
  EXPECT_FALSE(is_plain_name(std::string(256, 'a')));
}

}  // namespace
}  // namespace tributary
