// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The element-wise parts of a block and its attention as loops over plain memory, for the CPU: one pass over
// memory where LibTorch's operations would take several. Compiled once per instruction set; knows no tensors.
// Rows are independent, so no bit of a row depends on how many there are.
#pragma once

#include <cstdint>

#include "attribution/model/architecture.h"

namespace tributary::detail {

/// bfloat16 as it lies in memory.
struct Bf16 {
  std::uint16_t bits;
};

/// A row-major matrix whose rows lie `stride` elements apart.
template <typename T>
struct Rows {
  T* data = nullptr;
  std::int64_t stride = 0;

  /// Without the first rows; none stays none.
  [[nodiscard]] Rows from(std::int64_t row) const { return {data == nullptr ? nullptr : data + row * stride, stride}; }
};

/// S: residual stream and mean_rstd; T: what matrix products read.
template <typename S, typename T>
struct NormArguments {
  std::int64_t rows = 0, width = 0;
  const T* weight = nullptr;
  const T* bias = nullptr;  //!< none: nullptr
  bool centred = false;     //!< LayerNorm
  S epsilon = 0;
  S gain_offset = 0;          //!< rows are multiplied by gain_offset + weight
  Rows<S> stream;             //!< in; out where `addend` is given
  Rows<const S> addend_base;  //!< stream = addend_base + addend
  Rows<const T> addend;       //!< none: nullptr
  Rows<T> normalised;         //!< out; none: nullptr
  S* mean_rstd = nullptr;     //!< out: mean and 1/sigma of each row [rows, 2]
};

template <typename S, typename T>
struct NormBackwardArguments {
  std::int64_t rows = 0, width = 0;
  const T* weight = nullptr;
  S gain_offset = 0;
  bool centred = false;
  bool frozen_denominator = false;  //!< rule `norm`
  Rows<const S> stream;
  const S* mean_rstd = nullptr;
  Rows<const T> gradient;   //!< with respect to the normalised rows
  Rows<S> stream_gradient;  //!< += what passes through the norm
  Rows<T> copy;             //!< out: stream_gradient in T; none: nullptr
};

template <typename T>
struct GateArguments {
  std::int64_t rows = 0, neurons = 0;
  bool gated = false;
  Activation activation = Activation::silu;
  Rows<const T> pre_activations;  //!< z and u side by side [rows, 2 * neurons], or z [rows, neurons]
  Rows<T> neurons_out;            //!< a; none: nullptr
  // backward only
  Rows<const T> gradient;            //!< dm/da
  Rows<T> pre_activations_gradient;  //!< out; may be `pre_activations` itself
  bool frozen_coefficient = false;   //!< rule `activation`
  double share = 1;                  //!< rule `half`: 0.5
};

/// Rotates pairs (i, i + dims / 2) of each head by the angles of its position.
template <typename S, typename T>
struct RotateArguments {
  std::int64_t rows = 0, heads = 0, head = 0;
  std::int64_t dims = 0;                           //!< of each head: the first ones, which turn
  std::int64_t positions = 0, first_position = 0;  //!< row r is at position first_position + r % positions
  Rows<T> x;
  const S* cosine = nullptr;  //!< [position, dims]
  const S* sine = nullptr;
  S direction = 1;  //!< -1: the transposed rotation, for gradients
};

/// Prompts of more tokens are attended to in blocks, where a set has matrix products.
inline constexpr std::int64_t most_tokens_by_query = 256;

template <typename S, typename T>
struct AttentionArguments {
  std::int64_t sequences = 0;
  std::int64_t queries = 0;  //!< per sequence, at its last positions
  std::int64_t suffix = 0;   //!< keys of its own, per sequence
  std::int64_t prefix_length = 0;
  std::int64_t tokens = 0;  //!< of the prompt, where these positions are only its first
  std::int64_t heads = 0, kv_heads = 0, head = 0;
  std::int64_t window = 0;  //!< positions a query sees, itself included; 0: all before it
  S scale = 1;
  S softcap = 0;  //!< c: scaled scores s become c · tanh(s / c); 0: they stay
  Rows<const T> query;
  Rows<const T> key, value;                //!< [sequence * suffix, kv_heads * head]
  Rows<const T> prefix_key, prefix_value;  //!< [pair * prefix_length, kv_heads * head]
  const std::int64_t* pair = nullptr;      //!< by sequence
  Rows<T> z;                               //!< out
  // backward only
  Rows<const T> gradient;
  Rows<T> query_gradient, key_gradient, value_gradient;  //!< out
  bool frozen_pattern = false;                           //!< rule `attention`
  bool frozen_softcap = false;                           //!< rule `softcap`
};

/// [entry, pos, neuron] in memory, neurons side by side.
template <typename T>
struct Table {
  T* data = nullptr;
  std::int64_t positions = 0;
  std::int64_t entry_stride = 0, position_stride = 0;

