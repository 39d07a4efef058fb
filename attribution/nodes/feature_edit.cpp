// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/feature_edit.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "attribution/model/detail/cpu_kernels.h"
#include "attribution/model/tensors.h"
#include "common/errors.h"
#include "common/team.h"

namespace tributary {
namespace {

template <typename T>
detail::AddRowsArguments<T> decoding(const at::Tensor& decoder, FeatureView features, std::span<double> out) {
  return {std::ssize(features.feature),
          std::ssize(out),
          features.feature.data(),
          features.value.data(),
          {decoder.const_data_ptr<T>(), decoder.stride(0)},
          out.data()};
}

template <typename T>
void add_row_of(const at::Tensor& t, std::int64_t row, std::span<double> out) {
  const T* const values = t.const_data_ptr<T>() + row * std::ssize(out);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] += static_cast<double>(values[i]);
}

/// out += t[row], of rows that lie one after another.
void add_row(const at::Tensor& t, std::int64_t row, std::span<double> out) {
  t.scalar_type() == at::kFloat ? add_row_of<float>(t, row, out) : add_row_of<double>(t, row, out);
}

/// Rows of what is read at a place, stream dtype; the same memory where it is of that dtype already.
at::Tensor rows_at(const at::Tensor& read, at::ScalarType type) { return read.to(type).contiguous().flatten(0, 1); }

}  // namespace

double FeatureView::value_of(std::int64_t one) const {
  const auto found = std::lower_bound(feature.begin(), feature.end(), one);
  return found != feature.end() && *found == one ? value[static_cast<std::size_t>(found - feature.begin())] : 0;
}

FeatureView view_of(const FeatureDifferences& features, std::int64_t row) {
  const auto first = static_cast<std::size_t>(features.first[static_cast<std::size_t>(row)]);
  const auto count = static_cast<std::size_t>(features.entries(row));
  return {std::span(features.feature).subspan(first, count), std::span(features.difference).subspan(first, count)};
}

std::map<SitePlace, std::int64_t> error_places(const std::vector<Dictionary>& dictionaries) {
  std::map<SitePlace, std::int64_t> rows;
  for (std::size_t d = 0; d < dictionaries.size(); ++d) {
    const FeatureTarget& own = dictionaries[d].targets.front();
    rows.emplace(SitePlace(own.site, own.layer), static_cast<std::int64_t>(d));
  }
  return rows;
}

void add_decoded(const FeatureTarget& target, FeatureView features, std::span<double> out) {
  const detail::CpuKernelTable& kernels = detail::cpu_kernels();
  if (target.decoder.scalar_type() == at::kFloat) {
    kernels.float32.add_rows(decoding<float>(target.decoder, features, out));
  } else {
    kernels.float64.add_rows(decoding<double>(target.decoder, features, out));
  }
}

FeatureReader::FeatureReader(const Transformer& model, const std::vector<Dictionary>& dictionaries, Flops* flops)
    : dictionaries_(dictionaries), flops_(flops), running_(dictionaries.size()) {
  TRIBUTARY_EXPECT(model.options().device().is_cpu(), "features are encoded on the host");
  for (std::size_t d = 0; d < dictionaries.size(); ++d) {
    const auto index = static_cast<std::int64_t>(d);
    readers_[{dictionaries[d].reads, dictionaries[d].layer}].push_back(index);
    for (const FeatureTarget& target : dictionaries[d].targets) {
      writers_[{target.site, target.layer}].push_back({index, &target});
    }
  }
  for (const auto& [place, all] : readers_) places_.insert(place);
  for (const auto& [place, all] : writers_) places_.insert(place);
}

std::vector<std::int64_t> FeatureReader::read(const SitePlace& place, const at::Tensor& rows, std::int64_t sequences) {
  const auto found = readers_.find(place);
  if (found == readers_.end()) return {};
  for (const std::int64_t d : found->second) {
    const Dictionary& dictionary = dictionaries_[static_cast<std::size_t>(d)];
    running_[static_cast<std::size_t>(d)] = {sequences, rows.size(0) / sequences,
                                             feature_differences(dictionary, rows, {}), dictionary.targets.size()};
    if (flops_ != nullptr) flops_->count += 2.0 * static_cast<double>(rows.numel() * dictionary.features());
  }
  return found->second;
}

