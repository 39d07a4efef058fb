// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/footprint.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <memory>

#include "attribution/model/detail/rows.h"
#include "attribution/model/products.h"

namespace tributary {
namespace {

/// Told of every allocation by LibTorch's allocators, the way its memory profiler is.
class Meter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, std::int64_t bytes, std::size_t, std::size_t, c10::Device) override {
    now_ += bytes;
    peak_ = std::max(peak_, now_);
  }
  [[nodiscard]] bool memoryProfilingEnabled() const override { return true; }
  [[nodiscard]] std::int64_t peak() const { return peak_; }

 private:
  std::int64_t now_ = 0, peak_ = 0;
};

/// Of a pass through the last `blocks` blocks.
std::int64_t peak_of_pass(const Transformer& model, std::int64_t blocks, std::int64_t sequences, std::int64_t length,
                          ForwardOptions::Tape tape) {
  const WithoutMultiplying dry;
  return peak_tensor_bytes([&] {
    Batch batch;
    batch.length = batch.suffix = length;
    const std::int64_t d_model = model.architecture().d_model;
    batch.entries = {
        {model.architecture().layers() - blocks, at::ones({sequences, length, d_model}, model.score_options())}};
    ForwardOptions options;
    options.tape = tape;
    const Pass pass = model.forward(batch, options);
    if (tape == ForwardOptions::Tape::keep) model.backward(pass, {0, sequences}, at::ones_like(pass.resid), {});
  });
}

}  // namespace

std::int64_t peak_tensor_bytes(const std::function<void()>& body) {
  const auto meter = std::make_shared<Meter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
  body();
  return meter->peak();
}

RowBytes measure_row_bytes(const Transformer& model, std::int64_t length) {
  // Two sizes without padding: their difference is the rows', whatever a call takes besides.
  const std::int64_t few = (32 + length - 1) / length;
  const std::int64_t rows = few * length;
  const auto of_blocks = [&](std::int64_t blocks, ForwardOptions::Tape tape) {
    const std::int64_t more =
        peak_of_pass(model, blocks, 2 * few, length, tape) - peak_of_pass(model, blocks, few, length, tape);
    return static_cast<double>(more) / static_cast<double>(detail::padded_rows(2 * rows) - detail::padded_rows(rows));
  };
  // All blocks but the last are alike, so a few of them tell what each adds.
  constexpr std::int64_t some = 3;
  const std::int64_t layers = model.architecture().layers();
  peak_of_pass(model, std::min(some, layers), few, length,
               ForwardOptions::Tape::keep);  // what the first one alone takes
  const auto of_all = [&](ForwardOptions::Tape tape) {
    if (layers <= some) return of_blocks(layers, tape);
    const double most = of_blocks(some, tape);
    return most + (most - of_blocks(some - 1, tape)) * static_cast<double>(layers - some);
  };
  return {of_all(ForwardOptions::Tape::keep), of_all(ForwardOptions::Tape::none)};
}

}  // namespace tributary