  /// The row of the position that is `from_end` before the last; of a table of one position, that one.
  [[nodiscard]] T* row(std::int64_t entry, std::int64_t from_end) const {
    const std::int64_t position = positions == 1 ? 0 : positions - 1 - from_end;
    return data + entry * entry_stride + position * position_stride;
  }
};

/// a of neurons outside a circuit become their ablation value.
template <typename T>
struct AblateArguments {
  std::int64_t sequences = 0, positions = 0, neurons = 0;
  Table<T> a;                             //!< by sequence
  Table<const std::int32_t> ranks;        //!< by ranking
  Table<const T> values;                  //!< by pair
  const std::int64_t* ranking = nullptr;  //!< by sequence: which entry of `ranks`
  const std::int64_t* pair = nullptr;     //!< by sequence: which entry of `values`
  const std::int32_t* kept = nullptr;     //!< by sequence: neurons with rank < kept are kept …
  const bool* complement = nullptr;       //!< by sequence: … or the others are
};

/// out = rows_in · matrix + bias. Each number is the sum, in order, of the bias and of chains of fused multiply-adds
/// over `chain` of the inner numbers, each chain from zero; numbers of type Bf16 are summed in float and rounded once.
/// The matrix may be stored as M, which T holds exactly: it is widened panel by panel.
template <typename T, typename M = T>
struct ProductArguments {
  std::int64_t rows = 0, inner = 0, columns = 0;
  Rows<const T> rows_in;          //!< [rows, inner]
  Rows<const M> matrix;           //!< [inner, columns], or where `inner_contiguous` [columns, inner]
  bool inner_contiguous = false;  //!< which of its two directions lies side by side
  const T* bias = nullptr;        //!< [columns]; none: nullptr
  std::int64_t chain = 0;
  bool add = false;  //!< out += … instead: of a single chain of at most 384 numbers, without bias
  Rows<T> out;       //!< [rows, columns]
};

/// out += Σ factor · a row of the matrix, one after the other, each a fused multiply-add where a set has them.
template <typename T>
struct AddRowsArguments {
  std::int64_t count = 0, width = 0;
  const std::int32_t* row = nullptr;  //!< [count]
  const double* factor = nullptr;     //!< [count]
  Rows<const T> matrix;
  double* out = nullptr;  //!< [width]
};

template <typename S, typename T>
struct CpuKernels {
  void (*normalise)(const NormArguments<S, T>&);
  void (*normalise_backward)(const NormBackwardArguments<S, T>&);
  void (*gate)(const GateArguments<T>&);
  void (*gate_backward)(const GateArguments<T>&);
  void (*rotate)(const RotateArguments<S, T>&);
  void (*attention)(const AttentionArguments<S, T>&);
  void (*attention_backward)(const AttentionArguments<S, T>&);
  void (*ablate)(const AblateArguments<T>&);
  void (*add_rows)(const AddRowsArguments<T>&);
  void (*product)(const ProductArguments<T>&);  //!< nullptr where this set has none
  bool (*all_finite)(const T* numbers, std::int64_t count);
};

/// The three pairs of types that networks come in.
struct CpuKernelTable {
  CpuKernels<float, float> float32;
  CpuKernels<float, Bf16> bfloat16;
  CpuKernels<double, double> float64;
  void (*float32_by_bfloat16)(const ProductArguments<float, Bf16>&);  //!< nullptr where this set has none
};

/// The best of the compiled sets that this machine can run; no better one than ATEN_CPU_CAPABILITY says (`default`,
/// `avx2`), as in LibTorch.
const CpuKernelTable& cpu_kernels();

/// Whether the processor multiplies bfloat16 itself, and is allowed to: LibTorch's products are then the faster ones.
bool has_bfloat16_products();

}  // namespace tributary::detail