std::vector<std::int64_t> FeatureReader::leave(const SitePlace& place) {
  std::vector<std::int64_t> left;
  for (const Writing& writing : writers_.at(place)) {
    Running& running = running_[static_cast<std::size_t>(writing.dictionary)];
    if (running.unwritten == 0 || --running.unwritten > 0) continue;  // a pass may begin after what they read
    running.features = {};
    left.push_back(writing.dictionary);
  }
  return left;
}

std::int64_t FeatureReader::row_of(std::int64_t d, std::int64_t sequence, std::int64_t at,
                                   std::int64_t positions) const {
  const Running& running = running_[static_cast<std::size_t>(d)];
  if (sequence >= running.sequences) return -1;
  TRIBUTARY_EXPECT(running.positions >= positions, "what is written at a position was read there");
  return sequence * running.positions + running.positions - positions + at;
}

void FeatureReader::subtract_explained(const SitePlace& place, std::int64_t sequence, std::int64_t at,
                                       std::int64_t positions, std::span<double> x) const {
  std::vector<double> explained(x.size(), 0);
  for (const Writing& writing : writers_.at(place)) {
    if (writing.target->bias.defined()) add_row(writing.target->bias, 0, explained);
    const std::int64_t row = row_of(writing.dictionary, sequence, at, positions);
    TRIBUTARY_EXPECT(row >= 0, "an error is of sequences whose features are known");
    add_decoded(*writing.target, view_of(features(writing.dictionary), row), explained);
  }
  for (std::size_t i = 0; i < x.size(); ++i) x[i] -= explained[i];
}

FeatureValues feature_values(const Transformer& model, const std::vector<Dictionary>& dictionaries,
                             const at::Tensor& embeddings, Flops* flops) {
  FeatureReader reader(model, dictionaries, flops);
  FeatureValues found;
  found.positions = embeddings.size(1);
  ForwardOptions options;
  options.flops = flops;
  options.last_block = LastBlock::all_positions;
  const VisitSite visit = [&](const SitePlace& place, const at::Tensor& read) {
    const at::Tensor rows = rows_at(read, model.score_type());
    reader.read(place, rows, read.size(0));
    if (!reader.is_written(place)) return false;
    at::Tensor& written = found.written[place];
    written = rows.clone().view(read.sizes());
    const at::Tensor wide = at::empty(rows.sizes(), rows.options().dtype(at::kDouble)).copy_(rows);
    const std::int64_t width = rows.size(1);
    auto* const all = wide.mutable_data_ptr<double>();
    share_loop(rows.size(0), 1, [&](std::int64_t first, std::int64_t end) {
      for (std::int64_t row = first; row < end; ++row) {
        reader.subtract_explained(place, row / found.positions, row % found.positions, found.positions,
                                  {all + row * width, static_cast<std::size_t>(width)});
      }
    });
    found.errors[place] = wide.to(model.score_type()).view(read.sizes());
    return false;
  };
  visit_sites(model, reader.places(), visit, options);
  model.forward(whole_batch(embeddings), options);
  for (std::size_t d = 0; d < dictionaries.size(); ++d) {
    found.features.push_back(reader.features(static_cast<std::int64_t>(d)));
  }
  return found;
}

FeatureValues mean_features(const std::vector<Dictionary>& dictionaries, std::int64_t positions,
                            const std::vector<std::int64_t>& keys, const std::vector<double>& values,
                            std::map<SitePlace, at::Tensor> written) {
  FeatureValues mean;
  mean.positions = positions;
  std::size_t next = 0;
  std::int64_t first = 0;  // key of a dictionary's position
  for (const Dictionary& dictionary : dictionaries) {
    FeatureDifferences rows;
    rows.first.push_back(0);
    for (std::int64_t position = 0; position < positions; ++position) {
      for (; next < keys.size() && keys[next] < first + dictionary.features(); ++next) {
        rows.feature.push_back(static_cast<std::int32_t>(keys[next] - first));
        rows.difference.push_back(values[next]);
      }
      first += dictionary.features();
      rows.first.push_back(std::ssize(rows.feature));
    }
    mean.features.push_back(std::move(rows));
  }
  for (const auto& [place, all] : written) mean.errors[place] = all.clone();
  for (std::size_t d = 0; d < dictionaries.size(); ++d) {
    for (const FeatureTarget& target : dictionaries[d].targets) {
      const at::Tensor& error = mean.errors.at({target.site, target.layer});  // [1, pos, width]
      const std::int64_t width = error.size(2);
      if (target.bias.defined()) error.sub_(target.bias);
      std::vector<double> explained(static_cast<std::size_t>(width));
      for (std::int64_t position = 0; position < positions; ++position) {
        std::fill(explained.begin(), explained.end(), 0);
        add_decoded(target, view_of(mean.features[d], position), explained);
        auto* const row = error.mutable_data_ptr<double>() + position * width;
        for (std::int64_t i = 0; i < width; ++i) row[i] -= explained[static_cast<std::size_t>(i)];
      }
    }
  }
  mean.written = std::move(written);
  return mean;
}

