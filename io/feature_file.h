// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Dictionaries of features on disk: sparse autoencoders, transcoders and cross-layer transcoders, memory-mapped
// read-only. Knows bytes, shapes and what their folders say of them; nothing of how they are computed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace tributary {

namespace detail {
class MappedFile;
}

/// What becomes of the pre-activations z. relu: max(z, 0); jumprelu: z where z is above the threshold, else 0; topk:
/// the k largest, of them max(z, 0); topk_signed: the k largest as they are.
enum class FeatureActivation { relu, jumprelu, topk, topk_signed };

/// An sae writes where it reads, a transcoder at the MLP's output of its layer, a cross-layer transcoder at those of
/// its layer and all behind it. unstated: one file of weights, which says neither.
enum class FeatureKind { unstated, sae, transcoder, cross_layer };

/// The shape of W_enc: [d_in, d_sae] in SAELens, [d_sae, d_in] in circuit-tracer.
enum class EncoderLayout { inputs_by_features, features_by_inputs };

/// Whether thresholds lie in the file as they are, or as their natural logarithms.
enum class ThresholdForm { values, logarithms };

/// The features that read at one layer.
struct FeatureLayer {
  std::optional<std::int64_t> layer{};  //!< of the model, from 0; nothing: neither the file nor its folder says
  StoredTensor W_enc{};                 //!< see EncoderLayout
  StoredTensor b_enc{};                 //!< [d_sae]
  StoredTensor W_dec{};  //!< [d_sae, d_out]; cross_layer: [d_sae, layers, d_out], to this layer and each behind it
  StoredTensor b_dec{};  //!< [d_out], of what is written at this layer
  std::optional<StoredTensor> threshold{};  //!< [d_sae], where the activation is jumprelu
  std::optional<StoredTensor> W_skip{};     //!< [d_out, d_in]: W_skip x is written as well
};

/// One dictionary, or those of all layers of a model. Copies share the mappings, which live as long as any copy.
struct FeatureFile {
  std::filesystem::path where{};
  FeatureKind kind = FeatureKind::unstated;
  FeatureActivation activation = FeatureActivation::relu;
  std::int64_t k = 0;  //!< of topk, from 1 to d_sae
  ThresholdForm threshold_form = ThresholdForm::values;
  EncoderLayout encoder = EncoderLayout::inputs_by_features;
  std::int64_t d_in = 0, d_sae = 0, d_out = 0;
  /// Where it reads: resid_pre | resid_mid | resid_post | mlp_out | z | mlp_in | mlp_in_normed; empty: not said, or a
  /// name that is none of these.
  std::string hook{};
  std::string hook_written{};  //!< as it stands there, for messages
  /// Where a transcoder writes: mlp_out, what is added to the residual stream; mlp_written, what the MLP's last matrix
  /// writes, in front of the norm that some models have there. Empty for an sae.
  std::string writes{};
  bool apply_b_dec_to_input = false;  //!< the encoder reads x - b_dec
  bool leaves_b_dec_open = false;     //!< one file of weights without that word: false is only what is assumed
  /// Pre-activations are multiplied by the norms of W_dec's rows before the activation, and divided by them after it.
  bool rescale_by_decoder_norm = false;
  std::vector<FeatureLayer> layers{};  //!< ascending; of one dictionary there is one
  std::shared_ptr<const std::vector<detail::MappedFile>> mappings{};

  /// XXH3-128 over what is said above and every tensor's name, dtype, shape and bytes, as 32 hex digits: independent of
  /// where the files lie and of what else their folder holds. Reads all of them; the pages stay.
  [[nodiscard]] std::string hash() const;
  /// Releases the pages of the files that were read so far.
  void release_pages() const;
};

/// Opens
/// - a folder of SAELens: cfg.json and sae_weights.safetensors, of any version from 2 to 6;
/// - a folder of circuit-tracer: config.yaml and layer_N.safetensors (transcoders), or W_enc_N.safetensors and
///   W_dec_N.safetensors (a cross-layer transcoder);
/// - one safetensors file with W_enc, b_enc, W_dec, b_dec, and maybe threshold or log_threshold and W_skip. Its
/// metadata
///   may say activation (relu, jumprelu, topk), k, hook_name, hook_name_out, apply_b_dec_to_input (true, false). What
///   lies in one of those folders is read with what its folder says of it.
/// Whether values are finite is not checked. Throws UserError: nothing there, another format, JSON or YAML broken, a
/// damaged safetensors file, an architecture or activation that is not known, activations that are normalised, tensors
/// missing, unknown or of another shape.
FeatureFile open_features(const std::filesystem::path& where);

/// The names of places that FeatureFile::hook is known for: "hook_resid_pre, hook_resid_mid, …".
std::string known_hooks();

}  // namespace tributary
