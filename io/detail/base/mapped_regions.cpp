// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/base/mapped_regions.h"

#include <atomic>

#include "io/mapped_files.h"

namespace tributary {
namespace detail {

struct MappedRegion {
  std::string path;
  const std::byte* begin;
  const std::byte* end;
  std::atomic<bool> is_mapped{true};
  MappedRegion* next = nullptr;
};

namespace {

/// The latest region; the others hang on it. A region is never freed: a handler may be looking at it.
std::atomic<MappedRegion*> latest{nullptr};
static_assert(std::atomic<MappedRegion*>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

}  // namespace

MappedRegion* note_mapping(const std::string& path, const std::byte* data, std::size_t bytes) {
  auto* const region = new MappedRegion{path, data, data + bytes};
  region->next = latest.load();
  while (!latest.compare_exchange_weak(region->next, region)) {
  }
  return region;
}

void forget_mapping(MappedRegion* region) noexcept {
  if (region != nullptr) region->is_mapped = false;
}

}  // namespace detail

const char* file_mapped_at(const void* address) noexcept {
  for (const detail::MappedRegion* region = detail::latest.load(); region != nullptr; region = region->next) {
    const bool inside = region->begin <= address && address < region->end;
    if (inside && region->is_mapped) return region->path.c_str();
  }
  return nullptr;
}

}  // namespace tributary
