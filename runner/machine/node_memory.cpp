// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/machine/node_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "common/errors.h"
#include "runner/machine/host.h"

namespace tributary {
namespace {

/// A file descriptor, closed with its scope.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int value() const { return value_; }

 private:
  int value_;
};

[[noreturn]] void fail(std::size_t bytes, int error) {
  throw RuntimeFailure("no memory for " + std::to_string(bytes >> 20) + " MiB of weights (" + std::strerror(error) +
                       "); take model.dtype: bfloat16, or a node with more memory");
}

int new_memory(std::size_t bytes) {
  const int memory = ::memfd_create("tributary-weights", MFD_CLOEXEC);
  if (memory < 0) fail(bytes, errno);
  // Reserved now: a page that cannot be had later would end the process without a word.
  if (const int error = ::posix_fallocate(memory, 0, static_cast<off_t>(bytes)); error != 0) {
    ::close(memory);
    fail(bytes, error);
  }
  return memory;
}

std::byte* mapped(int memory, std::size_t bytes, int protection) {
  void* const data = ::mmap(nullptr, bytes, protection, MAP_SHARED, memory, 0);
  return data == MAP_FAILED ? nullptr : static_cast<std::byte*>(data);
}

/// Tells machines apart, also those of one name: "" where the system does not say.
std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

/// A rank's memory, as other processes of its user can find it, and know it again.
struct Place {
  std::int64_t process = -1, descriptor = -1, device = -1, file = -1;  // as fstat has them
  static constexpr std::size_t numbers = 4;
};

Place place_of(int memory) {
  struct stat facts {};
  if (memory < 0 || ::fstat(memory, &facts) != 0) return {};
  return {::getpid(), memory, static_cast<std::int64_t>(facts.st_dev), static_cast<std::int64_t>(facts.st_ino)};
}

/// Where the first rank of this one's node keeps its memory. Collective.
Place place_of_first(const Communicator& comm, int memory) {
  const Place mine = place_of(memory);
  const std::vector<std::string> nodes = comm.gather(host_name() + " " + boot_id());
  const std::vector<std::int64_t> local = comm.gather(static_cast<std::int64_t>(comm.local_rank()));
  std::vector<std::vector<std::int64_t>> numbers;
  for (const std::int64_t number : {mine.process, mine.descriptor, mine.device, mine.file}) {
    numbers.push_back(comm.gather(number));
  }
  std::map<std::string, std::size_t> first_of;
  for (std::size_t rank = 0; rank < nodes.size(); ++rank) {
    if (local[rank] == 0) first_of.emplace(nodes[rank], rank);
  }
  std::vector<std::int64_t> all(Place::numbers * static_cast<std::size_t>(comm.size()), -1);
  for (std::size_t rank = 0; rank < nodes.size(); ++rank) {
    const auto first = first_of.find(nodes[rank]);
    if (first == first_of.end()) continue;
    for (std::size_t i = 0; i < Place::numbers; ++i) all[Place::numbers * rank + i] = numbers[i][first->second];
  }
  comm.broadcast(all);
  const std::size_t at = Place::numbers * static_cast<std::size_t>(comm.rank());
  return {all[at], all[at + 1], all[at + 2], all[at + 3]};
}

/// Null where it cannot be opened, or is another file: process numbers mean others in another container.
std::byte* mapped_from(const Place& place, std::size_t bytes) {
  const std::string path = "/proc/" + std::to_string(place.process) + "/fd/" + std::to_string(place.descriptor);
  const Descriptor theirs(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts {};
  if (theirs.value() < 0 || ::fstat(theirs.value(), &facts) != 0) return nullptr;
  const bool same = static_cast<std::int64_t>(facts.st_dev) == place.device &&
                    static_cast<std::int64_t>(facts.st_ino) == place.file && facts.st_size == static_cast<off_t>(bytes);
  return same ? mapped(theirs.value(), bytes, PROT_READ) : nullptr;
}

}  // namespace

NodeMemory::NodeMemory(const Communicator& comm, std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const bool first = comm.local_rank() == 0;
  const Descriptor own(first ? new_memory(bytes) : -1);
  if (!comm.agree(comm.local_size() == 1)) {  // on any node: what follows is for all ranks
    const Place place = place_of_first(comm, own.value());
    if (!first) {
      data_ = mapped_from(place, bytes);
      writes_ = data_ == nullptr;
    }
    comm.barrier();  // before the first rank closes what the others open
  }
  if (data_ != nullptr) return;
  if (first) {
    data_ = mapped(own.value(), bytes, PROT_READ | PROT_WRITE);
  } else {
    const Descriptor private_memory(new_memory(bytes));
    data_ = mapped(private_memory.value(), bytes, PROT_READ | PROT_WRITE);
  }
  if (data_ == nullptr) fail(bytes, errno);
}

NodeMemory::~NodeMemory() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

}  // namespace tributary
