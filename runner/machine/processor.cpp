// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/machine/processor.h"

#include <ATen/Version.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "runner/machine/host.h"

namespace tributary {

std::string processor_kind(c10::DeviceType device) {
  std::string kind = cpu_model() + ", " + at::get_cpu_capability();
  if (device == c10::DeviceType::CPU) return kind;
  std::set<std::string> cards;
  std::error_code error;
  for (const auto& card : std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", error)) {
    std::ifstream information(card.path() / "information");
    for (std::string line; std::getline(information, line);) {
      if (line.rfind("Model:", 0) == 0) cards.insert(line.substr(line.find_first_not_of(" \t", 6)));
    }
  }
  for (const std::string& card : cards) kind += ", " + card;
  return kind;
}

}  // namespace tributary
