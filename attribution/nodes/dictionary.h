// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Dictionaries of features: sparse autoencoders, transcoders and cross-layer transcoders (docs/methods.md, "Features").
//   f = act((x − b_in) W_enc + b_enc), written = Σ_j f_j W_dec[j] + b_dec + ε
// x is what is read at one site, `written` what stands at one or several sites; ε, the error, is what the features do
// not explain. All numbers are of the stream's dtype, also beside a bfloat16 network.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "attribution/nodes/node_table.h"

namespace tributary {

/// relu; relu(z) · [z > θ] (Rajamanoharan et al. 2024; BatchTopK at inference is this too); the k largest, then relu
/// (Gao et al. 2024), or as they are.
enum class FeatureGate { relu, jump_relu, top_k, top_k_signed };

/// A site that features write to.
struct FeatureTarget {
  Site site = Site::resid_post;
  std::int64_t layer = 0;
  at::Tensor decoder;  //!< W_dec [feature, width of the site]
  at::Tensor bias{};   //!< b_dec [width of the site], or undefined
  at::Tensor skip{};   //!< W_skip [width of the site read, width of the site] of a skip transcoder, or undefined
};

struct Dictionary {
  Site reads = Site::resid_post;
  std::int64_t layer = 0;
  at::Tensor encoder;       //!< W_enc [width of the site read, feature]
  at::Tensor encoder_bias;  //!< b_enc [feature], or undefined
  at::Tensor input_bias;    //!< b_in [width of the site read], or undefined
  at::Tensor thresholds;    //!< θ [feature] of jump_relu
  FeatureGate activation = FeatureGate::relu;
  std::int64_t k = 0;  //!< of top_k
  std::vector<FeatureTarget> targets;

  [[nodiscard]] std::int64_t features() const { return encoder.size(1); }
};

/// Features, and rows of what is read, whose pre-activations are held at once. How many change no bit of the others'.
constexpr std::int64_t features_in_tile = 4096;
constexpr std::int64_t rows_in_tile = 256;

/// f [row, feature] of what is read, x [row, width]. Of top_k equal pre-activations count by feature.
at::Tensor encode(const Dictionary& dictionary, const at::Tensor& x);

/// f of some features alone [row, one of them].
at::Tensor encode_some(const Dictionary& dictionary, const at::Tensor& x, const std::vector<std::int64_t>& features);

/// Features that are not zero on one of two inputs, row by row, ascending; and how their values differ.
struct FeatureDifferences {
  std::vector<std::int64_t> first;    //!< [row + 1]: place of a row's first entry
  std::vector<std::int32_t> feature;  //!< [entry]
  std::vector<double> difference;     //!< [entry] f(x) − f(baseline), as the stream's dtype rounds it

  [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(first.size()) - 1; }
  [[nodiscard]] std::int64_t entries(std::int64_t row) const {
    return first[static_cast<std::size_t>(row) + 1] - first[static_cast<std::size_t>(row)];
  }
};

/// Of x [row, width] against a baseline of the same shape, or against f = 0 where it is undefined.
FeatureDifferences feature_differences(const Dictionary& dictionary, const at::Tensor& x, const at::Tensor& baseline);

/// Σ_j W_dec[j] of one target times the differences of a row [row, width of the site], in the decoder's dtype.
at::Tensor decode(const FeatureTarget& target, const FeatureDifferences& features);

/// ⟨W_dec[j], gradient⟩ [entry] of one target, in the stream's dtype: how the metric changes with a unit of each
/// feature through it. gradient [row, width].
std::vector<double> feature_gradients(const FeatureTarget& target, const FeatureDifferences& features,
                                      const at::Tensor& gradient);

}  // namespace tributary
