// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "attribution/methods/detail/feature_task.h"
#include "attribution/model/detail/staging.h"
#include "attribution/model/tensors.h"
#include "attribution/nodes/feature_edit.h"
#include "common/errors.h"

namespace tributary::detail {
namespace {

/// Numbers [pair, pos, …] where a node is patched, 0 elsewhere; pos are the prompts' last positions.
at::Tensor where_patched(const at::Tensor& numbers, const Node& node, std::int64_t length) {
  if (node.position < 0) return numbers;
  at::Tensor some = at::zeros_like(numbers);
  const std::int64_t position = node.position - (length - numbers.size(1));
  if (position >= 0) some.select(1, position).copy_(numbers.select(1, position));
  return some;
}

/// How much one feature differs [pair, pos].
at::Tensor amounts_of(const FeatureDifferences& all, std::int64_t feature, std::int64_t pairs,
                      const at::TensorOptions& options) {
  at::Tensor amounts = at::zeros({all.rows()}, options.dtype(at::kDouble));
  for (std::int64_t row = 0; row < all.rows(); ++row) {
    amounts.mutable_data_ptr<double>()[row] = view_of(all, row).value_of(feature);
  }
  return amounts.to(options.dtype()).view({pairs, -1});
}

/// How the error of a place differs [pair, pos, width]: what is written there less what its features make of Δf.
at::Tensor error_difference(const BaseRuns& runs, const Task& task, const SitePlace& place) {
  const at::Tensor moved = moved_at(runs, task, place.first, place.second);
  at::Tensor left = moved.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true).contiguous();
  const std::int64_t width = left.size(2);
  for (const Dictionary& dictionary : *task.options.dictionaries) {
    for (const FeatureTarget& target : dictionary.targets) {
      if (SitePlace(target.site, target.layer) != place) continue;
      const FeatureDifferences all = encoded(runs, task, dictionary, nullptr).features;
      const std::int64_t positions = all.rows() / left.size(0);
      std::vector<double> explained(static_cast<std::size_t>(width));
      for (std::int64_t row = 0; row < left.size(0) * left.size(1); ++row) {
        const std::int64_t pair = row / left.size(1);
        const std::int64_t of_row = pair * positions + positions - left.size(1) + row % left.size(1);
        std::fill(explained.begin(), explained.end(), 0);
        add_decoded(target, view_of(all, of_row), explained);
        auto* const x = left.mutable_data_ptr<double>() + row * width;
        for (std::int64_t i = 0; i < width; ++i) x[i] -= explained[static_cast<std::size_t>(i)];
      }
    }
  }
  return left.to(moved.scalar_type());
}

/// What patching a node adds where its dictionary writes: by place [pair, pos, width], or for features what one unit
/// of them adds [width] and how many units [pair, pos].
struct Step {
  at::Tensor amounts;                     // of a feature [pair, pos]
  std::map<SitePlace, at::Tensor> whole;  // of an error [pair, pos, width]
};

/// The last positions that both have, of what is read [row, pos, width], with an addition to it.
void add_at_last(const at::Tensor& read, const at::Tensor& addition) {
  const std::int64_t positions = std::min(read.size(1), addition.size(1));
  read.narrow(1, read.size(1) - positions, positions)
      .add_(addition.narrow(1, addition.size(1) - positions, positions).to(read.scalar_type()));
}

/// Effects of nodes of one dictionary [pair, node], float64.
class FeaturePatching {
 public:
  FeaturePatching(const MicroBatch& micro, const TaskScores& task, std::int64_t dictionary)
      : micro_(micro),
        task_(task.task()),
        method_(task.method()),
        runs_(micro.exact()),
        own_((*task.options().dictionaries)[static_cast<std::size_t>(dictionary)]),
        sign_(method_.direction == Direction::clean ? -1 : 1) {
    for (const FeatureTarget& target : own_.targets) places_.emplace(target.site, target.layer);
    const FeatureTarget& first = own_.targets.front();
    block_ = first.layer + (first.site == Site::resid_post ? 1 : 0);
  }

  [[nodiscard]] at::Tensor effects(const std::vector<Node>& nodes) const {
    const std::vector<Step> steps = steps_of(nodes);
    const auto count = static_cast<std::int64_t>(nodes.size());
    const std::int64_t all = runs_.pairs() * count;
    const std::int64_t most = micro_.batching().sequences(runs_.suffix());
    std::vector<at::Tensor> moved;  // a call each
    for (std::int64_t first = 0; first < all; first += most) {
      micro_.pause();
      moved.push_back(run(nodes, steps, first, std::min(most, all - first)));
    }
    const at::Tensor kept = runs_.metric(base_group(method_)).to(at::kDouble).unsqueeze(1);  // [pair, 1]
    return (at::cat(moved).view({runs_.pairs(), count}) - kept) * sign_;
  }

