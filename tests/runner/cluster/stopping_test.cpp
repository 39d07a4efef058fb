// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Signals raise the flag; the second Ctrl-C ends the program.

#include "runner/cluster/stopping.h"

#include <gtest/gtest.h>

#include <chrono>

#include "common/errors.h"

namespace tributary {
namespace {

TEST(ScopedSignalHandler, RaisesTheFlag) {
  for (const int number : {SIGINT, SIGTERM, SIGUSR1}) {
    StopFlag flag;
    const ScopedSignalHandler handler(flag);
    EXPECT_FALSE(flag.requested());
    std::raise(number);
    EXPECT_TRUE(flag.requested());
    EXPECT_EQ(flag.signal_number(), number);
  }
}

TEST(ScopedSignalHandler, KeepsTheFirstSignal) {
  StopFlag flag;
  const ScopedSignalHandler handler(flag);
  for (const int number : {SIGUSR1, SIGTERM, SIGTERM, SIGUSR1}) std::raise(number);
  EXPECT_EQ(flag.signal_number(), SIGUSR1);
}

TEST(StopFlag, TellsTheEndOfItsTimeFromASignal) {
  StopFlag flag;
  EXPECT_FALSE(flag.out_of_time());
  flag.set_deadline(std::chrono::hours(1));
  flag.request();
  EXPECT_TRUE(flag.requested());
  EXPECT_FALSE(flag.out_of_time());
  flag.set_deadline(std::chrono::nanoseconds(0));
  EXPECT_TRUE(flag.out_of_time());
  flag.request(SIGTERM);
  EXPECT_FALSE(flag.out_of_time());
}

TEST(ScopedSignalHandler, RestoresWhatWasThere) {
  struct sigaction before {};
  sigaction(SIGTERM, nullptr, &before);
  StopFlag flag;
  {
    const ScopedSignalHandler handler(flag);
    StopFlag other;
    EXPECT_THROW(ScopedSignalHandler{other}, ContractViolation);
    struct sigaction during {};
    sigaction(SIGTERM, nullptr, &during);
    EXPECT_NE(during.sa_handler, before.sa_handler);
  }
  struct sigaction after {};
  sigaction(SIGTERM, nullptr, &after);
  EXPECT_EQ(after.sa_handler, before.sa_handler);
}

TEST(ScopedSignalHandlerDeathTest, LetsTheSecondInterruptEndTheProgram) {
  const auto interrupt_twice = [] {
    StopFlag flag;
    const ScopedSignalHandler handler(flag);
    std::raise(SIGINT);
    std::raise(SIGINT);
  };
  EXPECT_EXIT(interrupt_twice(), ::testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace tributary
