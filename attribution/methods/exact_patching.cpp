// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/exact_patching.h"

#include <algorithm>

#include "attribution/model/detail/staging.h"
#include "attribution/model/tensors.h"
#include "common/errors.h"

namespace tributary {
namespace {

/// 1 where a node is patched [node, pos], 0 elsewhere; pos are the last positions of the prompts, the earlier ones do
/// not reach the metric.
at::Tensor patched_positions(const std::vector<Node>& nodes, std::int64_t first_position, std::int64_t positions) {
  at::Tensor patched = at::zeros({static_cast<std::int64_t>(nodes.size()), positions}, at::kDouble);
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    const std::int64_t position = nodes[n].position - first_position;
    if (nodes[n].position < 0) {
      patched[static_cast<std::int64_t>(n)].fill_(1);
    } else if (position >= 0) {
      patched[static_cast<std::int64_t>(n)][position] = 1;
    }
  }
  return patched;
}

/// How nodes of one layer move the input of their writer.
class Moves {
 public:
  Moves(const Writer& writer, const NodeTable& table, const std::vector<Node>& nodes, const at::Tensor& difference,
        const at::Tensor& patched)
      : writer_(writer), table_(table), patched_(patched), difference_(difference) {
    std::vector<std::int64_t> indices;
    for (const Node& node : nodes) indices.push_back(node.index);
    index_ = detail::staged(indices, difference.options());
    if (table.dims == 1) columns_ = writer.columns(index_, difference.scalar_type());  // [node, d_model]
  }

  /// [row, pos, d_model] of some pairs [row], patched in some nodes of the list [row].
  [[nodiscard]] at::Tensor of(const at::Tensor& pairs, const at::Tensor& listed, double sign) const {
    const at::Tensor index = at::index_select(index_, 0, listed);
    const at::Tensor where = at::index_select(patched_, 0, listed);  // [row, pos]
    if (columns_.defined()) {
      const at::Tensor amount = at::index(difference_.transpose(1, 2), {pairs, index}) * where * sign;  // [row, pos]
      return amount.unsqueeze(2) * at::index_select(columns_, 0, listed).unsqueeze(1);
    }
    const at::Tensor own =  // [row, pos, dims]
        at::index(difference_.unflatten(2, {table_.nodes, table_.dims}).transpose(1, 2), {pairs, index});
    at::Tensor all = at::zeros({pairs.size(0), difference_.size(1), table_.nodes, table_.dims}, difference_.options());
    const at::Tensor rows = at::arange(pairs.size(0), pairs.options());
    all.transpose(1, 2).index_put_({rows, index}, own * where.unsqueeze(2) * sign);
    return writer_.move(all.flatten(2), difference_.scalar_type());
  }

 private:
  const Writer& writer_;
  const NodeTable& table_;
  const at::Tensor& patched_;
  const at::Tensor& difference_;
  at::Tensor index_, columns_;
};

}  // namespace

at::Tensor exact_patching(const BaseRuns& runs, std::int64_t base_group, const NodeTable& table,
                          const std::vector<Node>& nodes, const at::Tensor& difference, Direction direction,
                          const Batching& batching, Flops* flops) {
  const Transformer& model = runs.model();
  const std::int64_t layer = nodes.front().layer;
  const std::int64_t positions = difference.size(1);
  const auto count = static_cast<std::int64_t>(nodes.size());
  for (const Node& node : nodes) TRIBUTARY_EXPECT(node.layer == layer, "one layer a call");
  const at::Tensor patched = patched_positions(nodes, runs.length() - positions, positions).to(difference.options());
  const Writer writer = site_writer(model, table.site, layer);
  const Moves moves(writer, table, nodes, difference, patched);
  const WrittenStream base = runs.written(table.site, base_group, layer);
  const StreamPlace place = written_to(model.architecture(), table.site, layer);
  const double sign = direction == Direction::clean ? -1 : 1;
  // The nodes of all pairs one after another, in whatever calls they fill.
  const std::int64_t all = runs.pairs() * count;
  const std::int64_t most = batching.sequences(runs.suffix());
  std::vector<at::Tensor> moved;  // a call each
  for (std::int64_t first = 0; first < all; first += most) {
    batching.pause();
    const std::int64_t width = std::min(most, all - first);
    std::vector<std::int64_t> pair_of, node_of_row;
    for (std::int64_t i = first; i < first + width; ++i) {
      pair_of.push_back(i / count);
      node_of_row.push_back(i % count);
    }
    const at::Tensor pairs = detail::staged(pair_of, difference.options());
    const at::Tensor step = moves.of(pairs, detail::staged(node_of_row, difference.options()), sign);
    const at::Tensor states = writer.moved(base.select(pairs), step);  // [row, suffix, d_model]
    Batch batch;
    batch.length = runs.length();
    batch.suffix = runs.suffix();
    batch.reads = runs.directions().reads;
    batch.entries = {{place.block, states, place.before}};
    batch.pairs = pairs;
    batch.prefix = runs.prefix();
    ForwardOptions options;
    options.flops = flops;
    const Pass pass = model.forward(std::move(batch), options);
    moved.push_back(model.metric(pass.resid, runs.directions().select(pairs)).to(at::kDouble));
  }
  const at::Tensor kept = runs.metric(base_group).to(at::kDouble).unsqueeze(1);  // [pair, 1]
  return ((at::cat(moved).view({runs.pairs(), count}) - kept) * sign).cpu();
}

}  // namespace tributary
