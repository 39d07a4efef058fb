// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/spread.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "attribution/methods/spread.h"
#include "attribution/model/detail/rows.h"
#include "attribution/model/tensors.h"
#include "common/team.h"

namespace tributary::detail {
namespace {

enum class Into { fresh, sums };

/// Scores that are looked at together: a loop of a known length, which compilers turn into vectors.
constexpr std::int64_t together = 8;

struct Tables {
  double* value;
  double* squares;  // nullptr: the value alone
  double* signs;
};

template <Into into>
inline void put(double& place, double number) {
  if constexpr (into == Into::sums) {
    place += number;
  } else {
    place = number;
  }
}

template <Into into, typename T>
void write(const T* scores, std::int64_t count, PairParts::Value what, const Tables& to) {
  const auto value = [&](std::int64_t i) {
    const double x = static_cast<double>(scores[i]) + 0.0;  // -0 becomes 0, as shared positions have it
    return what == PairParts::Value::magnitude ? std::abs(x) : x;
  };
  for (std::int64_t i = 0; i < count; ++i) put<into>(to.value[i], value(i));
  if (to.squares == nullptr) return;
  for (std::int64_t i = 0; i < count; ++i) put<into>(to.squares[i], value(i) * value(i));
  for (std::int64_t i = 0; i < count; ++i) {
    put<into>(to.signs[i], value(i) < 0 ? negative_sign : value(i) > 0 ? 1.0 : 0.0);
  }
}

/// out [(3,) layer, positions, neuron].
template <Into into, typename T>
void write_all(const at::Tensor& scores, const PairParts& parts, const at::Tensor& out) {
  const bool spread = parts.tables == PairParts::Tables::spread;
  const std::int64_t layers = scores.size(0), row = scores.size(1) * scores.size(2);
  const std::int64_t whole_row = out.size(-2) * out.size(-1), table = layers * whole_row;
  const auto* const from = scores.const_data_ptr<T>();
  auto* const data = out.mutable_data_ptr<double>();
  share_loop(layers, 1, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t layer = first; layer < end; ++layer) {
      for (std::int64_t i = 0; i < row; i += together) {
        double* const value = data + (layer + 1) * whole_row - row + i;
        const Tables to{value, spread ? value + table : nullptr, spread ? value + 2 * table : nullptr};
        const T* const here = from + layer * row + i;
        if (i + together <= row) {
          write<into>(here, together, parts.value, to);
        } else {
          write<into>(here, row - i, parts.value, to);
        }
      }
    }
  });
}

template <Into into>
void write_all_types(const at::Tensor& scores, const PairParts& parts, const at::Tensor& out) {
  const at::Tensor here = scores.contiguous();
  if (here.scalar_type() == at::kFloat) return write_all<into, float>(here, parts, out);
  write_all<into, double>(here.to(at::kDouble), parts, out);
}

/// On a card: LibTorch's operations.
at::Tensor parts_there(const at::Tensor& scores, const PairParts& parts) {
  at::Tensor value = scores.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true).add_(0.0);
  if (parts.value == PairParts::Value::magnitude) value = value.abs();
  if (parts.tables == PairParts::Tables::sum) return value;
  const at::Tensor signs = value.lt(0).to(at::kDouble).mul_(negative_sign).add_(value.gt(0));
  return at::stack({value, value * value, signs});
}

}  // namespace

at::Tensor parts_of(const at::Tensor& scores, const PairParts& parts, std::int64_t positions) {
  if (!scores.is_cpu()) return at_all_positions(parts_there(scores, parts), positions);
  std::vector<std::int64_t> shape{scores.size(0), positions, scores.size(2)};
  if (parts.tables == PairParts::Tables::spread) shape.insert(shape.begin(), 3);
  at::Tensor out = at::empty(shape, at::kDouble);
  out.narrow(-2, 0, positions - scores.size(1)).zero_();
  write_all_types<Into::fresh>(scores, parts, out);
  return out;
}

void add_parts(const at::Tensor& scores, const PairParts& parts, const at::Tensor& left) {
  if (scores.is_cpu()) return write_all_types<Into::sums>(scores, parts, left);
  left.narrow(-2, left.size(-2) - scores.size(1), scores.size(1)).add_(parts_there(scores, parts));
}

}  // namespace tributary::detail
