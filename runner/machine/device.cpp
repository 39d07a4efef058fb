// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/machine/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <malloc.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <vector>

#include "common/errors.h"
#include "runner/machine/host.h"
#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

bool card_present(const std::filesystem::path& root = "/") {
  const auto is_there = [&root](const char* file) { return access((root / file).c_str(), F_OK) == 0; };
  return is_there("dev/nvidiactl") || is_there("proc/driver/nvidia/version");
}

/// Number of usable cards; loads LibTorch's CUDA part when there may be one.
int visible_cards() {
  if (!card_present()) return 0;
  // Never closed: LibTorch registers its kernels for the life of the process.
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr || !at::hasCUDA()) return 0;
  return at::detail::getCUDAHooks().deviceCount();
}

/// This process's cores.
struct Cores {
  int count = 1;
  std::string name;  //!< host and mask: equal for ranks that share their cores
};

Cores usable_cores() {
  const std::string host = host_name();
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return {1, host};
  Cores cores{std::max(1, CPU_COUNT(&mask)), host};
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &mask)) cores.name += " " + std::to_string(core);
  }
  return cores;
}

/// The cores of this node that the job has: a shared node has others. The process that started this one, mpirun's or
/// Slurm's daemon, is bound to no share of them.
int cores_of_job() {
  auto cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  cpu_set_t mask;
  if (sched_getaffinity(getppid(), sizeof mask, &mask) == 0) cores = std::min(cores, CPU_COUNT(&mask));
  const char* const given = std::getenv("SLURM_CPUS_ON_NODE");
  if (given != nullptr && std::atoi(given) > 0) cores = std::min(cores, std::atoi(given));
  return cores;
}

/// The cards that this process was given, where that is not all of them: numbers count from the first of these.
std::string visible_to_process() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible == nullptr ? "" : std::string(" (CUDA_VISIBLE_DEVICES=") + visible + ")";
}

}  // namespace

c10::Device choose_device(const std::string& wanted, int local_rank) {
  if (wanted == "cpu") return c10::Device(c10::kCPU);
  const int cards = visible_cards();
  if (cards == 0) {
    if (wanted == "cuda") {
      throw UserError("model.device",
                      "cuda was asked for, but this rank sees no usable card; take auto or cpu, or check the driver "
                      "and CUDA_VISIBLE_DEVICES");
    }
    return c10::Device(c10::kCPU);
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(local_rank % cards));
}

std::string cards_left_alone(const std::filesystem::path& root) {
  if (card_present(root)) {
    return "an NVIDIA card is here, but this program cannot use it: its LibTorch has no CUDA part, the driver does not "
           "fit, or CUDA_VISIBLE_DEVICES hides it";
  }
  if (access((root / "dev/kfd").c_str(), F_OK) == 0) return "an AMD card is here, and this program does not use those";
  return "";
}

std::uint64_t free_bytes(const c10::Device& device) {
  if (device.is_cpu()) return free_host_bytes();
  return at::getDeviceAllocator(device.type())->getMemoryInfo(device.index()).first;
}

std::uint64_t bytes_of_card(const c10::Device& device) {
  return at::getDeviceAllocator(device.type())->getMemoryInfo(device.index()).second;
}

std::vector<std::string> card_places(const c10::Device& device, const Communicator& comm, Cards cards) {
  std::vector<std::string> places =
      comm.gather(device.is_cpu() ? std::string() : device.str() + " of host " + host_name() + visible_to_process());
  std::string twice;
  std::map<std::string, std::size_t> ranks;
  for (std::size_t rank = 0; rank < places.size(); ++rank) {
    if (places[rank].empty()) continue;
    const auto [first, is_new] = ranks.emplace(places[rank], rank);
    if (!is_new && twice.empty()) {
      twice = "ranks " + std::to_string(first->second) + " and " + std::to_string(rank) + " both have " + places[rank];
    }
  }
  comm.broadcast(twice);
  if (!twice.empty() && cards == Cards::one_rank_each) {
    throw UserError("model.device", twice +
                                        "; start as many ranks a node as it has cards (--gpus-per-node and "
                                        "--ntasks-per-node), or say --share-cards");
  }
  if (ranks.empty()) places.clear();
  return places;
}

void use_one_thread() { at::set_num_threads(1); }

void fix_cpu_arithmetic() { setenv("MKL_CBWR", "AUTO,STRICT", 1); }

void keep_freed_memory(const SetAllocator& set) {
  constexpr int never = 1 << 30;
  // The C library before 2.35 refuses thresholds above 32 MiB, and would map and unmap every buffer from then on.
  if (set(M_MMAP_THRESHOLD, never) == 0) set(M_MMAP_MAX, 0);
  set(M_TRIM_THRESHOLD, -1);  // not even gigabytes: tables of long prompts are as large
  set(M_ARENA_MAX, 1);        // other arenas cannot hold large blocks
}

void keep_freed_memory() { keep_freed_memory(mallopt); }

int worker_threads(std::int64_t asked_for, const c10::Device& device, const Communicator& comm) {
  const Cores mine = usable_cores();
  const std::vector<std::string> all = comm.gather(mine.name);
  std::vector<std::int64_t> sharers;  // by rank
  for (const std::string& name : all) sharers.push_back(std::count(all.begin(), all.end(), name));
  comm.broadcast(sharers);
  if (asked_for != 0) return static_cast<int>(asked_for);
  if (!device.is_cpu()) return 1;
  return std::max(1, mine.count / static_cast<int>(sharers[static_cast<std::size_t>(comm.rank())]));
}

bool bound_below_share(int local_size) { return usable_cores().count < cores_of_job() / std::max(1, local_size); }

}  // namespace tributary
