// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/doctor_bits.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <barrier>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "common/team.h"
#include "runner/cluster/fold.h"
#include "runner/commands/doctor_units.h"
#include "runner/job/model_measures.h"
#include "runner/machine/device.h"
#include "runner/stages/bits_check.h"

namespace tributary {
namespace {

/// Blocks from the top: the patterns of today's families (windows, positions) repeat after six at most.
constexpr std::int64_t checked_blocks = 8;
/// Times that two threads compute side by side: a race need not show the first time, and where a pass is short they may
/// meet but rarely. Fewer the more operations a pass takes, but never fewer than the first.
constexpr double least_times = 8, most_times = 256;
constexpr double operations_side_by_side = 2e9;

Finding same_or_not(bool same, const std::string& otherwise) {
  return {same ? Verdict::ok : Verdict::fail, same ? "the same bits" : otherwise, "the same bits"};
}

/// The pairs, then the pairs the other way round.
Prompts both_directions(const Prompts& prompts) {
  Prompts all = prompts;
  all.clean = at::cat({prompts.clean, prompts.counterfactual});
  all.counterfactual = at::cat({prompts.counterfactual, prompts.clean});
  all.tokens.tokens = at::cat({prompts.tokens.tokens, prompts.tokens.tokens.flip(1)});
  return all;
}

/// The sum of units of `size` pairs each, the last first, as rank 0 folds what ranks send.
at::Tensor folded(const UnitScoresOf& scores, const Prompts& prompts, LayerRange layers, std::int64_t size) {
  const std::int64_t pairs = prompts.clean.size(0);
  LaneFold fold(0, pairs / size);
  std::vector<std::int64_t> shape;
  for (std::int64_t unit = pairs / size - 1; unit >= 0; --unit) {
    const at::Tensor one = scores(prompts.narrow(unit * size, size), layers).contiguous();
    shape = one.sizes().vec();
    const auto* const data = one.const_data_ptr<double>();
    fold.add({0, 0, unit, std::vector<double>(data, data + one.numel())});
  }
  return at::tensor(fold.take(), at::kDouble).view(shape);
}

}  // namespace

Finding check_rows(const Job& job, std::int64_t rows) {
  return same_or_not(bits_hold(job, {.blocks = checked_blocks, .rows = rows}), "a prompt's bits depend on its batch");
}

Finding compare_threads(const TwoComputations& computations, int times) {
  const std::array<at::Tensor, 2> alone{computations[0](), computations[1]()};
  std::array<bool, 2> same{true, true};
  std::array<std::exception_ptr, 2> failures;
  {
    std::barrier beginning(2);
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < computations.size(); ++i) {
      threads.emplace_back([&, i] {
        use_one_thread();
        beginning.arrive_and_wait();
        try {
          for (int time = 0; time < times; ++time) {
            same.at(i) = same.at(i) && at::equal(computations.at(i)(), alone.at(i));
          }
        } catch (...) {
          failures.at(i) = std::current_exception();
        }
      });
    }
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return same_or_not(same[0] && same[1], "two threads at a time give other scores than one");
}

bool same_when_shared(const std::function<at::Tensor()>& computation) {
  const at::Tensor alone = computation();
  constexpr int size = 3;  // pieces of unlike sizes
  const Team team(size);
  return at::equal(computation(), alone);
}

Finding check_threads(const Job& job) {
  const Prompts prompts = examined_prompts(job);
  const auto scores = [&](const std::string& method, std::int64_t pair) {
    return unit_of(*job.working, method, prompts.narrow(pair, 1), all_layers(job.architecture())).scores;
  };
  if (!same_when_shared([&] { return scores("relp", 0); })) {
    return same_or_not(false, "threads that share the loops of a unit give other scores than one");
  }
  const Architecture& a = job.architecture();
  const double pass = static_cast<double>(a.layers()) * block_operations(a, prompts.clean.size(1));
  const double times = std::clamp(operations_side_by_side / pass, least_times, most_times);
  return compare_threads({[&] { return scores("atp", 0); }, [&] { return scores("relp", prompts.clean.size(0) - 1); }},
                         static_cast<int>(times));
}

Finding compare_ranks(const UnitScoresOf& scores, const Prompts& prompts, LayerRange layers) {
  const at::Tensor whole = scores(prompts, layers);
  if (layers.count() > 1) {
    const std::int64_t middle = (layers.first + layers.end) / 2;
    const at::Tensor lower = scores(prompts, {layers.first, middle}), upper = scores(prompts, {middle, layers.end});
    if (!at::equal(whole, at::cat({lower, upper}))) {
      return same_or_not(false, "some layers alone have other bits than among all");
    }
  }
  for (std::int64_t size = 1; size < prompts.clean.size(0); size *= 2) {
    if (!at::equal(whole, folded(scores, prompts, layers, size))) {
      return same_or_not(false, "shares of the pairs do not add up to the bits of all");
    }
  }
  return same_or_not(true, "");
}

Finding check_ranks(const Job& job) {
  const Prompts prompts = both_directions(examined_prompts(job));
  const auto method = [&](const std::string& name) {
    return [&job, name](const Prompts& some, LayerRange layers) {
      return unit_of(*job.working, name, some, layers).scores;
    };
  };
  const LayerRange all = all_layers(job.architecture());
  Finding relp = compare_ranks(method("relp"), prompts, all);
  if (relp.verdict == Verdict::fail) return relp;
  // Nor may what adaptive quadrature decides depend on the unit: on two layers, as it takes many passes.
  const std::int64_t middle = all.end / 2;
  const LayerRange two{std::max<std::int64_t>(0, middle - 1), std::min(middle + 1, all.end)};
  return compare_ranks(method("ig-acts"), prompts.narrow(0, prompts.clean.size(0) / 2), two);
}

}  // namespace tributary
