// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The weights of one encoder and decoder, checked against each other and against what is said of them.
#pragma once

#include <cstdint>
#include <optional>

#include "io/detail/features/tensor_file.h"
#include "io/feature_file.h"

namespace tributary::detail::features {

/// What is said of the weights before they are read.
struct Stated {
  std::optional<FeatureActivation> activation{};  //!< nothing: jumprelu where there are thresholds, else relu
  std::optional<EncoderLayout> encoder{};         //!< nothing: as the shapes tell
  std::optional<std::int64_t> d_in{}, d_sae{}, d_out{};
};

/// Takes the tensors of one dictionary out of `file` (W_enc, b_enc, W_dec, b_dec, threshold, W_skip) and writes sizes,
/// encoder, activation and threshold_form to `features`. `features` must hold kind and k.
FeatureLayer read_weights(TensorFile& file, const Stated& stated, FeatureFile& features);

/// Refuses a layer that is not as large as the first one.
void require_same_sizes(const TensorFile& file, const FeatureFile& first, const FeatureFile& now);

}  // namespace tributary::detail::features
