// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "common/errors.h"

namespace tributary {
namespace {

bool card_present() { return access("/dev/nvidiactl", F_OK) == 0 || access("/proc/driver/nvidia/version", F_OK) == 0; }

/// Number of usable cards; loads LibTorch's CUDA part when there may be one.
int visible_cards() {
  if (!card_present()) return 0;
  // Never closed: LibTorch registers its kernels for the life of the process.
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr || !at::hasCUDA()) return 0;
  return at::detail::getCUDAHooks().deviceCount();
}

int usable_cores() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 1;
  return std::max(1, CPU_COUNT(&mask));
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

void use_one_thread() { at::set_num_threads(1); }

void fix_cpu_arithmetic() { setenv("MKL_CBWR", "AUTO,STRICT", 1); }

int automatic_threads(const c10::Device& device, int local_size) {
  if (!device.is_cpu()) return 1;
  // mpirun either binds each rank to cores of its own, or leaves all of them to all ranks.
  const auto online = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  const int mine = usable_cores();
  return std::max(1, mine < online ? mine : mine / std::max(1, local_size));
}

}  // namespace tributary
