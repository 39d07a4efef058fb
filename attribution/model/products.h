// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Products of rows with a model's matrices. On the CPU they are loops of our own (detail/cpu_kernels_products.inl)
// where these are proven to give the bits of LibTorch's product, and LibTorch's elsewhere. LibTorch's library sums each
// number as chains of fused multiply-adds of some length, added up in order; the length depends on the processor and on
// the matrix. It is found by trying: loops with the same length have the same bits on any instruction set, for any
// number of rows and any cut of the columns.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace tributary {

/// The first `count` of rows [padded rows, inner] times matrix [inner, columns] (a view with one contiguous direction),
/// plus bias [columns] where it is defined: [count, columns], all in the network's dtype; the matrix may be in the
/// dtype that it is stored in, see stays_stored. Rows are padded, with anything, to a multiple of 32 (docs/methods.md,
/// "The same bits").
at::Tensor product(const at::Tensor& rows, std::int64_t count, const at::Tensor& matrix, const at::Tensor& bias = {});

/// While one lives, products of the thread that made it are zeros: memory is measured without the time that
/// multiplying takes.
class WithoutMultiplying {
 public:
  WithoutMultiplying();
  ~WithoutMultiplying();
  WithoutMultiplying(const WithoutMultiplying&) = delete;
  WithoutMultiplying& operator=(const WithoutMultiplying&) = delete;
};

/// Who computes the products of a dtype with a matrix of this shape on the CPU.
struct ProductForm {
  std::int64_t inner = 0, columns = 0;
  bool inner_contiguous = false;                         //!< which of the matrix's directions lies side by side
  auto operator<=>(const ProductForm&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 sees one here
};

/// Whether the processor has instructions for bfloat16 products, which are faster than float32's.
bool has_bfloat16_instructions();

/// Whether bfloat16 products on the CPU are loops of ours, which widen panels to float32: where the processor has no
/// instructions for them, and float32 is several times faster.
bool widens_bfloat16();

/// Of a matrix [inner, columns].
ProductForm form_of(const at::Tensor& matrix);

/// The length of the chains whose sums have LibTorch's bits; none where no length has, or this machine has no loops of
/// ours: LibTorch computes there. Of bfloat16: that of ours where the processor has no instructions for it. Found out
/// at the first call for a form, which takes about as long as 400 rows.
std::optional<std::int64_t> proven_chain(at::ScalarType type, const ProductForm& form);

/// Whether a network of a dtype uses matrices as they are stored, bfloat16 in a float32 network: each panel is widened
/// when it is used, which changes no bit, and no copy is made when the model is loaded. The second asks for one matrix,
/// [out, in] or a view of one: both directions must be products of ours.
bool stays_stored(at::ScalarType stored, at::ScalarType network);
bool stays_stored(const at::Tensor& matrix, at::ScalarType network);

}  // namespace tributary
