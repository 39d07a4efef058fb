// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#define TRIBUTARY_KERNEL_SET avx2_kernels
#include "attribution/model/detail/cpu_kernels.inl"
