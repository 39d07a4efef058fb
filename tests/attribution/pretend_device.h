// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A pretend accelerator: PrivateUse1 tensors live in host memory, and every operator checks that none of its tensors
// is a CPU tensor with dimensions, which a real card would refuse, before it computes on the CPU. Counts what a real
// card would wait for: copies between host and device, and values read one by one.
#pragma once

#include <ATen/EmptyTensor.h>
#include <ATen/native/CPUFallback.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>
#include "attribution/model/tensors.h"

#include <stdexcept>
#include <string>

namespace tributary::testing::pretend {

inline const c10::Device device(c10::DeviceType::PrivateUse1, 0);

struct Counts {
  int copies = 0;  //!< between host and device
  int items = 0;   //!< .item()
};
inline Counts counts;
inline bool inside = false;  // the fallback's own copies do not count

struct Guard final : c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::PrivateUse1> {
  c10::Device exchangeDevice(c10::Device) const override { return device; }
  c10::Device getDevice() const override { return device; }
  c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, device); }
};

/// Host memory under the device's name.
struct Allocator final : c10::Allocator {
  c10::DataPtr allocate(std::size_t bytes) override {
    void* const data = ::operator new(bytes);
    return {data, data, &free, device};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }
  static void free(void* data) { ::operator delete(data); }
};

inline Allocator& allocator() {
  static Allocator one;
  return one;
}

/// A CPU tensor on the same memory, for copying.
inline at::Tensor on_host(const at::Tensor& t) {
  return t.is_cpu() ? t : at::from_blob(t.data_ptr(), t.sizes(), t.strides(), t.options().device(at::kCPU));
}

inline at::Tensor empty(c10::SymIntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
                        std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &allocator(),
                                   c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), type.value_or(at::kFloat),
                                   format);
}

inline at::Tensor empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
                                std::optional<at::ScalarType> type, std::optional<at::Layout>,
                                std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), &allocator(),
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           type.value_or(at::kFloat));
}

inline at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  if (!inside && from.device() != to.device()) ++counts.copies;
  on_host(to).copy_(on_host(from));
  return to;
}

inline at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (to.sizes() != from.sizes()) to.resize_(from.sizes());  // a view keeps its strides
  return copy_from(from, to, false);
}

inline at::Scalar item(const at::Tensor& t) {
  if (!inside) ++counts.items;
  return on_host(t).item();
}

inline const at::Tensor& resize(const at::Tensor& t, c10::SymIntArrayRef size, std::optional<at::MemoryFormat>) {
  t.unsafeGetTensorImpl()->set_sizes_contiguous(C10_AS_INTARRAYREF_SLOW(size));
  const auto bytes = static_cast<std::size_t>(t.numel()) * t.element_size();
  c10::StorageImpl* const storage = t.storage().unsafeGetStorageImpl();
  if (storage->nbytes() < bytes) {
    storage->set_data_ptr_noswap(allocator().allocate(bytes));
    storage->set_nbytes(bytes);
  }
  return t;
}

inline void refuse_foreign(const c10::OperatorHandle& op, const at::Tensor& t) {
  if (t.defined() && t.is_cpu() && t.dim() > 0) {
    throw std::runtime_error(toString(op.operator_name()) + " mixes a CPU tensor with the device's");
  }
}

inline void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto arguments = torch::jit::last(*stack, op.schema().arguments().size());
  for (const c10::IValue& value : arguments) {
    if (value.isTensor()) refuse_foreign(op, value.toTensor());
    if (value.isTensorList()) {
      for (const at::Tensor& t : value.toTensorVector()) refuse_foreign(op, t);
    }
  }
  const bool outer = inside;
  inside = true;
  try {
    at::native::cpu_fallback(op, stack);
  } catch (...) {
    inside = outer;
    throw;
  }
  inside = outer;
}

}  // namespace tributary::testing::pretend
