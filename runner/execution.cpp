// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/execution.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>

#include "common/errors.h"
#include "runner/stopping.h"

namespace tributary {

StageResult run_plan(const Execution& execution, const std::string& name, const StagePlan& plan,
                     const std::function<UnitResult(const Chunk&)>& compute) {
  StageOptions options = execution.options;
  options.name = name;
  execution.timings.begin(name);
  const auto start = std::chrono::steady_clock::now();
  StageResult result = run_stage(
      execution.comm, plan.units,
      [&](std::int64_t unit, int) {
        try {
          return compute(plan.chunks[static_cast<std::size_t>(unit)]);
        } catch (const c10::Error& error) {
          throw std::runtime_error(error.what_without_backtrace());  // its frames mean nothing to a user
        }
      },
      options);
  execution.timings.add_seconds(
      name, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (result.stopped) throw Stopped();
  if (result.any_failed) {
    if (result.failed.empty()) throw UnitsFailed("");  // rank 0 has the list
    std::string text = "units of the stage '" + name + "' failed:";
    for (const FailedUnit& failed : result.failed) {
      text +=
          "\n  unit " + std::to_string(failed.unit) + " on rank " + std::to_string(failed.rank) + ": " + failed.text;
    }
    throw UnitsFailed(text);
  }
  return result;
}

std::vector<double> numbers_of(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  const at::Tensor flat = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
  const auto* data = flat.data_ptr<double>();
  return {data, data + flat.numel()};
}

at::Tensor tensor_of(const std::vector<double>& numbers, at::IntArrayRef shape, at::ScalarType type) {
  at::Tensor tensor = at::empty(shape, at::kDouble);
  TRIBUTARY_EXPECT(tensor.numel() == static_cast<std::int64_t>(numbers.size()), "numbers were counted by the plan");
  std::copy(numbers.begin(), numbers.end(), tensor.data_ptr<double>());
  return tensor.to(type);
}

void RowWriter::add(const at::Tensor& rows) {
  numbers_.push_back(rows.defined() ? static_cast<double>(rows.size(1)) : 0);
  const std::vector<double> values = numbers_of(rows);
  numbers_.insert(numbers_.end(), values.begin(), values.end());
}

std::vector<std::vector<double>> RowReader::next() {
  TRIBUTARY_EXPECT(at_ < numbers_.size(), "as many tensors are read as were written");
  const auto columns = static_cast<std::size_t>(numbers_[at_++]);
  std::vector<std::vector<double>> rows;
  if (columns == 0) return rows;
  for (std::int64_t pair = 0; pair < pairs_; ++pair, at_ += columns) {
    TRIBUTARY_EXPECT(at_ + columns <= numbers_.size(), "rows are complete");
    const auto first = numbers_.begin() + static_cast<std::ptrdiff_t>(at_);
    rows.emplace_back(first, first + static_cast<std::ptrdiff_t>(columns));
  }
  return rows;
}

}  // namespace tributary
