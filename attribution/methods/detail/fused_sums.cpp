// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/fused_sums.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "attribution/model/tensors.h"
#include "common/errors.h"
#include "common/team.h"

namespace tributary::detail {
namespace {

constexpr std::int64_t grain = 1 << 12;  // numbers: a piece is worth waking a thread for

/// Whether loops of ours can go through them side by side.
bool lie_alike(std::initializer_list<const at::Tensor*> tensors) {
  const at::Tensor& first = **tensors.begin();
  return std::all_of(tensors.begin(), tensors.end(), [&first](const at::Tensor* t) {
    return t->is_cpu() && t->is_contiguous() && t->scalar_type() == first.scalar_type() && t->numel() == first.numel();
  });
}

template <typename T>
void add_scaled_numbers(const at::Tensor& sum, const at::Tensor& term, T weight) {
  auto* const sums = sum.mutable_data_ptr<T>();
  const auto* const terms = term.const_data_ptr<T>();
  share_loop(sum.numel(), grain, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t i = first; i < end; ++i) sums[i] += terms[i] * weight;
  });
}

template <IntervalGradient which, typename T>
void add_interval_numbers(const at::Tensor& sum, const PathSample& before, const PathSample& here) {
  auto* const sums = sum.mutable_data_ptr<T>();
  auto* const values = before.value.mutable_data_ptr<T>();
  auto* const gradients = which == IntervalGradient::right ? nullptr : before.gradient.mutable_data_ptr<T>();
  const auto* const new_values = here.value.const_data_ptr<T>();
  const auto* const new_gradients = here.gradient.const_data_ptr<T>();
  share_loop(sum.numel(), grain, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t i = first; i < end; ++i) {
      const T change = new_values[i] - values[i];
      values[i] = new_values[i];
      if constexpr (which == IntervalGradient::right) {
        sums[i] += new_gradients[i] * change;
      } else {
        const T gradient = gradients[i];
        gradients[i] = new_gradients[i];
        if constexpr (which == IntervalGradient::left) sums[i] += gradient * change;
        if constexpr (which == IntervalGradient::mean) sums[i] += (gradient + new_gradients[i]) * change * T(0.5);
      }
    }
  });
}

template <typename T>
void add_interval_numbers(const at::Tensor& sum, const PathSample& before, const PathSample& here,
                          IntervalGradient which) {
  switch (which) {
    case IntervalGradient::left:
      return add_interval_numbers<IntervalGradient::left, T>(sum, before, here);
    case IntervalGradient::right:
      return add_interval_numbers<IntervalGradient::right, T>(sum, before, here);
    case IntervalGradient::mean:
      return add_interval_numbers<IntervalGradient::mean, T>(sum, before, here);
  }
  throw ContractViolation("an interval gradient outside the enumeration");
}

/// By LibTorch, on a card.
void add_interval_there(const at::Tensor& sum, const PathSample& before, const PathSample& here,
                        IntervalGradient which) {
  const at::Tensor change = here.value - before.value;
  if (which == IntervalGradient::left) sum.add_(before.gradient * change);
  if (which == IntervalGradient::right) sum.add_(here.gradient * change);
  if (which == IntervalGradient::mean) sum.add_((before.gradient + here.gradient) * change * 0.5);
  before.value.copy_(here.value);
  if (which != IntervalGradient::right) before.gradient.copy_(here.gradient);
}

}  // namespace

void add_scaled(const at::Tensor& sum, const at::Tensor& term, double weight) {
  const bool alike = lie_alike({&sum, &term});
  if (alike && sum.scalar_type() == at::kFloat) return add_scaled_numbers<float>(sum, term, static_cast<float>(weight));
  if (alike && sum.scalar_type() == at::kDouble) return add_scaled_numbers<double>(sum, term, weight);
  sum.add_(term * weight);
}

void add_interval(const at::Tensor& sum, const PathSample& before, const PathSample& here, IntervalGradient which) {
  const at::Tensor& gradient_before = which == IntervalGradient::right ? here.gradient : before.gradient;
  const bool alike = lie_alike({&sum, &before.value, &here.value, &here.gradient, &gradient_before});
  if (alike && sum.scalar_type() == at::kFloat) return add_interval_numbers<float>(sum, before, here, which);
  if (alike && sum.scalar_type() == at::kDouble) return add_interval_numbers<double>(sum, before, here, which);
  add_interval_there(sum, before, here, which);
}

void copy_rows(const at::Tensor& to, const at::Tensor& from) {
  const std::int64_t rows = to.size(0);
  if (!to.is_cpu() || rows == 0 || to.scalar_type() != from.scalar_type() || !to[0].is_contiguous() ||
      !from[0].is_contiguous()) {
    to.copy_(from);
    return;
  }
  const std::size_t bytes = static_cast<std::size_t>(to[0].numel()) * to.element_size();
  auto* const there = static_cast<std::byte*>(to.mutable_data_ptr());
  const auto* const here = static_cast<const std::byte*>(from.const_data_ptr());
  const auto size = static_cast<std::int64_t>(to.element_size());
  share_loop(rows, 1, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t row = first; row < end; ++row) {
      std::memcpy(there + row * to.stride(0) * size, here + row * from.stride(0) * size, bytes);
    }
  });
}

}  // namespace tributary::detail
