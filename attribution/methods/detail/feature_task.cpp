// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/feature_task.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "attribution/methods/detail/node_scores.h"
#include "attribution/model/detail/rows.h"
#include "attribution/model/detail/staging.h"
#include "attribution/model/tensors.h"
#include "attribution/nodes/feature_edit.h"
#include "attribution/nodes/noise.h"
#include "common/errors.h"
#include "common/seeded.h"
#include "common/team.h"

namespace tributary {
namespace detail {
namespace {

/// Widths of sites: z has all heads, the others are as wide as the stream.
NodeTable table_of(Site site, const Architecture& a) {
  const std::int64_t width = site == Site::z ? a.query_width() : a.d_model;
  return {NodeKind::features, site, a.layers(), 1, width};
}

/// Numbers [pair, pos, width] at the last `positions`, zero where there are none.
at::Tensor last_positions_of(const at::Tensor& t, std::int64_t positions) {
  if (t.size(1) >= positions) return t.narrow(1, t.size(1) - positions, positions);
  return at_all_positions(t, positions);
}

/// Numbers of some pairs' entries under their keys, dictionary by dictionary.
class PairEntries {
 public:
  PairEntries(TaskScores& task, std::int64_t pairs, std::int64_t length)
      : task_(task),
        pairs_(pairs),
        kept_(task.method().positions == Positions::keep),
        length_(length),
        firsts_(first_keys(*task.options().dictionaries, kept_ ? length : 1)) {}

  /// Of dictionary d, whose rows end with the prompts' last positions; numbers in the order of rows' entries.
  void add(std::size_t d, const Dictionary& dictionary, const Encoded& rows, const std::vector<double>& numbers) {
    std::vector<SparseScores> scores(static_cast<std::size_t>(pairs_));
    share_loop(pairs_, 1, [&](std::int64_t first, std::int64_t end) {
      for (std::int64_t pair = first; pair < end; ++pair) {
        SparseScores& own = scores[static_cast<std::size_t>(pair)];
        if (kept_) {
          list_by_position(own, {rows, numbers, firsts_[d], pair}, dictionary.features());
        } else {
          list_summed(own, {rows, numbers, firsts_[d], pair}, dictionary.features());
        }
      }
    });
    task_.add_sparse(d, std::move(scores));
  }

 private:
  struct Source {
    const Encoded& rows;
    const std::vector<double>& numbers;
    std::int64_t first;  // key
    std::int64_t pair;

    /// Calls body(feature, number) for what differs at a position: not where the prompts are the same.
    template <typename Body>
    void at(std::int64_t position, const Body& body) const {
      const std::size_t row = static_cast<std::size_t>(pair * rows.positions + position);
      const auto end = static_cast<std::size_t>(rows.features.first[row + 1]);
      for (auto e = static_cast<std::size_t>(rows.features.first[row]); e < end; ++e) {
        if (rows.features.difference[e] != 0) body(rows.features.feature[e], numbers[e] + 0.0);  // no −0
      }
    }
    [[nodiscard]] std::size_t entries() const {
      const auto row = static_cast<std::size_t>(pair * rows.positions);
      return static_cast<std::size_t>(rows.features.first[row + static_cast<std::size_t>(rows.positions)] -
                                      rows.features.first[row]);
    }
  };

  void list_by_position(SparseScores& own, const Source& from, std::int64_t features) const {
    own.keys.reserve(from.entries());
    own.values.reserve(from.entries());
    for (std::int64_t position = 0; position < from.rows.positions; ++position) {
      const std::int64_t first = from.first + (length_ - from.rows.positions + position) * features;
      from.at(position, [&](std::int32_t feature, double number) {
        own.keys.push_back(first + feature);
        own.values.push_back(number);
      });
    }
  }

  static void list_summed(SparseScores& own, const Source& from, std::int64_t features) {
    std::vector<double> sums(static_cast<std::size_t>(features), 0);
    std::vector<char> there(sums.size(), 0);
    for (std::int64_t position = 0; position < from.rows.positions; ++position) {
      from.at(position, [&](std::int32_t feature, double number) {
        sums[static_cast<std::size_t>(feature)] += number;
        there[static_cast<std::size_t>(feature)] = 1;
      });
    }
    for (std::size_t feature = 0; feature < sums.size(); ++feature) {
      if (there[feature] == 0) continue;
      own.keys.push_back(from.first + static_cast<std::int64_t>(feature));
      own.values.push_back(sums[feature]);
    }
  }

