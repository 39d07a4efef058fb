// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/features/weights.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "common/errors.h"

namespace tributary::detail::features {
namespace {

void require_size(const TensorFile& file, const char* name, const std::optional<std::int64_t>& said,
                  std::int64_t found) {
  if (!said || *said == found) return;
  throw UserError(file.name(), fmt::format("its tensors have {} = {}, but its folder says {}; fetch both again", name,
                                           found, *said));
}

/// W_enc is the only tensor whose layout differs between those who write such files.
EncoderLayout encoder_layout(const TensorFile& file, const Stated& stated, std::int64_t d_sae) {
  const Shape& shape = file.shape("W_enc");
  if (shape.size() != 2 || shape[0] == 0 || shape[1] == 0) file.refuse("W_enc", "is no matrix");
  const bool columns = shape[1] == d_sae, rows = shape[0] == d_sae;  // are features
  if (stated.encoder) {
    const bool inputs_first = *stated.encoder == EncoderLayout::inputs_by_features;
    if (!(inputs_first ? columns : rows)) {
      file.refuse("W_enc", fmt::format("has shape {}, and must be {} with d_sae = {}, the length of b_enc{}",
                                       shape_text(shape), inputs_first ? "[d_in, d_sae]" : "[d_sae, d_in]", d_sae,
                                       columns || rows ? ": it looks transposed" : ""));
    }
    return *stated.encoder;
  }
  if (!columns && !rows) {
    file.refuse("W_enc", fmt::format("has shape {}, and one of the two must be d_sae = {}, the length of b_enc",
                                     shape_text(shape), d_sae));
  }
  if (columns && rows) {
    file.refuse("W_enc",
                "is square (whether its rows are inputs, as in SAELens, or features, as in circuit-tracer, cannot be "
                "told); give the folder with its cfg.json or config.yaml");
  }
  return columns ? EncoderLayout::inputs_by_features : EncoderLayout::features_by_inputs;
}

/// The thresholds under the names of SAELens, of its training state, and of circuit-tracer.
std::optional<StoredTensor> take_threshold(TensorFile& file, FeatureFile& features) {
  constexpr std::array<const char*, 3> names{"threshold", "log_threshold", "activation_function.threshold"};
  for (const char* name : names) {
    if (!file.has(name)) continue;
    features.threshold_form = std::string(name) == "log_threshold" ? ThresholdForm::logarithms : ThresholdForm::values;
    return file.take(name, {features.d_sae}, "[d_sae]");
  }
  return std::nullopt;
}

void read_activation(TensorFile& file, const Stated& stated, FeatureFile& features, FeatureLayer& layer) {
  if (!stated.activation || *stated.activation == FeatureActivation::jumprelu) {
    layer.threshold = take_threshold(file, features);
  }
  if (stated.activation == FeatureActivation::jumprelu && !layer.threshold) file.require({"threshold"});
  features.activation =
      stated.activation.value_or(layer.threshold ? FeatureActivation::jumprelu : FeatureActivation::relu);
  const bool is_topk =
      features.activation == FeatureActivation::topk || features.activation == FeatureActivation::topk_signed;
  if (!is_topk && file.has_integers("k")) {
    file.refuse("k",
                "makes this a topk dictionary, whose k must be said beside it (k: 32 in config.yaml, or in the "
                "file's metadata together with activation: topk)");
  }
  if (is_topk && (features.k < 1 || features.k > features.d_sae)) {
    throw UserError(file.name(), fmt::format("k is {} (it must be from 1 to the {} features); correct what its folder "
                                             "or metadata says",
                                             features.k, features.d_sae));
  }
}

}  // namespace

FeatureLayer read_weights(TensorFile& file, const Stated& stated, FeatureFile& features) {
  file.require({"W_enc", "b_enc", "W_dec", "b_dec"});
  features.d_sae = file.length("b_enc");
  features.d_out = file.length("b_dec");
  features.encoder = encoder_layout(file, stated, features.d_sae);
  const bool by_features = features.encoder == EncoderLayout::inputs_by_features;
  features.d_in = file.shape("W_enc")[by_features ? 0 : 1];
  require_size(file, "d_in", stated.d_in, features.d_in);
  require_size(file, "d_sae", stated.d_sae, features.d_sae);
  require_size(file, "d_out", stated.d_out, features.d_out);

  FeatureLayer layer;
  layer.W_enc = by_features ? file.take("W_enc", {features.d_in, features.d_sae}, "[d_in, d_sae]")
                            : file.take("W_enc", {features.d_sae, features.d_in}, "[d_sae, d_in]");
  layer.b_enc = file.take("b_enc", {features.d_sae}, "[d_sae]");
  layer.W_dec = file.take("W_dec", {features.d_sae, features.d_out}, "[d_sae, d_out]");
  layer.b_dec = file.take("b_dec", {features.d_out}, "[d_out]");
  if (features.kind != FeatureKind::sae && file.has("W_skip")) {
    layer.W_skip = file.take("W_skip", {features.d_out, features.d_in}, "[d_out, d_in]");
  }
  read_activation(file, stated, features, layer);
  file.refuse_rest();
  if (features.kind == FeatureKind::sae && features.d_in != features.d_out) {
    throw UserError(file.name(), fmt::format("reads {} numbers and writes {} (a sparse autoencoder writes what it "
                                             "reads); is it a transcoder?",
                                             features.d_in, features.d_out));
  }
  return layer;
}

void require_same_sizes(const TensorFile& file, const FeatureFile& first, const FeatureFile& now) {
  const auto sizes = [](const FeatureFile& of) { return Shape{of.d_in, of.d_sae, of.d_out}; };
  if (sizes(first) == sizes(now) && first.activation == now.activation && first.encoder == now.encoder) return;
  throw UserError(file.name(), fmt::format("has d_in, d_sae, d_out {}, {}, {}, and the first layer {}, {}, {} (all "
                                           "layers of a folder are of one size and one activation); fetch it again",
                                           now.d_in, now.d_sae, now.d_out, first.d_in, first.d_sae, first.d_out));
}

}  // namespace tributary::detail::features
