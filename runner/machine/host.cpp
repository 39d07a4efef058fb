// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/machine/host.h"

#include <unistd.h>

#include <ctime>
#include <fstream>
#include <istream>
#include <set>

#include "common/text.h"

namespace tributary {

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? name : "unknown";
}

std::string cpu_model_in(std::istream& cpuinfo) {
  std::set<std::string> parts;  // a machine may have cores of two kinds
  std::string implementer;
  for (std::string line; std::getline(cpuinfo, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string name = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
    const std::string value = begin == std::string::npos ? "" : line.substr(begin);
    if (name == "model name" || name == "cpu") return value;  // x86; POWER
    if (name == "CPU implementer") implementer = value;       // ARM
    if (name == "CPU part") parts.insert("implementer " + implementer + " part " + value);
  }
  return parts.empty() ? "unknown" : "ARM " + join({parts.begin(), parts.end()});
}

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  return cpu_model_in(info);
}

std::string utc_now() {
  const std::time_t time = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&time, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace tributary
