// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/machine/job_memory.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;

/// Names of a version's files.
struct GroupFiles {
  const char* limit;
  const char* taken;
  const char* droppable;  // field of memory.stat: file pages that nobody has used lately
};
constexpr GroupFiles version_1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr GroupFiles version_2{"memory.max", "memory.current", "inactive_file"};

std::vector<std::string> lines_of(const fs::path& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::istringstream in(text);
  std::vector<std::string> parts;
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// A number alone in a file; nothing where there is none ("max").
std::optional<std::uint64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t number = 0;
  return in >> number ? std::optional(number) : std::nullopt;
}

std::uint64_t field_of(const fs::path& file, const std::string& name) {
  for (const std::string& line : lines_of(file)) {
    std::istringstream fields(line);
    std::string key;
    std::uint64_t value = 0;
    if (fields >> key >> value && key == name) return value;
  }
  return 0;
}

/// "\040" and the like, as mountinfo writes blanks.
std::string unescaped(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool octal =
        text[i] == '\\' && i + 3 < text.size() &&
        std::all_of(text.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                    text.begin() + static_cast<std::ptrdiff_t>(i) + 4, [](char c) { return c >= '0' && c <= '7'; });
    plain += octal ? static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8)) : text[i];
    if (octal) i += 3;
  }
  return plain;
}

/// A hierarchy of control groups with memory limits, where it is mounted.
struct Mount {
  fs::path group;  // that lies at the mount point
  fs::path point;
  const GroupFiles* files;
};

std::vector<Mount> mounts_of(const MemorySources& sources) {
  std::vector<Mount> mounts;
  for (const std::string& line : lines_of(sources.root / "proc/self/mountinfo")) {
    // id, parent, device, root, mount point, options, …, "-", type, source, options of the file system
    std::istringstream in(line);
    const std::vector<std::string> fields{std::istream_iterator<std::string>(in), {}};
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash - fields.begin() < 6 || fields.end() - dash < 4) continue;
    const bool second = dash[1] == "cgroup2";
    if (!second && (dash[1] != "cgroup" || !contains(split(dash[3], ','), "memory"))) continue;
    mounts.push_back({unescaped(fields[3]), unescaped(fields[4]), second ? &version_2 : &version_1});
  }
  return mounts;
}

/// The process's group in a version's hierarchy.
std::optional<fs::path> group_of_process(const MemorySources& sources, const GroupFiles* files) {
  for (const std::string& line : lines_of(sources.root / "proc/self/cgroup")) {  // "4:memory:/job", "0::/job"
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool here = files == &version_2 ? controllers.empty() : contains(split(controllers, ','), "memory");
    if (here) return fs::path(line.substr(second + 1));
  }
  return std::nullopt;
}

std::uint64_t free_of(const fs::path& folder, const GroupFiles& files) {
  const std::optional<std::uint64_t> limit = number_in(folder / files.limit);
  const std::optional<std::uint64_t> taken = number_in(folder / files.taken);
  if (!limit || !taken) return no_limit;
  const std::uint64_t kept = *taken - std::min(*taken, field_of(folder / "memory.stat", files.droppable));
  return *limit > kept ? *limit - kept : 0;
}

/// The smallest of a group and the groups around it, up to the mount point.
std::uint64_t free_of(const MemorySources& sources, const Mount& mount, const fs::path& group) {
  const fs::path point = sources.root / mount.point.relative_path();
  fs::path below = group.lexically_relative(mount.group);
  if (below.empty() || *below.begin() == "..") below = ".";  // of another namespace: what is mounted is all that shows
  std::uint64_t least = free_of(point, *mount.files);
  fs::path folder = point;
  for (const fs::path& name : below) {
    folder /= name;
    least = std::min(least, free_of(folder, *mount.files));
  }
  return least;
}

/// A size in a variable of Slurm's, MiB where it has no unit; nothing where there is none.
std::optional<std::uint64_t> size_in(const std::string& value) {
  const bool digits = !value.empty() && value.find_first_not_of("0123456789") == std::string::npos;
  try {
    return parse_bytes(digits ? value + "M" : value);
  } catch (const std::invalid_argument&) {
    return std::nullopt;  // 0 as well, which asks for all that a node has
  }
}

/// A product that no count can hold limits nothing.
std::uint64_t times(std::uint64_t each, std::uint64_t count) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(each, count, &product) ? no_limit : product;
}

/// The count at the beginning: "16", or "16(x3),8" where nodes differ.
std::uint64_t count_in(const std::string& value) {
  std::istringstream in(value);
  std::uint64_t count = 0;
  return in >> count ? count : 0;
}

}  // namespace

MemorySources MemorySources::of_process() {
  return {"/", [](const char* name) {
            const char* const value = std::getenv(name);
            return std::string(value == nullptr ? "" : value);
          }};
}

std::uint64_t control_group_free(const MemorySources& sources) {
  std::uint64_t least = no_limit;
  for (const Mount& mount : mounts_of(sources)) {
    const std::optional<fs::path> group = group_of_process(sources, mount.files);
    least = std::min(least, free_of(sources, mount, group.value_or("/")));
  }
  return least;
}

std::uint64_t slurm_limit(const MemorySources& sources) {
  if (const auto node = size_in(sources.variable("SLURM_MEM_PER_NODE"))) return *node;
  const std::string cpus = sources.variable("SLURM_CPUS_ON_NODE");
  const std::uint64_t cpu_count = count_in(cpus.empty() ? sources.variable("SLURM_JOB_CPUS_PER_NODE") : cpus);
  const auto each_cpu = size_in(sources.variable("SLURM_MEM_PER_CPU"));
  if (each_cpu && cpu_count > 0) return times(*each_cpu, cpu_count);
  const std::uint64_t cards = count_in(sources.variable("SLURM_GPUS_ON_NODE"));
  const auto each_card = size_in(sources.variable("SLURM_MEM_PER_GPU"));
  if (each_card && cards > 0) return times(*each_card, cards);
  return no_limit;
}

}  // namespace tributary
