// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/machine/memory_limits.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <stdexcept>
#include <vector>

namespace tributary {
namespace {

TEST(MemoryLimits, ReadsSizesAsPeopleWriteThem) {
  EXPECT_EQ(parse_bytes("8 GiB"), 8ULL << 30);
  EXPECT_EQ(parse_bytes("2.5 GiB"), 5ULL << 29);
  EXPECT_EQ(parse_bytes("500 MB"), 500'000'000U);
  EXPECT_EQ(parse_bytes("1 TiB"), 1ULL << 40);
  EXPECT_EQ(parse_bytes("24G"), 24ULL << 30);
  EXPECT_EQ(parse_bytes("500 M"), 500ULL << 20);
  for (const char* text : {"", "8", "GiB", "8 gib", "-1 GiB", "0 B", "nan B", "8 GiB more"}) {
    EXPECT_THROW((void)parse_bytes(text), std::invalid_argument) << text;
  }
}

TEST(MemoryLimits, WritesSizesForPeople) {
  EXPECT_EQ(text_of_bytes(3ULL << 29), "1.5 GiB");
  EXPECT_EQ(text_of_bytes(300ULL << 20), "300 MiB");
}

TEST(MemoryLimits, SeesWhatThisProcessTakes) {
  constexpr std::size_t taken = 200 << 20;
  const std::uint64_t before = resident_bytes();
  const std::vector<char> memory(taken, 1);  // written, so every page is there
  EXPECT_GT(resident_bytes(), before + taken / 2);
  EXPECT_GE(peak_resident_bytes(), before + taken / 2);
  EXPECT_EQ(memory.back(), 1);
}

TEST(MemoryLimits, ForgetsAPeakThatIsOver) {
  constexpr std::size_t taken = 200 << 20;
  const std::uint64_t before = resident_bytes();
  // From the system itself, and back to it: an allocator, above all a sanitizer's, may keep what is freed.
  void* const memory = mmap(nullptr, taken, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  std::memset(memory, 1, taken);
  munmap(memory, taken);
  EXPECT_GT(peak_resident_bytes(), before + taken / 2);
  forget_peak();
  EXPECT_LT(peak_resident_bytes(), before + taken / 2);
}

TEST(MemoryLimits, LeavesThisProcessSomething) {
  EXPECT_GT(free_host_bytes(), 1U << 20);
  EXPECT_LT(free_host_bytes(), 1ULL << 50) << "the smaller of two limits, not the one that is not set";
}

}  // namespace
}  // namespace tributary
