// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The loops of cpu_kernels.h, included once per instruction set by files that define TRIBUTARY_KERNEL_SET. All of it
// has internal linkage, or one set's code would be linked in place of another's.
#include "attribution/model/detail/cpu_kernels.h"
#include "attribution/model/detail/cpu_kernels_attention.inl"
#include "attribution/model/detail/cpu_kernels_products.inl"
#include "attribution/model/detail/cpu_kernels_rows.inl"

namespace tributary::detail {
namespace {

template <typename S, typename T>
constexpr CpuKernels<S, T> kernels_for() {
  return {normalise<S, T>, normalise_backward<S, T>, gate<T>,   gate_backward<T>, rotate<S, T>,
          attention<S, T>, attention_backward<S, T>, ablate<T>, add_rows<T>,      product_of<S, T>(),
          all_finite<T>};
}

}  // namespace

extern const CpuKernelTable TRIBUTARY_KERNEL_SET;
const CpuKernelTable TRIBUTARY_KERNEL_SET = {kernels_for<float, float>(), kernels_for<float, Bf16>(),
                                             kernels_for<double, double>(), product_of<float, float, Bf16>()};

}  // namespace tributary::detail