  TaskScores& task_;
  std::int64_t pairs_;
  bool kept_;
  std::int64_t length_;
  std::vector<std::int64_t> firsts_;
};

/// A product as the stream's dtype rounds it.
double rounded(double a, double b, at::ScalarType type) {
  return type == at::kDouble ? a * b : static_cast<double>(static_cast<float>(a) * static_cast<float>(b));
}

/// Σ of entries' differences times their slopes by row [pair, pos].
at::Tensor explained_by(const Encoded& rows, const std::vector<double>& slopes, std::int64_t pairs) {
  at::Tensor sums = at::zeros({pairs, rows.positions}, at::kDouble);
  auto* const out = sums.mutable_data_ptr<double>();
  share_loop(rows.features.rows(), 1, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t row = first; row < end; ++row) {
      for (auto e = static_cast<std::size_t>(rows.features.first[static_cast<std::size_t>(row)]);
           e < static_cast<std::size_t>(rows.features.first[static_cast<std::size_t>(row) + 1]); ++e) {
        out[row] += slopes[e] * rows.features.difference[e];
      }
    }
  });
  return sums;
}

/// |Δf|, and of the errors ‖Δwritten − W_dec Δf‖.
void add_feature_magnitudes(const MicroBatch& micro, TaskScores& task) {
  const std::vector<Dictionary>& dictionaries = *task.options().dictionaries;
  const at::TensorOptions options = micro.working().model().score_options();
  PairEntries entries(task, micro.pairs(), micro.length());
  const auto rows_of_errors = error_places(dictionaries);
  std::map<std::int64_t, at::Tensor> rest;  // by dictionary: what is not explained [pair, pos, width]
  for (const auto& [place, d] : rows_of_errors) {
    rest[d] = moved_at(micro.working(), task.task(), place.first, place.second).to(options).clone();
  }
  for (std::size_t d = 0; d < dictionaries.size(); ++d) {
    const Encoded rows = encoded(micro.working(), task.task(), dictionaries[d], micro.flops());
    std::vector<double> scores;
    for (const double difference : rows.features.difference) scores.push_back(std::abs(difference));
    entries.add(d, dictionaries[d], rows, scores);
    for (const FeatureTarget& target : dictionaries[d].targets) {
      const at::Tensor& left = rest.at(rows_of_errors.at({target.site, target.layer}));
      const at::Tensor explained = decode(target, rows.features).unflatten(0, {-1, rows.positions});
      left.sub_(last_positions_of(explained, left.size(1)));
    }
    micro.pause();
  }
  const at::Tensor errors = at::zeros({micro.pairs(), task.layers(), micro.suffix(), 1}, options);
  for (const auto& [d, left] : rest) {
    errors.select(1, d)
        .narrow(1, micro.suffix() - left.size(1), left.size(1))
        .copy_(node_norms(left, {NodeKind::features, Site::resid_post, 1, 1, left.size(2)}));
  }
  task.add(errors);
}

/// Of noise the pairs say which features have any: feature_noise makes it, the same for every pair.
void add_feature_noise(const MicroBatch& micro, TaskScores& task) {
  const std::vector<Dictionary>& dictionaries = *task.options().dictionaries;
  PairEntries entries(task, micro.pairs(), micro.length());
  for (std::size_t d = 0; d < dictionaries.size(); ++d) {
    const Encoded rows = encoded(micro.working(), task.task(), dictionaries[d], micro.flops());
    entries.add(d, dictionaries[d], rows, std::vector<double>(rows.features.feature.size(), 0));
  }
  const std::int64_t positions = task.method().positions == Positions::sum ? 1 : micro.length();
  task.add(noise(task.nodes(), positions, task.options().seed).unsqueeze(0).expand({micro.pairs(), -1, -1, -1}));
}

/// Layers of one site that follow each other.
struct SiteRange {
  Site site;
  LayerRange layers;
};

std::vector<SiteRange> ranges_of(const std::vector<Dictionary>& dictionaries) {
  std::set<std::pair<Site, std::int64_t>> all;
  for (const Dictionary& dictionary : dictionaries) {
    for (const FeatureTarget& target : dictionary.targets) all.emplace(target.site, target.layer);
  }
  std::vector<SiteRange> ranges;
  for (const auto& [site, layer] : all) {
    if (!ranges.empty() && ranges.back().site == site && ranges.back().layers.end == layer) {
      ++ranges.back().layers.end;
    } else {
      ranges.push_back({site, {layer, layer + 1}});
    }
  }
  return ranges;
}

/// How far the sums of the sites' scores, features' and error's together, are from the sites' true effects [pair,
/// dictionary]; NaN for pairs that are not measured, and for dictionaries without an error of their own.
at::Tensor feature_gaps(const MicroBatch& micro, const TaskScores& task, const GradientAt& gradient,
                        const std::vector<char>& measured) {
  const std::vector<Dictionary>& dictionaries = *task.options().dictionaries;
  const auto rows = error_places(dictionaries);
  at::Tensor gaps = at::full({micro.pairs(), task.layers()}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  for (const SiteRange& range : ranges_of(dictionaries)) {
    TaskOptions options = task.options();
    options.nodes = table_of(range.site, micro.working().model().architecture());
    options.layers = range.layers;
    const at::Tensor effects = micro.effects(task.method(), options, measured);  // [layer, pair]
    for (std::int64_t layer = range.layers.first; layer < range.layers.end; ++layer) {
      const at::Tensor moved = moved_at(micro.working(), task.task(), range.site, layer);  // [pair, pos, width]
      const at::Tensor g = last_positions_of(gradient(range.site, layer).to(moved.scalar_type()), moved.size(1));
      const at::Tensor sums = (moved * g).to(at::kDouble).sum({1, 2}).cpu();
      gaps.select(1, rows.at({range.site, layer})).copy_(sums - effects[layer - range.layers.first]);
    }
  }
  return gaps;
}

/// What is read at a site while a group of prompts runs [pair, pos, width].
at::Tensor read_at(const BaseRuns& runs, Site site, std::int64_t layer, std::int64_t group) {
  return runs.values(site, group, layer).to(runs.model().score_type());
}

/// Rows less those of one sequence, its last positions; rows of both are of features that are not zero.
FeatureDifferences less_mean(const FeatureDifferences& rows, const FeatureDifferences& mean, std::int64_t positions) {
  FeatureDifferences found;
  found.first.push_back(0);
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    const FeatureView own = view_of(rows, row);
    const FeatureView other = view_of(mean, mean.rows() - positions + row % positions);
    for_both(own, other, [&](std::int32_t feature, double value, double baseline) {
      found.feature.push_back(feature);
      found.difference.push_back(value - baseline);
    });
    found.first.push_back(std::ssize(found.feature));
  }
  return found;
}

}  // namespace

