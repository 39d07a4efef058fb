// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/detail/cpu_kernels.h"

namespace tributary::detail {

extern const CpuKernelTable baseline_kernels;
#ifdef __x86_64__
extern const CpuKernelTable avx2_kernels, avx512_kernels;
#endif

const CpuKernelTable& cpu_kernels() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return avx512_kernels;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2_kernels;
#endif
  return baseline_kernels;
}

}  // namespace tributary::detail
