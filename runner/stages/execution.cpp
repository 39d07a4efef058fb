// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/execution.h"

#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <optional>
#include <string_view>

#include "common/errors.h"
#include "runner/cluster/fold.h"
#include "runner/cluster/stopping.h"

namespace tributary {

namespace {

/// LibTorch's CPU allocator has no type of its own for this.
bool out_of_memory(const c10::Error& error) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         std::string_view(error.what_without_backtrace()).find("can't allocate memory") != std::string_view::npos;
}

/// Computes, and when memory runs out computes again with half the rows. The retry is outside the handlers: what the
/// failed call held is freed by then.
UnitResult with_less_memory(const Execution& execution, const std::function<UnitResult()>& compute) {
  for (;;) {
    const std::int64_t rows = execution.rows.get();
    std::string text;
    try {
      return compute();
    } catch (const std::bad_alloc&) {
      text = "out of memory";
    } catch (const c10::Error& error) {
      text = error.what_without_backtrace();  // its frames mean nothing to a user
      if (!out_of_memory(error)) throw std::runtime_error(text);
    }
    if (!execution.may_halve) {
      throw std::runtime_error(text + "; batch_rows is " + std::to_string(rows) +
                               " and strict: true forbids smaller ones; lower it, or memory");
    }
    if (!execution.rows.halve(rows)) {
      throw std::runtime_error(text +
                               "; even a single sequence does not fit: lower threads and unit.pairs, or take "
                               "model.dtype: bfloat16");
    }
    if (at::isAccelerator(execution.device)) at::getDeviceAllocator(execution.device)->emptyCache();
  }
}

/// A stage's journal, hooked into its options.
class StageStore {
 public:
  StageStore(const Execution& execution, const std::string& name, const StagePlan& plan, StageOptions& options)
      : root_(execution.comm.rank() == 0),
        mixed_(execution.journal->processors().size() > 1),
        table_(plan.units),
        journal_(execution.journal->stage(name + execution.scope, table_)) {
    agreed(execution.comm, [&] {
      if (root_) journal_.begin(name + execution.scope, table_);
    });
    options.keep = [this](const BlockResult& result) { journal_.write(result, table_); };
    options.restore = [this, &execution, warn = options.on_warning] {
      const bool any = execution.compute == Compute::nothing;  // putting together adds nothing of this machine
      return journal_.next(any ? std::vector<std::string>() : execution.journal->processors(), warn);
    };
  }
  StageStore(const StageStore&) = delete;
  StageStore& operator=(const StageStore&) = delete;

  void close(const StageResult& result) {
    if (!root_ || result.stopped) return;
    if (result.any_failed) return journal_.record_failed(result.failed);
    if (journal_.packed() || mixed_) return;  // one file has one kind of processor
    BlockResult all;
    for (std::int64_t lane = 0; lane < table_.lanes(); ++lane) {
      all.nodes.push_back(LaneFold::root(lane, table_.lane_size(lane), result.sums[static_cast<std::size_t>(lane)]));
    }
    for (std::int64_t unit = 0; unit < table_.size(); ++unit) {
      const std::vector<double>& rows = result.rows[static_cast<std::size_t>(unit)];
      if (!rows.empty()) all.rows.push_back({unit, rows});
    }
    journal_.pack(all);
  }

 private:
  bool root_, mixed_;
  UnitTable table_;
  StageJournal journal_;
};

}  // namespace

Batching Execution::batching() const {
  return {rows.get(), [stop = options.stop] {
            if (stop != nullptr && stop->requested()) throw Stopped();
          }};
}

StageResult run_plan(const Execution& execution, const std::string& name, const StagePlan& plan,
                     const std::function<UnitResult(const Chunk&)>& compute) {
  StageOptions options = execution.options;
  options.name = name;
  execution.timings.begin(name);
  const auto start = std::chrono::steady_clock::now();
  std::optional<StageStore> store;
  if (execution.journal != nullptr) store.emplace(execution, name, plan, options);
  StageResult result = run_stage(
      execution.comm, plan.units,
      [&](std::int64_t unit, int) {
        if (execution.compute == Compute::nothing) throw Stopped();
        return with_less_memory(execution, [&] { return compute(plan.chunks[static_cast<std::size_t>(unit)]); });
      },
      options);
  execution.timings.add_seconds(name, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (execution.comm.rank() == 0) {
    execution.timings.add_units(std::ssize(plan.units), result.restored);
    execution.timings.add_computing(name, result.computing);
  }
  if (store) agreed(execution.comm, [&] { store->close(result); });
  if (result.stopped && execution.compute == Compute::nothing) {
    throw UserError("",
                    "the journal misses units of stage '" + name + "'; the command that began the run computes them");
  }
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
