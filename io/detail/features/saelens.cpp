// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/features/saelens.h"

#include <array>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/errors.h"
#include "io/detail/base/json_view.h"
#include "io/detail/features/hook_names.h"
#include "io/detail/features/weights.h"

// What the fields mean is taken from SAELens (github.com/jbloomAus/SAELens at 91ca16c, version 6):
// sae_lens/saes/{sae,standard_sae,jumprelu_sae,topk_sae,batchtopk_sae,transcoder}.py, and how fields of older versions
// are read from sae_lens/loading/pretrained_sae_loaders.py (handle_pre_6_0_config).
namespace tributary::detail::features {
namespace {

struct ArchitectureRow {
  std::string_view name;
  FeatureKind kind;
  FeatureActivation activation;
  enum class Skip { no, yes } skip = Skip::no;
};

// Batch top-k is saved for use with its threshold, as jumprelu; under the name of its training it has one all the same.
constexpr std::array<ArchitectureRow, 8> architectures{{
    {"standard", FeatureKind::sae, FeatureActivation::relu},
    {"jumprelu", FeatureKind::sae, FeatureActivation::jumprelu},
    {"topk", FeatureKind::sae, FeatureActivation::topk},
    {"batchtopk", FeatureKind::sae, FeatureActivation::jumprelu},
    {"matryoshka_batchtopk", FeatureKind::sae, FeatureActivation::jumprelu},
    {"transcoder", FeatureKind::transcoder, FeatureActivation::relu},
    {"skip_transcoder", FeatureKind::transcoder, FeatureActivation::relu, ArchitectureRow::Skip::yes},
    {"jumprelu_transcoder", FeatureKind::transcoder, FeatureActivation::jumprelu},
}};

std::int64_t whole_number(const JsonView& view) {
  const nlohmann::json& value = view.value();
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
    view.refuse("expected a whole number; fetch the file again");
  }
  return value.get<std::int64_t>();
}

/// cfg.json: fields that lie at its top in older versions lie under "metadata" in newer ones.
class SaeLensConfig {
 public:
  explicit SaeLensConfig(const JsonDocument& document) : root_(document), metadata_(root_.find("metadata")) {}

