// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/machine/processor.h"

#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <system_error>

#include "runner/machine/host.h"

namespace tributary {
namespace {

/// "2024.2" of "Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605 for …"; the text itself where
/// there is no such number.
std::string number_in(const std::string& text) {
  constexpr const char* digits = "0123456789";
  for (std::size_t first = text.find_first_of(digits); first != std::string::npos;) {
    const std::size_t last = std::min(text.find_first_not_of("0123456789.", first), text.size());
    std::string number = text.substr(first, text.find_last_of(digits, last - 1) + 1 - first);
    if (number.find('.') != std::string::npos) return number;
    first = text.find_first_of(digits, last);
  }
  return text;
}

}  // namespace

std::string processor_kind(c10::DeviceType device) {
  std::string kind = cpu_model() + ", " + at::get_cpu_capability() + ", torch " + TORCH_VERSION + ", MKL " +
                     number_in(at::get_mkl_version()) + ", oneDNN " + number_in(at::get_mkldnn_version()) +
                     ", compiler " + __VERSION__;
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
