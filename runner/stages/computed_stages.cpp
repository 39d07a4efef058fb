// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/computed_stages.h"

#include <ATen/DeviceAccelerator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>

#include <chrono>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "io/checkpoint.h"
#include "runner/cluster/stage.h"
#include "runner/cluster/stopping.h"
#include "runner/journal/spent_time.h"
#include "runner/stages/stage_store.h"

namespace tributary {
namespace {

/// LibTorch's CPU allocator has no type of its own for this.
bool out_of_memory(const c10::Error& error) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         std::string_view(error.what_without_backtrace()).find("can't allocate memory") != std::string_view::npos;
}

std::string text_of(const std::string& stage, const std::vector<FailedUnit>& failed) {
  if (failed.empty()) return "";  // rank 0 has the list
  std::string text = "units of the stage '" + stage + "' failed:";
  for (const FailedUnit& one : failed) {
    text += "\n  unit " + std::to_string(one.unit) + " on rank " + std::to_string(one.rank) + ": " + one.text;
  }
  return text;
}

}  // namespace

/// Computes, and when memory runs out computes again with half the rows. The retry is outside the handlers: what the
/// failed call held is freed by then.
template <typename Compute>
auto ComputedStages::with_less_memory(const Compute& compute) const {
  for (;;) {
    const std::int64_t rows = rows_.get();
    std::string text;
    try {
      return compute();
    } catch (const std::bad_alloc&) {
      text = "out of memory";
    } catch (const c10::Error& error) {
      text = error.what_without_backtrace();  // its frames mean nothing to a user
      if (!out_of_memory(error)) throw std::runtime_error(text);
    }
    if (!options_.may_halve) {
      throw std::runtime_error(text + "; batch_rows is " + std::to_string(rows) +
                               " and strict: true forbids smaller ones; lower it, or memory");
    }
    if (!rows_.halve(rows)) {
      throw std::runtime_error(text +
                               "; even a single sequence does not fit: lower threads and unit.pairs, or take "
                               "model.dtype: bfloat16");
    }
    if (at::isAccelerator(options_.device)) at::getDeviceAllocator(options_.device)->emptyCache();
  }
}

/// Where a stage goes wrong after a change of what it is computed from, the change is the reason to be told.
StageResult ComputedStages::unless_changed(const std::function<StageResult()>& run) const {
  StageResult result;
  try {
    result = run();
  } catch (const FailedElsewhere&) {
    throw;
  } catch (const std::exception&) {
    options_.require_unchanged();
    throw;
  }
  if (result.any_failed) agreed(comm_, [this] { options_.require_unchanged(); });
  return result;
}

/// What goes wrong after a change is told once, as the change, when the stage ends.
void ComputedStages::warn_unless_changed(const std::string& text) const {
  if (!options_.stage.on_warning) return;
  try {
    options_.require_unchanged();
  } catch (const CheckpointChanged&) {
    return;
  }
  options_.stage.on_warning(text);
}

StageResult ComputedStages::result_of(const Stage& stage) const {
  StageStore store(comm_, journal_, stage);
  StageOptions options = options_.stage;
  options.name = stage.name;
  options.on_warning = [this](const std::string& text) { warn_unless_changed(text); };
  options.write = [&](const BlockResult& block) {
    options_.require_unchanged();
    store.write(block);
  };
  options.restore = [&] {
    std::optional<BlockResult> block = store.next(options.on_warning);
    if (!block && options_.on_processors) options_.on_processors(store.processors());
    return block;
  };
  store.begin();
  const double earlier_seconds = comm_.rank() == 0 ? spent_seconds(store.folder()) : 0;
  const auto start = std::chrono::steady_clock::now();
  const ComputeUnit compute = [&](std::int64_t unit, int worker) {
    options_.require_unchanged();  // after a change nothing is computed for nothing
    return with_less_memory([&] { return stage.compute(unit, worker); });
  };
  options.at_once = stage.at_once;
  if (options_.may_share_units) {
    options.threads = shared_threads(stage.units, stage.at_once.most, options.threads.workers, comm_.size());
  }
  if (stage.at_once.compute) {
    options.at_once.compute = [&](const std::vector<std::int64_t>& units, int worker) {
      options_.require_unchanged();
      return with_less_memory([&] { return stage.at_once.compute(units, worker); });
    };
  }
  StageResult result = unless_changed([&] { return run_stage(comm_, stage.units, compute, options); });
  store.end(result, options.on_warning);
  result.earlier_seconds = earlier_seconds;
  if (comm_.rank() == 0) {
    const std::chrono::duration<double> here = std::chrono::steady_clock::now() - start;
    keep_spent_seconds(store.folder(), earlier_seconds + here.count());
  }
  if (result.stopped) {
    const bool time = options.stop != nullptr && options.stop->out_of_time();
    throw Stopped(time ? Stopped::Cause::time : Stopped::Cause::request);
  }
  if (result.any_failed) throw UnitsFailed(text_of(stage.name, result.failed));
  return result;
}

}  // namespace tributary