at::Tensor moved_at(const BaseRuns& runs, const Task& task, Site site, std::int64_t layer) {
  at::Tensor clean = read_at(runs, site, layer, clean_group);
  switch (task.method.baseline) {
    case Baseline::zero:
      return clean;
    case Baseline::pair:
      return clean - read_at(runs, site, layer, counterfactual_group);
    case Baseline::mean:
      return clean - last_positions_of(task.options.mean.at(site).narrow(0, layer, 1), clean.size(1));
  }
  throw ContractViolation("a baseline outside the enumeration");
}

Encoded encoded(const BaseRuns& runs, const Task& task, const Dictionary& dictionary, Flops* flops) {
  const at::Tensor clean = read_at(runs, dictionary.reads, dictionary.layer, clean_group);
  const bool paired = task.method.baseline == Baseline::pair;
  if (flops != nullptr) {
    flops->count +=
        2.0 * static_cast<double>(clean.size(0) * clean.size(1) * dictionary.encoder.numel()) * (paired ? 2 : 1);
  }
  at::Tensor other;
  if (paired) other = read_at(runs, dictionary.reads, dictionary.layer, counterfactual_group).flatten(0, 1);
  Encoded found{clean.size(1), feature_differences(dictionary, clean.flatten(0, 1), other)};
  if (task.method.baseline == Baseline::mean) {
    const auto d = static_cast<std::size_t>(&dictionary - task.options.dictionaries->data());
    found.features = less_mean(found.features, task.options.feature_mean->features[d], found.positions);
  }
  return found;
}

}  // namespace detail

double feature_noise(std::int64_t key, std::uint64_t seed) {
  const std::uint64_t bits =
      mixed(mixed(seed + (static_cast<std::uint64_t>(NodeKind::features) << 32)) + static_cast<std::uint64_t>(key)) >>
      40;  // 24 bits: exact in float32
  return static_cast<double>(bits) / static_cast<double>(1 << 23) - 1;
}