FeatureEdits::FeatureEdits(const Transformer& model, const std::vector<Dictionary>& dictionaries, std::int64_t length,
                           const FeatureChanges& changes, Flops* flops)
    : type_(model.score_type()),
      reader_(model, dictionaries, flops),
      length_(length),
      changes_(changes),
      error_places_(error_places(dictionaries)),
      noted_(dictionaries.size()) {}

void FeatureEdits::attach(const Transformer& model, ForwardOptions& options) {
  visit_sites(
      model, reader_.places(), [this](const SitePlace& place, const at::Tensor& read) { return visit(place, read); },
      options);
}

bool FeatureEdits::visit(const SitePlace& place, const at::Tensor& read) {
  const at::Tensor rows = rows_at(read, type_);
  for (const std::int64_t d : reader_.read(place, rows, read.size(0))) note_changes(d, read.size(1));
  if (!reader_.is_written(place)) return false;
  const bool changed =
      type_ == at::kFloat ? write<float>(place, rows, read.size(1)) : write<double>(place, rows, read.size(1));
  if (changed && !rows.is_alias_of(read)) read.copy_(rows.view(read.sizes()));
  for (const std::int64_t d : reader_.leave(place)) noted_[static_cast<std::size_t>(d)] = {};
  return changed;
}

void FeatureEdits::note_changes(std::int64_t d, std::int64_t positions) {
  const FeatureDifferences& running = reader_.features(d);
  std::vector<FeatureList>& noted = noted_[static_cast<std::size_t>(d)];
  noted.assign(static_cast<std::size_t>(running.rows()), {});
  share_loop(running.rows(), 1, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t row = first; row < end; ++row) {
      const SequencePosition where{row / positions, length_ - positions + row % positions};
      changes_.features(where, d, view_of(running, row), noted[static_cast<std::size_t>(row)]);
    }
  });
}

/// Whether any row at a place has changed.
template <typename T>
bool FeatureEdits::write(const SitePlace& place, const at::Tensor& rows, std::int64_t positions) const {
  const std::int64_t width = rows.size(1);
  auto* const all = rows.mutable_data_ptr<T>();
  const auto own = error_places_.find(place);
  std::atomic<bool> changed = false;
  share_loop(rows.size(0), 1, [&](std::int64_t first, std::int64_t end) {
    std::vector<double> sum(static_cast<std::size_t>(width)), error(static_cast<std::size_t>(width));
    for (std::int64_t row = first; row < end; ++row) {
      const std::int64_t sequence = row / positions;
      const std::int64_t at = row % positions;
      bool changes = false;
      std::fill(sum.begin(), sum.end(), 0);
      for (const FeatureReader::Writing& writing : reader_.writers(place)) {
        const std::int64_t of_row = reader_.row_of(writing.dictionary, sequence, at, positions);
        if (of_row < 0) continue;
        const FeatureList& list =
            noted_[static_cast<std::size_t>(writing.dictionary)][static_cast<std::size_t>(of_row)];
        add_decoded(*writing.target, {list.feature, list.value}, sum);
        changes |= !list.feature.empty();
      }
      T* const x = all + row * width;
      if (own != error_places_.end()) {
        const ErrorChange change = changes_.error({sequence, length_ - positions + at}, own->second);
        if (change.changes()) {
          changes = true;
          std::copy(x, x + width, error.begin());
          reader_.subtract_explained(place, sequence, at, positions, error);
          for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += (change.scale - 1) * error[i];
          if (change.given != nullptr) add_row(*change.given, change.row, sum);
        }
      }
      if (!changes) continue;
      changed = true;
      for (std::int64_t i = 0; i < width; ++i)
        x[i] = static_cast<T>(static_cast<double>(x[i]) + sum[static_cast<std::size_t>(i)]);
    }
  });
  return changed;
}

}  // namespace tributary
