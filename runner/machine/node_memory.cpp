// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/machine/node_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
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

/// Where the first rank of this one's node keeps its memory, as a path that other processes of the same user can open;
/// the same on every rank of the node. Collective.
std::string path_of_first(const Communicator& comm, int memory) {
  const std::vector<std::string> hosts = comm.gather(host_name());
  const std::vector<std::int64_t> local = comm.gather(static_cast<std::int64_t>(comm.local_rank()));
  const std::vector<std::int64_t> processes = comm.gather(static_cast<std::int64_t>(::getpid()));
  const std::vector<std::int64_t> memories = comm.gather(static_cast<std::int64_t>(memory));
  std::vector<std::int64_t> owner(static_cast<std::size_t>(2 * comm.size()), -1);  // process and descriptor, by rank
  for (std::size_t rank = 0; rank < hosts.size(); ++rank) {
    for (std::size_t first = 0; first < hosts.size(); ++first) {
      if (local[first] != 0 || hosts[first] != hosts[rank]) continue;
      owner[2 * rank] = processes[first];
      owner[2 * rank + 1] = memories[first];
    }
  }
  comm.broadcast(owner);
  const std::size_t mine = 2 * static_cast<std::size_t>(comm.rank());
  return "/proc/" + std::to_string(owner[mine]) + "/fd/" + std::to_string(owner[mine + 1]);
}

}  // namespace

NodeMemory::NodeMemory(const Communicator& comm, std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const bool first = comm.local_rank() == 0;
  const Descriptor own(first ? new_memory(bytes) : -1);
  if (!comm.agree(comm.local_size() == 1)) {  // on any node: what follows is for all ranks
    const std::string path = path_of_first(comm, own.value());
    if (!first) {
      const Descriptor theirs(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      if (theirs.value() >= 0) data_ = mapped(theirs.value(), bytes, PROT_READ);
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
