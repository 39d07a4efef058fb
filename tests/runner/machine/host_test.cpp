// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/machine/host.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace tributary {
namespace {

std::string model_in(const std::string& text) {
  std::istringstream cpuinfo(text);
  return cpu_model_in(cpuinfo);
}

TEST(CpuModel, HasOneNameOnX86AndPower) {
  EXPECT_EQ(model_in("processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 143\nmodel name\t: Intel(R) Xeon(R)\n"),
            "Intel(R) Xeon(R)");
  EXPECT_EQ(model_in("processor\t: 0\ncpu\t\t: POWER9, altivec supported\nclock\t\t: 3800MHz\n"),
            "POWER9, altivec supported");
}

/// Grace, Graviton and A64FX have no name there, and other arithmetic.
TEST(CpuModel, IsMadeOfNumbersOnArm) {
  const std::string grace = "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd4f\n";
  EXPECT_EQ(model_in(grace + grace), "ARM implementer 0x41 part 0xd4f");
  EXPECT_NE(model_in(grace), model_in("CPU implementer\t: 0x46\nCPU part\t: 0x001\n"));
  const std::string two =
      model_in("CPU implementer\t: 0x41\nCPU part\t: 0xd46\nCPU implementer\t: 0x41\nCPU part\t: 0xd4e\n");
  EXPECT_NE(two.find("0xd46"), std::string::npos);
  EXPECT_NE(two.find("0xd4e"), std::string::npos);
}

TEST(CpuModel, IsUnknownWhereNothingIsSaid) {
  EXPECT_EQ(model_in(""), "unknown");
  EXPECT_EQ(model_in("processor\t: 0\nhart\n"), "unknown");
}

}  // namespace
}  // namespace tributary
