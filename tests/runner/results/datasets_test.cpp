// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/results/detail/datasets.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "io/results.h"
#include "runner/results/schema.h"

namespace tributary::detail {
namespace {

/// An attribute holds 3,750 texts at the most.
TEST(ProvenanceOfRanks, FitsWhateverTheirNumber) {
  std::vector<std::string> hosts, devices;
  for (int rank = 0; rank < 10'000; ++rank) {
    hosts.push_back("a-node-with-a-long-name-" + std::to_string(rank / 4));
    devices.push_back("cuda:" + std::to_string(rank % 4));
  }
  ResultsFile file;
  add_provenance(file, {{"hosts", hosts}, {"devices", devices}, {"version", std::string("1")}});
  EXPECT_TRUE(parts_without_row(file).empty());
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("tributary-ranks-" + std::to_string(getpid()) + ".h5");
  write_results(path, file);
  const ResultsFile read = read_results(path);
  std::filesystem::remove(path);
  EXPECT_EQ(std::get<std::vector<std::string>>(read.find("/provenance/hosts")->values), hosts);
  EXPECT_EQ(std::get<std::vector<std::string>>(read.find("/provenance/devices")->values), devices);
  EXPECT_EQ(read.group_attributes.at("/provenance").size(), 1U);
}

}  // namespace
}  // namespace tributary::detail
