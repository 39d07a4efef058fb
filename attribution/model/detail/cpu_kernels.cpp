// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/detail/cpu_kernels.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace tributary::detail {

extern const CpuKernelTable baseline_kernels;
#ifdef __x86_64__
extern const CpuKernelTable avx2_kernels, avx512_kernels;
#endif

namespace {

enum class InstructionSet { baseline, avx2, avx512 };

/// The best that this machine has.
InstructionSet best_set() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return InstructionSet::avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return InstructionSet::avx2;
#endif
  return InstructionSet::baseline;
}

InstructionSet chosen_set() {
  static const InstructionSet chosen = [] {
    const char* const variable = std::getenv("ATEN_CPU_CAPABILITY");
    const std::string_view most = variable == nullptr ? "" : variable;
    if (most == "default") return InstructionSet::baseline;
    return most == "avx2" ? std::min(best_set(), InstructionSet::avx2) : best_set();
  }();
  return chosen;
}

}  // namespace

const CpuKernelTable& cpu_kernels() {
#ifdef __x86_64__
  if (chosen_set() == InstructionSet::avx512) return avx512_kernels;
  if (chosen_set() == InstructionSet::avx2) return avx2_kernels;
#endif
  return baseline_kernels;
}

bool has_bfloat16_products() {
#ifdef __x86_64__
  return chosen_set() == InstructionSet::avx512 && __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

}  // namespace tributary::detail
