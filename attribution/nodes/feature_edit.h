// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Features and errors in a forward pass on its way up: read as they come, and changed by differences. What stands where
// they write, x, becomes x + Σ_j W_dec[j] (f'_j − f_j) + (ε' − ε) of those that change, with f and ε of the pass as it
// runs. Nothing is decoded anew: where nothing changes no bit does (Marks et al. 2024 have the same form).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "attribution/model/transformer.h"
#include "attribution/nodes/dictionary.h"
#include "attribution/nodes/site_visit.h"

namespace tributary {

/// One sequence at one position of the prompt.
struct SequencePosition {
  std::int64_t sequence = 0, position = 0;
};

/// Some features of a dictionary, ascending, with a number each.
struct FeatureList {
  std::vector<std::int32_t> feature;
  std::vector<double> value;

  void add(std::int32_t one, double its_value) {
    feature.push_back(one);
    value.push_back(its_value);
  }
};

/// The same, of others' memory.
struct FeatureView {
  std::span<const std::int32_t> feature;
  std::span<const double> value;

  /// 0 where a feature is not there.
  [[nodiscard]] double value_of(std::int64_t one) const;
};

/// A row of features that are not zero.
FeatureView view_of(const FeatureDifferences& features, std::int64_t row);

/// body(feature, value here, value there), ascending, of features that one of two rows has.
template <typename Body>
void for_both(FeatureView here, FeatureView there, const Body& body) {
  std::size_t h = 0, t = 0;
  while (h < here.feature.size() || t < there.feature.size()) {
    const bool has_here = h < here.feature.size() && (t == there.feature.size() || here.feature[h] <= there.feature[t]);
    const bool has_there =
        t < there.feature.size() && (h == here.feature.size() || there.feature[t] <= here.feature[h]);
    const std::int32_t feature = has_here ? here.feature[h] : there.feature[t];
    const double of_here = has_here ? here.value[h] : 0;
    const double of_there = has_there ? there.value[t] : 0;
    h += has_here ? 1 : 0;
    t += has_there ? 1 : 0;
    body(feature, of_here, of_there);
  }
}

/// Dictionary by dictionary the features of some sequences, and the errors where they write.
struct FeatureValues {
  std::int64_t positions = 0;                //!< of each sequence
  std::vector<FeatureDifferences> features;  //!< [dictionary]: rows [sequence, pos], against zero
  std::map<SitePlace, at::Tensor> written;   //!< what stands there [sequence, pos, width], stream dtype
  std::map<SitePlace, at::Tensor> errors;    //!< the same less what the features and b_dec make
};

/// The dictionary that has the error of a place where features write: the first of those whose own it is.
std::map<SitePlace, std::int64_t> error_places(const std::vector<Dictionary>& dictionaries);

/// Follows dictionaries through one pass.
class FeatureReader {
 public:
  FeatureReader(const Transformer& model, const std::vector<Dictionary>& dictionaries, Flops* flops);

  /// Where features read and write.
  [[nodiscard]] const std::set<SitePlace>& places() const { return places_; }
  [[nodiscard]] bool is_written(const SitePlace& place) const { return writers_.contains(place); }
  /// Encodes what is read at a place [sequence * pos, width], stream dtype: the dictionaries that read it.
  std::vector<std::int64_t> read(const SitePlace& place, const at::Tensor& rows, std::int64_t sequences);
  /// Features of dictionary d in a row; none where it was read before a sequence entered. positions: of the rows now at
  /// hand, the last ones.
  [[nodiscard]] std::int64_t row_of(std::int64_t d, std::int64_t sequence, std::int64_t at,
                                    std::int64_t positions) const;
  [[nodiscard]] const FeatureDifferences& features(std::int64_t d) const {
    return running_[static_cast<std::size_t>(d)].features;
  }
  /// A place has been written: dictionaries that write nowhere else any more, whose features are let go.
  std::vector<std::int64_t> leave(const SitePlace& place);

  struct Writing {
    std::int64_t dictionary = 0;
    const FeatureTarget* target = nullptr;
  };
  [[nodiscard]] const std::vector<Writing>& writers(const SitePlace& place) const { return writers_.at(place); }
  /// ε of one row of what stands at a place, x [width] float64, in place.
  void subtract_explained(const SitePlace& place, std::int64_t sequence, std::int64_t at, std::int64_t positions,
                          std::span<double> x) const;

 private:
  struct Running {
    std::int64_t sequences = 0, positions = 0;
    FeatureDifferences features;
    std::size_t unwritten = 0;  // targets
  };

  const std::vector<Dictionary>& dictionaries_;
  Flops* flops_;
  std::set<SitePlace> places_;
  std::map<SitePlace, std::vector<std::int64_t>> readers_;
  std::map<SitePlace, std::vector<Writing>> writers_;
  std::vector<Running> running_;
};

/// out += value · W_dec[feature], feature by feature, in float64.
void add_decoded(const FeatureTarget& target, FeatureView features, std::span<double> out);

/// Of a pass of whole prompts from their embeddings [sequence, pos, d_model].
FeatureValues feature_values(const Transformer& model, const std::vector<Dictionary>& dictionaries,
                             const at::Tensor& embeddings, Flops* flops);

/// Means of features over sequences of one length, as one sequence: of their values by key (first_keys in
/// attribution/methods/attribute.h has the order), and of what stands where they write [1, pos, width], float64.
FeatureValues mean_features(const std::vector<Dictionary>& dictionaries, std::int64_t positions,
                            const std::vector<std::int64_t>& keys, const std::vector<double>& values,
                            std::map<SitePlace, at::Tensor> written);

/// What becomes of an error: scale · ε + a row of `given` [row, width], stream dtype, where there is one.
struct ErrorChange {
  double scale = 1;
  const at::Tensor* given = nullptr;
  std::int64_t row = 0;

  [[nodiscard]] bool changes() const { return scale != 1 || given != nullptr; }
};

/// Says what becomes of features and errors. Called by several threads at once.
class FeatureChanges {
 public:
  FeatureChanges() = default;
  FeatureChanges(const FeatureChanges&) = delete;
  FeatureChanges& operator=(const FeatureChanges&) = delete;
  virtual ~FeatureChanges() = default;

  /// Appends f' − f of the features of a dictionary that change, ascending. running: those that are not zero.
  virtual void features(const SequencePosition& where, std::int64_t dictionary, FeatureView running,
                        FeatureList& changes) const = 0;
  virtual ErrorChange error(const SequencePosition& where, std::int64_t dictionary) const = 0;
};

/// Changes features and errors in one pass.
class FeatureEdits {
 public:
  /// length: of the prompts. All must outlive the pass.
  FeatureEdits(const Transformer& model, const std::vector<Dictionary>& dictionaries, std::int64_t length,
               const FeatureChanges& changes, Flops* flops);

  /// Hooks of the options that are there already come first.
  void attach(const Transformer& model, ForwardOptions& options);

 private:
  bool visit(const SitePlace& place, const at::Tensor& read);
  void note_changes(std::int64_t d, std::int64_t positions);
  template <typename T>
  bool write(const SitePlace& place, const at::Tensor& rows, std::int64_t positions) const;

  at::ScalarType type_;
  FeatureReader reader_;
  std::int64_t length_;
  const FeatureChanges& changes_;
  std::map<SitePlace, std::int64_t> error_places_;
  std::vector<std::vector<FeatureList>> noted_;  // [dictionary][row]
};

}  // namespace tributary
