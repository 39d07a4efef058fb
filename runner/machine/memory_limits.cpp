// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/machine/memory_limits.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

namespace tributary {
namespace {

std::uint64_t kib_field(const std::filesystem::path& file, const std::string& name) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::stoull(line.substr(name.size() + 1)) * 1024;
  }
  return 0;
}

}  // namespace

std::uint64_t free_host_bytes(const MemorySources& sources) {
  return std::min(kib_field(sources.root / "proc/meminfo", "MemAvailable"), control_group_free(sources));
}

std::uint64_t resident_bytes() {
  return kib_field("/proc/self/status", "RssAnon") + kib_field("/proc/self/status", "RssFile");
}

std::uint64_t resident_file_bytes() { return kib_field("/proc/self/status", "RssFile"); }

void return_freed_memory() { malloc_trim(0); }

std::uint64_t peak_resident_bytes() { return kib_field("/proc/self/status", "VmHWM"); }

void forget_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }  // 5: the peak alone (man 5 proc)

std::uint64_t parse_bytes(const std::string& text) {
  // A letter alone is Slurm's.
  static const std::map<std::string, double> units = {{"B", 1},
                                                      {"kB", 1e3},
                                                      {"MB", 1e6},
                                                      {"GB", 1e9},
                                                      {"TB", 1e12},
                                                      {"KiB", 1 << 10},
                                                      {"MiB", 1 << 20},
                                                      {"GiB", 1 << 30},
                                                      {"TiB", 1099511627776.0},
                                                      {"K", 1 << 10},
                                                      {"M", 1 << 20},
                                                      {"G", 1 << 30},
                                                      {"T", 1099511627776.0}};
  std::istringstream fields(text);
  double number = 0;
  std::string unit, rest;
  const bool two = static_cast<bool>(fields >> number >> unit) && !(fields >> rest);
  constexpr double too_many = 9.2e18;  // more than any count of bytes here can hold
  if (!two || units.count(unit) == 0 || !(number > 0) || !(number * units.at(unit) < too_many)) {
    throw std::invalid_argument("'" + text + "' is no size; write 8 GiB, 500 MB or auto");
  }
  return static_cast<std::uint64_t>(number * units.at(unit));
}

std::string text_of_bytes(std::uint64_t bytes) {
  const auto b = static_cast<double>(bytes);
  return bytes >= 1ULL << 30 ? fmt::format("{:.1f} GiB", b / (1 << 30)) : fmt::format("{:.0f} MiB", b / (1 << 20));
}

}  // namespace tributary