 private:
  [[nodiscard]] std::vector<Step> steps_of(const std::vector<Node>& nodes) const {
    const FeatureTarget& target = own_.targets.front();
    const SitePlace own_place(target.site, target.layer);
    const FeatureDifferences all = encoded(runs_, task_, own_, micro_.flops()).features;
    at::Tensor error;
    std::vector<Step> steps;
    for (const Node& node : nodes) {
      Step step;
      if (node.kind == NodeKind::features) {
        const at::Tensor amounts = amounts_of(all, node.index, runs_.pairs(), runs_.model().score_options());
        step.amounts = where_patched(amounts, node, runs_.length());
      } else {
        if (!error.defined()) error = error_difference(runs_, task_, own_place);
        step.whole[own_place] = where_patched(error, node, runs_.length());
      }
      steps.push_back(std::move(step));
    }
    return steps;
  }

  /// Adds to one sequence of what stands at a place [1, pos, width].
  void add(const SitePlace& place, const at::Tensor& read, const Node& node, const Step& step,
           std::int64_t pair) const {
    if (node.kind == NodeKind::errors) {
      const auto whole = step.whole.find(place);
      if (whole != step.whole.end()) add_at_last(read, whole->second.narrow(0, pair, 1) * sign_);
      return;
    }
    for (const FeatureTarget& target : own_.targets) {
      if (SitePlace(target.site, target.layer) != place) continue;
      const at::Tensor amounts = step.amounts.narrow(0, pair, 1).unsqueeze(2) * sign_;  // [1, pos, 1]
      add_at_last(read, amounts * target.decoder[node.index]);
    }
  }

  /// m [row] of some rows, a pair with a node each.
  [[nodiscard]] at::Tensor run(const std::vector<Node>& nodes, const std::vector<Step>& steps, std::int64_t first,
                               std::int64_t width) const {
    const auto count = static_cast<std::int64_t>(nodes.size());
    std::vector<std::int64_t> pair_of;
    for (std::int64_t i = first; i < first + width; ++i) pair_of.push_back(i / count);
    const Transformer& model = runs_.model();
    const at::Tensor pairs = staged(pair_of, model.options());
    const std::int64_t group = base_group(method_);
    const at::Tensor base = block_ == 0 ? runs_.embeddings(group) : runs_.resid_post(group, block_ - 1);
    Batch batch;
    batch.length = runs_.length();
    batch.suffix = runs_.suffix();
    batch.reads = runs_.directions().reads;
    batch.entries = {{block_, at::index_select(base, 0, pairs)}};
    batch.pairs = pairs;
    batch.prefix = runs_.prefix();
    ForwardOptions options;
    options.flops = micro_.flops();
    visit_sites(
        model, places_,
        [&](const SitePlace& place, const at::Tensor& read) {
          for (std::int64_t i = 0; i < width; ++i) {
            const auto node = static_cast<std::size_t>((first + i) % count);
            add(place, read.narrow(0, i, 1), nodes[node], steps[node], pair_of[static_cast<std::size_t>(i)]);
          }
          return true;
        },
        options);
    const Pass pass = model.forward(std::move(batch), options);
    return model.metric(pass.resid, runs_.directions().select(pairs)).to(at::kDouble);
  }

  const MicroBatch& micro_;
  const Task& task_;
  const Method& method_;
  const BaseRuns& runs_;
  const Dictionary& own_;
  double sign_;
  std::set<SitePlace> places_;
  std::int64_t block_ = 0;
};

}  // namespace

void add_exact_features(const MicroBatch& micro, TaskScores& task) {
  const TaskOptions& options = task.options();
  const bool kept = task.method().positions == Positions::keep;
  const std::int64_t positions = kept ? micro.length() : 1;
  const std::vector<std::int64_t> firsts = first_keys(*options.dictionaries, positions);
  at::Tensor errors =
      at::full({micro.pairs(), task.layers(), positions, 1}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  const at::Tensor sums = at::zeros({micro.pairs(), task.layers()}, at::kDouble);  // of the nodes that are patched
  for (std::int64_t d = 0; d < task.layers(); ++d) {
    std::vector<Node> here;
    for (const Node& node : options.sample) {
      if (node.layer == d) here.push_back(node);
    }
    if (here.empty()) continue;
    const at::Tensor effects = FeaturePatching(micro, task, d).effects(here);  // [pair, node]
    sums.select(1, d).copy_(effects.sum(1));
    std::vector<SparseScores> features(static_cast<std::size_t>(micro.pairs()));
    for (std::size_t n = 0; n < here.size(); ++n) {
      const at::Tensor own = effects.select(1, static_cast<std::int64_t>(n)).contiguous();
      const std::int64_t position = std::max<std::int64_t>(here[n].position, 0);
      if (here[n].kind == NodeKind::errors) {
        errors.select(1, d).select(1, position).select(1, 0).copy_(own);
        continue;
      }
      const std::int64_t of_position = (*options.dictionaries)[static_cast<std::size_t>(d)].features();
      for (std::int64_t pair = 0; pair < micro.pairs(); ++pair) {
        SparseScores& list = features[static_cast<std::size_t>(pair)];
        list.keys.push_back(firsts[static_cast<std::size_t>(d)] + position * of_position + here[n].index);
        list.values.push_back(own.const_data_ptr<double>()[pair]);
      }
    }
    task.add_sparse(static_cast<std::size_t>(d), std::move(features));
    micro.pause();
  }
  task.expect_finite(sums);
  task.add(errors);
}

}  // namespace tributary::detail
