// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The metric m = Σ_j coefficient_j · logit_{token_j}: which positions of the last block's output it reads, and the
// direction there whose product with the normalised stream it is.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace tributary {

/// The positions of a prompt that the metric reads, counted from its end: 0 is the last. Above the last block's
/// attention nothing else reaches the metric, so that block goes on with the positions from the first of them to the
/// end only: the kept ones.
class ReadPositions {
 public:
  /// The last position alone.
  ReadPositions() : from_end_{0} {}
  /// Distances from the end, each once. ContractViolation when there is none, or one is below 0 or given twice.
  explicit ReadPositions(std::vector<std::int64_t> from_end);

  [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(from_end_.size()); }
  /// How many positions at a prompt's end hold all of them.
  [[nodiscard]] std::int64_t kept() const;

  /// Their rows [sequence * count, width] of some last positions [sequence, pos, width], a sequence's together; a view
  /// where there is one.
  [[nodiscard]] at::Tensor rows_of(const at::Tensor& last) const;
  /// The other way round: rows [sequence * count, width] at their places among the kept positions [sequence, kept,
  /// width], zero elsewhere.
  [[nodiscard]] at::Tensor among_kept(const at::Tensor& rows) const;

 private:
  std::vector<std::int64_t> from_end_;
};

/// What the metric asks of each prompt: logits at the last position.
struct MetricTokens {
  at::Tensor tokens;        //!< [batch, k] int64
  at::Tensor coefficients;  //!< [k], metric dtype

  /// Those of `count` pairs in a row.
  [[nodiscard]] MetricTokens narrow(std::int64_t first, std::int64_t count) const;
};

/// The metric as a form on the normalised stream h = norm(resid): m = Σ over the read positions of ⟨direction, h⟩;
/// where logits are capped Σ_j coefficient_j · cap(⟨direction_j, h⟩).
struct LogitDirections {
  ReadPositions reads;
  at::Tensor rows;          //!< [sequence, read, d_model], or capped [sequence, read, token, d_model], score dtype
  at::Tensor coefficients;  //!< capped: [token], score dtype; else undefined

  /// Those of some sequences: by index [n] int64, in a row, or all of them several times over.
  [[nodiscard]] LogitDirections select(const at::Tensor& sequences) const;
  [[nodiscard]] LogitDirections narrow(std::int64_t first, std::int64_t count) const;
  [[nodiscard]] LogitDirections repeat(std::int64_t times) const;
};

}  // namespace tributary
