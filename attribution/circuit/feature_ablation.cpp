// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/feature_ablation.h"

#include <algorithm>
#include <utility>

#include "attribution/model/tensors.h"
#include "attribution/nodes/site_writer.h"
#include "common/errors.h"

namespace tributary {
namespace {

bool keeps(const CircuitPoint& point, std::int64_t place) {
  return (place < point.count) == (point.side == CircuitPoint::Side::circuit);
}

/// The block before which what a dictionary's features write is first in the stream.
std::int64_t block_of(const FeatureTarget& target) { return target.layer + (target.site == Site::resid_post ? 1 : 0); }

FeatureValues values_to_set(const Transformer& model, const Prompts& prompts, const CurveInputs& inputs, Flops* flops) {
  switch (inputs.ablation) {
    case Ablation::resample:
      TRIBUTARY_EXPECT(prompts.counterfactual.defined(), "resample ablation is refused for unpaired prompts");
      return feature_values(model, *inputs.dictionaries, model.embed(prompts.counterfactual), flops);
    case Ablation::mean:
      TRIBUTARY_EXPECT(inputs.feature_mean != nullptr, "means of features are taken where they are ablated");
      return *inputs.feature_mean;
    case Ablation::zero:
      return {};
  }
  throw ContractViolation("an ablation outside the enumeration");
}

}  // namespace

bool AblatedFeatures::has_features(const NodeLayout& layout) {
  return layout.find(NodeKind::features) < layout.kinds();
}

AblatedFeatures::AblatedFeatures(const Transformer& model, const Prompts& prompts, const CurveInputs& inputs,
                                 Flops* flops)
    : inputs_(inputs),
      blocks_(model.architecture().layers()),
      first_block_(model.architecture().layers()),
      features_(inputs.layout.find(NodeKind::features)),
      errors_(inputs.layout.find(NodeKind::errors)),
      shared_(inputs.ablation == Ablation::mean),
      values_(values_to_set(model, prompts, inputs, flops)) {
  TRIBUTARY_EXPECT(errors_ < inputs.layout.kinds(), "errors come with features");
  for (const Dictionary& dictionary : dictionaries()) {
    for (const FeatureTarget& target : dictionary.targets) first_block_ = std::min(first_block_, block_of(target));
  }
  if (!values_.errors.empty()) {
    for (const auto& [place, d] : error_places(dictionaries())) {
      errors_of_[d] = values_.errors.at(place).flatten(0, 1).contiguous();
    }
  }
  const std::vector<Node>& entries = *inputs.layout.tables()[features_].entries;
  const std::int64_t positions = inputs.layout.positions();
  for (std::int64_t i = 0; i < std::ssize(dictionaries()) * positions; ++i) {
    const Node least{i / positions, inputs.layout.kept() == Positions::keep ? i % positions : -1, 0,
                     NodeKind::features};
    first_.push_back(std::lower_bound(entries.begin(), entries.end(), least) - entries.begin());
  }
  first_.push_back(std::ssize(entries));
}

AblatedFeatures::Listed AblatedFeatures::listed(std::int64_t dictionary, std::int64_t position) const {
  const auto place = static_cast<std::size_t>(dictionary * inputs_.layout.positions() + position_of(position));
  return {first_[place], first_[place + 1]};
}

std::int64_t AblatedFeatures::first_block(const CircuitPoint& point) const {
  const bool circuit = point.side == CircuitPoint::Side::circuit;
  const bool whole = circuit ? point.count >= inputs_.layout.nodes() : point.count == 0;
  return whole ? blocks_ : first_block_;
}

void CircuitChanges::features(const SequencePosition& where, std::int64_t dictionary, FeatureView running,
                              FeatureList& changes) const {
  const CircuitRow& row = rows_[static_cast<std::size_t>(where.sequence)];
  const NodeLayout& layout = ablated_.inputs_.layout;
  const std::vector<Node>& entries = *layout.tables()[ablated_.features_].entries;
  const at::Tensor& ranking = ablated_.inputs_.places[static_cast<std::size_t>(row.point.ranking)];
  const auto* const places = ranking.const_data_ptr<std::int32_t>() + layout.first(ablated_.features_);
  const std::int64_t unlisted = layout.nodes() - 1;
  FeatureView set;
  if (!ablated_.values_.features.empty()) {
    const std::int64_t of_pair = ablated_.shared_ ? 0 : row.pair * ablated_.values_.positions;
    set = view_of(ablated_.values_.features[static_cast<std::size_t>(dictionary)], of_pair + where.position);
  }
  AblatedFeatures::Listed listed = ablated_.listed(dictionary, where.position);
  for_both(running, set, [&](std::int32_t feature, double from, double to) {
    while (listed.first < listed.end && entries[static_cast<std::size_t>(listed.first)].index < feature) ++listed.first;
    const bool is_listed =
        listed.first < listed.end && entries[static_cast<std::size_t>(listed.first)].index == feature;
    if (to != from && !keeps(row.point, is_listed ? places[listed.first] : unlisted)) changes.add(feature, to - from);
  });
}

ErrorChange CircuitChanges::error(const SequencePosition& where, std::int64_t dictionary) const {
  const CircuitRow& row = rows_[static_cast<std::size_t>(where.sequence)];
  const NodeLayout& layout = ablated_.inputs_.layout;
  const std::int64_t node =
      layout.first(ablated_.errors_) + dictionary * layout.positions() + ablated_.position_of(where.position);
  const at::Tensor& ranking = ablated_.inputs_.places[static_cast<std::size_t>(row.point.ranking)];
  if (keeps(row.point, ranking.const_data_ptr<std::int32_t>()[node])) return {};
  const auto set = ablated_.errors_of_.find(dictionary);
  if (set == ablated_.errors_of_.end()) return {0};
  const std::int64_t of_pair = ablated_.shared_ ? 0 : row.pair * ablated_.values_.positions;
  return {0, &set->second, of_pair + where.position};
}

}  // namespace tributary
