// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/printable_stream.h"

#include <gtest/gtest.h>

#include <sstream>

namespace tributary {
namespace {

TEST(PrintableStream, WhateverIsPrintedIsShown) {
  std::ostringstream out;
  {
    const PrintableStream printable(out);
    out << "tensor '\x1b]0;title\x07'\n" << 7 << '\r' << std::flush << "caf\u00e9";
  }
  EXPECT_EQ(out.str(), "tensor '\\x1b]0;title\\x07'\n7\\rcaf\u00e9");
  out << "\x1b";
  EXPECT_TRUE(out.str().ends_with("\x1b")) << "it goes with its scope";
}

TEST(PrintableStream, CharactersMayComeInPieces) {
  std::ostringstream out;
  {
    const PrintableStream printable(out);
    out << "\xF0\x9F" << std::flush << "\x98\x80" << '\xC3' << '\xBC' << "\xE2\x80"
        << "\xAE|" << '\xC2';
  }
  EXPECT_EQ(out.str(), "\U0001F600\u00fc\\u202e|\\xc2");
}

TEST(PrintableStream, OurOwnCommandsHaveAWayRound) {
  std::ostringstream out;
  const PrintableStream printable(out);
  std::ostream terminal(PrintableStream::unfiltered(out));
  terminal << "\r\x1b[K";
  EXPECT_EQ(out.str(), "\r\x1b[K");
  const std::ostringstream bare;
  EXPECT_EQ(PrintableStream::unfiltered(bare), bare.rdbuf());
}

}  // namespace
}  // namespace tributary