  /// What is said under one of these names, the newest first.
  [[nodiscard]] std::optional<JsonView> find(std::initializer_list<std::string_view> names) const {
    for (const std::string_view name : names) {
      if (auto found = root_.find(name)) return found;
      if (metadata_) {
        if (auto found = metadata_->find(name)) return found;
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] std::string text(std::initializer_list<std::string_view> names, const std::string& fallback) const {
    const auto found = find(names);
    return found ? found->text() : fallback;
  }
  [[nodiscard]] std::optional<std::int64_t> number(std::initializer_list<std::string_view> names) const {
    const auto found = find(names);
    return found ? std::optional(whole_number(*found)) : std::nullopt;
  }
  [[nodiscard]] bool flag(std::string_view name, bool fallback) const {
    const auto found = find({name});
    return found ? found->flag() : fallback;
  }

 private:
  JsonView root_;
  std::optional<JsonView> metadata_;
};

const ArchitectureRow& architecture_of(const SaeLensConfig& config) {
  const auto field = config.find({"architecture"});
  const std::string name = field ? field->text() : "standard";
  std::vector<std::string> known;
  for (const ArchitectureRow& row : architectures) {
    if (row.name == name) return row;
    known.emplace_back(row.name);
  }
  if (name == "gated") {
    field->refuse(
        "gated autoencoders are not computed here (two encoders decide which features are on and how much); "
        "take one with a relu, jumprelu or topk activation");
  }
  field->refuse_unknown("architecture", name, known);
}

void refuse_normalisation(const SaeLensConfig& config) {
  const auto field = config.find({"normalize_activations"});
  if (!field) return;
  const bool flag = field->value().is_boolean();
  const std::string name =
      flag ? (field->flag() ? "expected_average_only_in" : "none") : field->text();  // a flag in versions before 3
  if (name == "none") return;
  if (name == "expected_average_only_in") {
    field->refuse(
        "'expected_average_only_in' multiplies what is read by a factor that is not in the file; fold it in "
        "with SAELens (sae.fold_activation_norm_scaling_factor(factor)) and save the dictionary again");
  }
  field->refuse("'" + name +
                "' is not done here (what is read would be divided by its own norm, so that no feature "
                "writes one direction); take a dictionary trained with normalize_activations: none");
}

/// What the encoder and decoder do besides, which is not done here.
void refuse_extras(const SaeLensConfig& config, const FeatureFile& features) {
  refuse_normalisation(config);
  if (const auto field = config.find({"hook_head_index", "hook_point_head_index"})) {
    field->refuse("a dictionary of a single head is not computed here; take one of all heads (hook z)");
  }
  if (config.flag("finetuning_scaling_factor", false)) {
    config.find({"finetuning_scaling_factor"})
        ->refuse(
            "a factor on each feature is not applied here; multiply W_dec's rows by it and save the dictionary "
            "with finetuning_scaling_factor: false");
  }
  const auto reshape = config.find({"reshape_activations"});
  if (!reshape || reshape->text() == "none") return;
  if (reshape->text() != "hook_z" || features.hook != "z") {
    reshape->refuse("'" + reshape->text() + "' does not fit the hook '" + features.hook_written +
                    "'; correct it, or set it to none");
  }
}

void read_places(const SaeLensConfig& config, FeatureFile& features, std::optional<std::int64_t>& layer) {
  features.hook_written = config.text({"hook_name", "hook_point"}, "");
  const HookPlace place = reading_place(features.hook_written);
  features.hook = place.hook;
  layer = place.layer;
  if (const auto field = config.find({"hook_layer", "hook_point_layer"})) {
    const std::int64_t said = whole_number(*field);
    if (layer.value_or(said) != said) {
      field->refuse("is " + std::to_string(said) + ", but the hook is '" + features.hook_written +
                    "'; correct one of the two");
    }
    layer = said;
  }
  if (features.kind != FeatureKind::transcoder) return;
  features.writes = "mlp_out";
  if (const auto field = config.find({"hook_name_out"})) {
    const HookPlace out = writing_place(field->text());
    if (out.hook.empty() || out.layer != layer) {
      field->refuse("'" + field->text() + "' is not the MLP's output of the layer that is read ('" +
                    features.hook_written + "'); only such transcoders are computed here");
    }
    features.writes = out.hook;
  }
  if (const auto field = config.find({"hook_layer_out"});
      field && layer.value_or(whole_number(*field)) != whole_number(*field)) {
    field->refuse("is not the layer that is read; only transcoders within one layer are computed here");
  }
}

/// Sets k where the activation is topk.
FeatureActivation activation_of(const SaeLensConfig& config, const ArchitectureRow& row, FeatureFile& features) {
  FeatureActivation activation = row.activation;
  const auto field = config.find({"activation_fn", "activation_fn_str"});
  const std::string name = field ? field->text() : "relu";
  if (name == "topk" && activation == FeatureActivation::relu) activation = FeatureActivation::topk;
  if (name != "relu" && (name != "topk" || activation != FeatureActivation::topk)) {
    field->refuse("the activation '" + name + "' does not belong to the architecture '" + std::string(row.name) +
                  "' as it is computed here (relu, or topk)");
  }
  if (activation != FeatureActivation::topk) return activation;
  auto k = config.find({"k"});
  if (const auto arguments = config.find({"activation_fn_kwargs"}); !k && arguments) k = arguments->find("k");
  if (!k) {
    const auto about = config.find({"architecture", "activation_fn", "activation_fn_str"});
    about->refuse("topk without a k; write \"k\": … beside it, the number of features that are on");
  }
  features.k = whole_number(*k);
  return activation;
}

}  // namespace

FeatureFile read_saelens(const std::filesystem::path& folder) {
  const JsonDocument document = parse_json_file((folder / saelens_config).string());
  if (!document.root.is_object()) throw UserError(document.file, "is not a JSON object; fetch the file again");
  const SaeLensConfig config(document);
  const ArchitectureRow& row = architecture_of(config);

  FeatureFile features;
  features.where = folder;
  features.kind = row.kind;
  std::optional<std::int64_t> number;
  read_places(config, features, number);
  refuse_extras(config, features);
  const bool is_sae = row.kind == FeatureKind::sae;
  // Without the field SAELens subtracts the bias; of a transcoder, which writes elsewhere than it reads, it never does.
  features.apply_b_dec_to_input = config.flag("apply_b_dec_to_input", is_sae);
  if (features.apply_b_dec_to_input && !is_sae) {
    config.find({"apply_b_dec_to_input"})
        ->refuse("is true for a transcoder, whose b_dec belongs to what it writes; set it to false");
  }
  Stated stated;
  stated.activation = activation_of(config, row, features);
  features.rescale_by_decoder_norm =
      stated.activation == FeatureActivation::topk && config.flag("rescale_acts_by_decoder_norm", false);
  stated.encoder = EncoderLayout::inputs_by_features;
  stated.d_in = config.number({"d_in"});
  stated.d_sae = config.number({"d_sae"});
  stated.d_out = is_sae ? stated.d_in : config.number({"d_out"});

  std::vector<MappedFile> mappings;
  TensorFile file(folder / saelens_weights, mappings);
  file.drop("scaling_factor");  // of ones, unless finetuning_scaling_factor says otherwise
  if (row.skip == ArchitectureRow::Skip::yes) file.require({"W_skip"});
  if (row.skip == ArchitectureRow::Skip::no && file.has("W_skip")) {
    file.refuse("W_skip", "is not known for the architecture '" + std::string(row.name) + "'");
  }
  FeatureLayer layer = read_weights(file, stated, features);
  layer.layer = number;
  features.layers.push_back(std::move(layer));
  features.mappings = std::make_shared<const std::vector<MappedFile>>(std::move(mappings));
  return features;
}

}  // namespace tributary::detail::features
