// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/model_measures.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "attribution/methods/attribute.h"
#include "attribution/model/flops.h"

namespace tributary {
namespace {

double time_of_block(const Transformer& model, std::int64_t length) {
  constexpr std::int64_t rows = 96;
  const std::int64_t blocks = std::min<std::int64_t>(2, model.architecture().layers());
  const std::int64_t sequences = std::max<std::int64_t>(1, rows / length);
  Batch batch;
  batch.length = batch.suffix = length;
  batch.entries = {{model.architecture().layers() - blocks,
                    at::ones({sequences, length, model.architecture().d_model}, model.score_options())}};
  ForwardOptions options;
  options.tape = ForwardOptions::Tape::keep;
  double fastest = 0;
  for (int i = 0; i < 2; ++i) {  // the first one touches the weights
    const auto start = std::chrono::steady_clock::now();
    const Pass pass = model.forward(batch, options);
    model.backward(pass, {0, sequences}, pass.resid, {});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    fastest = i == 0 ? took.count() : std::min(fastest, took.count());
  }
  return fastest / static_cast<double>(2 * blocks * sequences);
}

/// The value that a memo holds for a key, found out the first time.
template <typename Memo, typename Find>
auto remembered(Memo& memo, const typename Memo::key_type& key, const Find& find) {
  const auto known = memo.find(key);
  return known != memo.end() ? known->second : memo.emplace(key, find()).first->second;
}

}  // namespace

const StandIn& ModelMeasures::measured(const Transformer& network) {
  const auto known = stand_ins_.find(&network);
  if (known != stand_ins_.end()) return known->second;
  StandIn itself;
  if (is_without_numbers(network)) {
    itself = stand_in_for(network);
  } else {
    itself.network = std::shared_ptr<const Transformer>(&network, [](const Transformer*) {});  // owned elsewhere
  }
  return stand_ins_.emplace(&network, std::move(itself)).first->second;
}

RowBytes ModelMeasures::row_bytes(const Transformer& network, std::int64_t length) {
  return remembered(row_bytes_, {&network, length}, [&] {
    const StandIn& small = measured(network);
    const RowBytes bytes = measure_row_bytes(*small.network, length);
    return RowBytes{bytes.backward * small.width, bytes.forward * small.width};
  });
}

double ModelMeasures::seconds_of_block(const Transformer& network, std::int64_t length) {
  return remembered(seconds_, {&network, length}, [&] {
    const StandIn& small = measured(network);
    return time_of_block(*small.network, length) * block_operations(network.architecture(), length) /
           block_operations(small.network->architecture(), length);
  });
}

const Fired& ModelMeasures::fired(const Transformer& network) {
  if (!fired_) fired_ = count_fired(*measured(network).network, network.architecture().layers());
  return *fired_;
}

const Fired& ModelMeasures::sites(const Transformer& network) {
  if (!sites_) sites_ = count_fired(*measured(network).network, 1);
  return *sites_;
}

double block_operations(const Architecture& architecture, std::int64_t length) {
  const BlockSpec& block = architecture.blocks.back();
  const BlockWork work{length, length, attended_pairs(length, length, block.attention.window.value_or(0))};
  return (forward_flops(architecture, block, work) + backward_flops(architecture, block, work)) / 2;
}

}  // namespace tributary
