// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The sets of loops by name, of which a program knows only the one that it chooses.
#pragma once

#include "attribution/model/detail/cpu_kernels.h"

namespace tributary::detail {

extern const CpuKernelTable baseline_kernels;
#ifdef __x86_64__
extern const CpuKernelTable avx2_kernels, avx512_kernels;
#endif

}  // namespace tributary::detail

namespace tributary::testing {

#ifdef __x86_64__
/// Whether this machine can run them.
inline bool runs_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
inline bool runs_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

}  // namespace tributary::testing