namespace detail {

std::vector<NodeTable> feature_sites(const Task& task, const Architecture& architecture) {
  std::set<Site> sites;
  for (const Dictionary& dictionary : *task.options.dictionaries) {
    sites.insert(dictionary.reads);
    for (const FeatureTarget& target : dictionary.targets) sites.insert(target.site);
  }
  std::vector<NodeTable> tables;
  for (const Site site : sites) tables.push_back(table_of(site, architecture));
  return tables;
}

void add_features(const MicroBatch& micro, TaskScores& task, const GradientAt& gradient) {
  const std::vector<Dictionary>& dictionaries = *task.options().dictionaries;
  const at::ScalarType type = micro.working().model().score_type();
  PairEntries entries(task, micro.pairs(), micro.length());
  at::Tensor errors = at::zeros({micro.pairs(), task.layers(), micro.suffix()}, at::kDouble);
  const auto error_row = error_places(dictionaries);
  for (const auto& [place, d] : error_row) {
    const auto& [site, layer] = place;
    const at::Tensor moved = moved_at(micro.working(), task.task(), site, layer);
    const at::Tensor g = last_positions_of(gradient(site, layer).to(type), moved.size(1));
    const at::Tensor all = node_sums(moved * g, {NodeKind::features, site, 1, 1, moved.size(2)}).squeeze(2);
    errors.select(1, d).narrow(1, micro.suffix() - all.size(1), all.size(1)).add_(all);
  }
  for (std::size_t d = 0; d < dictionaries.size(); ++d) {
    const Encoded rows = encoded(micro.working(), task.task(), dictionaries[d], micro.flops());
    std::vector<double> numbers;  // slopes, summed over targets; then scores
    for (const FeatureTarget& target : dictionaries[d].targets) {
      const at::Tensor g = last_positions_of(gradient(target.site, target.layer).to(type), rows.positions);
      std::vector<double> slopes = feature_gradients(target, rows.features, g.flatten(0, 1));
      if (micro.flops() != nullptr) {
        micro.flops()->count += 2.0 * static_cast<double>(std::ssize(slopes) * target.decoder.size(1));
      }
      const auto row = error_row.find({target.site, target.layer});
      TRIBUTARY_EXPECT(row != error_row.end(), "every layer that features write to has an error");
      const at::Tensor explained = explained_by(rows, slopes, micro.pairs());
      errors.select(1, row->second).narrow(1, micro.suffix() - rows.positions, rows.positions).sub_(explained);
      if (numbers.empty()) {
        numbers = std::move(slopes);
      } else {
        for (std::size_t e = 0; e < slopes.size(); ++e) numbers[e] += slopes[e];
      }
    }
    for (std::size_t e = 0; e < numbers.size(); ++e) {
      numbers[e] = rounded(rows.features.difference[e], numbers[e], type);
    }
    entries.add(d, dictionaries[d], rows, numbers);
    micro.pause();
  }
  task.add(errors.unsqueeze(3).to(type));
}

void run_feature_task(const MicroBatch& micro, TaskScores& task) {
  const Method& method = task.method();
  if (method.score == ScoreKind::magnitude) return add_feature_magnitudes(micro, task);
  if (method.score == ScoreKind::noise) return add_feature_noise(micro, task);
  if (method.score == ScoreKind::imported) return add_imported_features(micro, task);
  if (method.score == ScoreKind::exact) return add_exact_features(micro, task);
  const std::vector<Dictionary>& dictionaries = *task.options().dictionaries;
  if (method.path == PathKind::none) {
    const BaseGradients& gradients = micro.gradients(base_group(method), method.rules);
    const std::int64_t kept = micro.working().directions().reads.kept();
    const GradientAt at_site = [&](Site site, std::int64_t layer) { return gradients.at_site(site, layer, kept); };
    add_features(micro, task, at_site);
    const std::vector<char> measured = task.gap_pairs(micro.pairs());
    if (any_marked(measured)) {
      task.store({Differences::Kind::linearisation_gap, feature_gaps(micro, task, at_site, measured)});
    }
    for (std::int64_t pair = 0; pair < micro.pairs(); ++pair) task.store_evaluations(pair, 0, task.layers(), 1);
    return;
  }
  std::map<std::pair<Site, std::int64_t>, SiteIntegrals> by_place;
  for (const SiteRange& range : ranges_of(dictionaries)) {
    Task along = task.task();
    along.options.nodes = table_of(range.site, micro.working().model().architecture());
    along.options.layers = range.layers;
    for (auto& [layer, integrals] : integrate_site(micro, along)) {
      by_place.emplace(std::pair(range.site, layer), std::move(integrals));
    }
  }
  add_features(micro, task, [&](Site site, std::int64_t layer) { return by_place.at({site, layer}).gradient; });
  at::Tensor differences = at::empty({micro.pairs(), task.layers()}, at::kDouble);
  for (std::size_t d = 0; d < dictionaries.size(); ++d) {
    const FeatureTarget& target = dictionaries[d].targets.front();
    const SiteIntegrals& found = by_place.at({target.site, target.layer});
    differences.select(1, static_cast<std::int64_t>(d)).copy_(found.difference);
    for (std::int64_t pair = 0; pair < micro.pairs(); ++pair) {
      task.store_integral(pair, static_cast<std::int64_t>(d), 1, found.integrals[static_cast<std::size_t>(pair)]);
    }
  }
  std::vector<char> wanted(static_cast<std::size_t>(micro.pairs()), 1);
  if (!method.has_identity()) wanted = task.gap_pairs(micro.pairs());
  for (std::int64_t pair = 0; pair < micro.pairs(); ++pair) {
    if (wanted[static_cast<std::size_t>(pair)] == 0) differences[pair].fill_(std::numeric_limits<double>::quiet_NaN());
  }
  if (any_marked(wanted)) task.store({difference_kind(method), differences});
}

}  // namespace detail
}  // namespace tributary
