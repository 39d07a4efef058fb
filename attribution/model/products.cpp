// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/products.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "attribution/model/detail/cpu_kernels.h"
#include "attribution/model/detail/rows.h"
#include "attribution/model/tensors.h"
#include "common/errors.h"
#include "common/team.h"

namespace tributary {
namespace {

using detail::Bf16;
using detail::ProductArguments;

template <typename T>
detail::Rows<const T> read(const at::Tensor& t, std::int64_t stride) {
  TRIBUTARY_EXPECT(t.element_size() == sizeof(T), "products are in the network's dtype");
  return {static_cast<const T*>(t.const_data_ptr()), stride};
}

template <typename T, typename M>
void run_kernel(void (*kernel)(const ProductArguments<T, M>&), const at::Tensor& rows, const at::Tensor& matrix,
                const at::Tensor& bias, std::int64_t chain, const at::Tensor& out) {
  const ProductForm form = form_of(matrix);
  const int along = form.inner_contiguous ? 0 : 1;
  TRIBUTARY_EXPECT(matrix.stride(along) == 1 && rows.stride(1) == 1, "numbers lie side by side");
  ProductArguments<T, M> a;
  a.rows = out.size(0);
  a.inner = form.inner;
  a.columns = form.columns;
  a.inner_contiguous = form.inner_contiguous;
  a.rows_in = read<T>(rows, rows.stride(0));
  a.matrix = read<M>(matrix, matrix.stride(1 - along));
  a.bias = bias.defined() ? read<T>(bias, 1).data : nullptr;
  a.chain = chain;
  a.out = {static_cast<T*>(out.mutable_data_ptr()), out.stride(0)};
  constexpr std::int64_t grain = 64;  // whole panels
  share_loop(form.columns, grain, [&](std::int64_t first, std::int64_t end) {
    ProductArguments<T, M> piece = a;
    piece.columns = end - first;
    piece.matrix.data += first * (form.inner_contiguous ? a.matrix.stride : 1);
    if (piece.bias != nullptr) piece.bias += first;
    piece.out.data += first;
    kernel(piece);
  });
}

/// out [rows, columns], written in place.
void own_product(const at::Tensor& rows, const at::Tensor& matrix, const at::Tensor& bias, std::int64_t chain,
                 const at::Tensor& out) {
  const detail::CpuKernelTable& kernels = detail::cpu_kernels();
  const bool same_type = matrix.scalar_type() == rows.scalar_type();
  switch (rows.scalar_type()) {
    case at::kFloat:
      if (!same_type) return run_kernel(kernels.float32_by_bfloat16, rows, matrix, bias, chain, out);
      return run_kernel(kernels.float32.product, rows, matrix, bias, chain, out);
    case at::kDouble:
      return run_kernel(kernels.float64.product, rows, matrix, bias, chain, out);
    default:
      return run_kernel(kernels.bfloat16.product, rows, matrix, bias, chain, out);
  }
}

at::Tensor library_product(const at::Tensor& rows, const at::Tensor& stored, const at::Tensor& bias) {
  const at::Tensor matrix = stored.to(rows.scalar_type());
  return bias.defined() ? at::linear(rows, matrix.t(), bias) : at::mm(rows, matrix);
}

/// Numbers in [-1, 1) that no two places share by rule: sums of them in another order have other bits.
at::Tensor numbers(at::IntArrayRef shape, at::ScalarType type) {
  constexpr std::int64_t period = 65521;  // a prime: no row of a matrix is another's
  at::Tensor some = at::empty({period}, at::kDouble);
  auto* const value = some.mutable_data_ptr<double>();
  std::uint64_t state = 1;
  for (std::int64_t i = 0; i < period; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;  // Knuth's MMIX
    value[i] = static_cast<double>(static_cast<std::int64_t>(state)) * 0x1p-63;
  }
  const std::int64_t count = shape[0] * shape[1];
  return some.to(type).repeat({(count + period - 1) / period}).narrow(0, 0, count).view(shape);
}

/// Whether chains of a length have the library's bits.
bool has_library_bits(const at::Tensor& rows, const at::Tensor& matrix, const at::Tensor& bias, std::int64_t chain) {
  const at::Tensor out = at::empty({rows.size(0), matrix.size(1)}, rows.options());
  own_product(rows, matrix, bias, chain, out);
  return at::equal(out, library_product(rows, matrix, bias));
}

std::optional<std::int64_t> find_chain(at::ScalarType type, const ProductForm& form) {
  const detail::CpuKernelTable& kernels = detail::cpu_kernels();
  if (kernels.float32.product == nullptr) return std::nullopt;
  constexpr std::int64_t shorter = 192, longer = 384;  // MKL's on AVX2, AMD's included, and on AVX512
  if (type == at::kBFloat16) return widens_bfloat16() ? std::optional(shorter) : std::nullopt;
  const auto matrix_of = [&](std::int64_t columns) {
    return form.inner_contiguous ? numbers({columns, form.inner}, type).t() : numbers({form.inner, columns}, type);
  };
  // Wide matrices are cut in even pieces: how many there are changes no bit, how wide the last one is may.
  const auto some_columns = [&](std::int64_t most) {
    constexpr std::int64_t piece = 384;  // a multiple of every piece known
    const std::int64_t whole = std::max<std::int64_t>(1, most / piece) * piece;
    return form.columns < whole + piece ? form.columns : whole + form.columns % piece;
  };
  constexpr std::int64_t few = 32, many = 160, most_numbers = 1 << 22;
  const at::Tensor rows = numbers({many, form.inner}, type);
  const at::Tensor wide = matrix_of(some_columns(most_numbers / form.inner));
  const at::Tensor narrow = matrix_of(some_columns(1));
  const at::Tensor bias = numbers({1, narrow.size(1)}, type).view({-1});
  // MKL cuts in two what is little longer than a chain, and some sets sum it as one.
  for (const std::int64_t chain : std::set<std::int64_t>{shorter, longer, (form.inner + 1) / 2, form.inner}) {
    const bool proven = has_library_bits(rows, narrow, bias, chain) &&
                        has_library_bits(rows.narrow(0, 0, few), narrow, {}, chain) &&
                        has_library_bits(rows.narrow(0, 0, few), wide, {}, chain);
    if (proven) return chain;
  }
  return std::nullopt;
}

}  // namespace

bool has_bfloat16_instructions() { return detail::has_bfloat16_products(); }

bool widens_bfloat16() { return detail::cpu_kernels().bfloat16.product != nullptr && !has_bfloat16_instructions(); }

ProductForm form_of(const at::Tensor& matrix) { return {matrix.size(0), matrix.size(1), matrix.stride(1) != 1}; }

bool stays_stored(at::ScalarType stored, at::ScalarType network) {
  return stored == at::kBFloat16 && network == at::kFloat && detail::cpu_kernels().float32_by_bfloat16 != nullptr;
}

bool stays_stored(const at::Tensor& matrix, at::ScalarType network) {
  if (!stays_stored(matrix.scalar_type(), network) || matrix.dim() != 2 || !matrix.is_cpu()) return false;
  return proven_chain(network, form_of(matrix)).has_value() && proven_chain(network, form_of(matrix.t())).has_value();
}

std::optional<std::int64_t> proven_chain(at::ScalarType type, const ProductForm& form) {
  // A fact about this machine and its libraries, like which instructions it has: found once for a process.
  static std::mutex mutex;
  static std::map<std::pair<at::ScalarType, ProductForm>, std::optional<std::int64_t>> known;
  const std::lock_guard lock(mutex);
  const auto found = known.find({type, form});
  return found != known.end() ? found->second
                              : known.emplace(std::pair{type, form}, find_chain(type, form)).first->second;
}

namespace {

thread_local int without_multiplying = 0;  // how many live

}  // namespace

WithoutMultiplying::WithoutMultiplying() { ++without_multiplying; }
WithoutMultiplying::~WithoutMultiplying() { --without_multiplying; }

at::Tensor product(const at::Tensor& rows, std::int64_t count, const at::Tensor& matrix, const at::Tensor& bias) {
  if (rows.is_cpu()) {
    if (const auto chain = proven_chain(rows.scalar_type(), form_of(matrix))) {
      at::Tensor out = at::empty({count, matrix.size(1)}, rows.options());
      if (without_multiplying > 0) return out.zero_();
      own_product(rows, matrix, bias, *chain, out);
      return out;
    }
  }
  return detail::used(library_product(rows, matrix, bias), count);
}

}  // namespace tributary
