// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/features/circuit_tracer.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/config/yaml_reader.h"
#include "io/detail/features/hook_names.h"
#include "io/detail/features/weights.h"

// Names, shapes and meanings are those of circuit-tracer (github.com/safety-research/circuit-tracer at b00048e and
// 196e2ce): circuit_tracer/utils/hf_utils.py reads config.yaml (model_kind transcoder_set or cross_layer_transcoder,
// feature_input_hook, feature_output_hook, activation and k of transcoders);
// transcoder/single_layer_transcoder.py layer_N.safetensors: W_enc and W_dec [features, d_model], b_enc, b_dec, W_skip
// (x W_skip^T), activation_function.threshold, an integer k; its TopK (activation_functions.py) has no relu behind it.
// transcoder/cross_layer_transcoder.py W_enc_N.safetensors: W_enc_N [features, d_model], b_enc_N, b_dec_N (of what is
// written at layer N), threshold_N; W_dec_N.safetensors: W_dec_N [features, layers from N on, d_model].
namespace tributary::detail::features {
namespace {

namespace fs = std::filesystem;

std::optional<std::int64_t> parse_count(std::string_view digits) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = error == std::errc() && end == digits.data() + digits.size() && number >= 0;
  return whole && std::to_string(number) == digits ? std::optional(number) : std::nullopt;
}

std::optional<std::int64_t> number_in(std::string_view name, std::string_view before) {
  constexpr std::string_view after = ".safetensors";
  if (name.size() <= before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after)) return {};
  return parse_count(name.substr(before.size(), name.size() - before.size() - after.size()));
}

/// How many files there are from 0 on, named by their numbers, without a gap.
std::int64_t count_files(const fs::path& folder, const std::string& before) {
  std::set<std::int64_t> numbers;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (const auto number = number_in(entry->path().filename().string(), before)) numbers.insert(*number);
  }
  if (error) throw UserError(folder.string(), "cannot be listed (" + error.message() + "); make it readable");
  std::int64_t next = 0;
  for (const std::int64_t number : numbers) {
    if (number != next) break;
    ++next;
  }
  if (next == 0 || next != static_cast<std::int64_t>(numbers.size())) {
    throw UserError(folder.string(), fmt::format("{}{}.safetensors is missing; fetch the whole folder", before, next));
  }
  return next;
}

/// config.yaml: a mapping of words to words, and of `transcoders` to a list.
class CircuitTracerConfig {
 public:
  explicit CircuitTracerConfig(const fs::path& file) : name_(file.string()) {
    config::YamlDocument document = config::read_yaml(read_file(name_));
    std::vector<Problem> problems;
    for (const config::Complaint& complaint : document.complaints)
      problems.push_back({at(complaint.place), complaint.text});
    if (!problems.empty()) throw UserError(std::move(problems));
    if (!document.root || !config::is_mapping(*document.root)) {
      throw UserError(name_, "is no mapping of keys to values; fetch it again");
    }
    for (config::YamlEntry& entry : document.root->entries) {
      if (!entries_.emplace(entry.key, std::move(entry.value)).second) {
        throw UserError(at(entry.place), "duplicate key '" + entry.key + "'; keep one of the two");
      }
    }
  }

  [[nodiscard]] bool has(const std::string& key) const {
    const auto found = entries_.find(key);
    return found != entries_.end() && found->second.type != config::YamlNode::Type::null;
  }
  [[nodiscard]] std::string text(const std::string& key) const {
    if (!has(key)) throw UserError(name_, "lacks '" + key + "'; fetch it again, or write '" + key + ": …'");
    if (entries_.at(key).type != config::YamlNode::Type::scalar) refuse(key, "must be one word");
    return entries_.at(key).text;
  }
  [[noreturn]] void refuse(const std::string& key, const std::string& problem) const {
    throw UserError(at(entries_.at(key).place), key + " " + problem);
  }

 private:
  [[nodiscard]] std::string at(Place place) const { return fmt::format("{}:{}:{}", name_, place.line, place.column); }

  std::string name_;
  std::map<std::string, config::YamlNode> entries_;
};

void read_hooks(const CircuitTracerConfig& config, FeatureFile& features) {
  features.hook_written = config.text("feature_input_hook");
  features.hook = reading_place(features.hook_written).hook;
  features.writes = writing_place(config.text("feature_output_hook")).hook;
  if (!features.writes.empty()) return;
  config.refuse("feature_output_hook", "'" + config.text("feature_output_hook") +
                                           "' is not the MLP's output (hook_mlp_out or mlp.hook_out); only such "
                                           "transcoders are computed here");
}

std::optional<FeatureActivation> activation_of(const CircuitTracerConfig& config, FeatureFile& features) {
  if (!config.has("activation")) return std::nullopt;
  const std::string word = config.text("activation");
  if (word == "relu") return FeatureActivation::relu;
  if (word == "jump_relu" || word == "jumprelu") return FeatureActivation::jumprelu;
  if (word != "topk") config.refuse("activation", "'" + word + "' is not known (relu, jump_relu and topk are)");
  const auto k = parse_count(config.text("k"));
  if (!k) config.refuse("k", "must be a whole number, not '" + config.text("k") + "'");
  features.k = *k;
  return FeatureActivation::topk_signed;
}

void read_transcoders(const CircuitTracerConfig& config, std::optional<std::int64_t> only, FeatureFile& features,
                      std::vector<MappedFile>& mappings) {
  if (config.has("transcoders")) {
    config.refuse("transcoders",
                  "lists the files of each layer elsewhere (nothing is downloaded here); give each as "
                  "an item of its own, with its layer");
  }
  Stated stated;
  stated.encoder = EncoderLayout::features_by_inputs;
  stated.activation = activation_of(config, features);
  const std::int64_t end = only ? *only + 1 : count_files(features.where, "layer_");
  for (std::int64_t number = only.value_or(0); number < end; ++number) {
    TensorFile file(features.where / fmt::format("layer_{}.safetensors", number), mappings);
    FeatureFile now = features;
    now.layers.clear();
    FeatureLayer layer = read_weights(file, stated, now);
    layer.layer = number;
    if (!features.layers.empty()) require_same_sizes(file, features, now);
    now.layers = std::move(features.layers);
    now.layers.push_back(std::move(layer));
    features = std::move(now);
  }
}

FeatureLayer read_cross_layer(std::int64_t number, std::int64_t layers, FeatureFile& features,
                              std::vector<MappedFile>& mappings) {
  const auto named = [&](const char* tensor) { return fmt::format("{}_{}", tensor, number); };
  TensorFile encoder(features.where / (named("W_enc") + ".safetensors"), mappings);
  TensorFile decoder(features.where / (named("W_dec") + ".safetensors"), mappings);
  encoder.require({named("W_enc"), named("b_enc"), named("b_dec")});
  decoder.require({named("W_dec")});
  if (number == 0) {
    features.d_sae = encoder.length(named("b_enc"));
    features.d_in = features.d_out = encoder.length(named("b_dec"));
    if (encoder.has(named("threshold"))) features.activation = FeatureActivation::jumprelu;
  }
  FeatureLayer layer;
  layer.layer = number;
  layer.W_enc = encoder.take(named("W_enc"), {features.d_sae, features.d_in}, "[d_sae, d_in]");
  layer.b_enc = encoder.take(named("b_enc"), {features.d_sae}, "[d_sae]");
  layer.b_dec = encoder.take(named("b_dec"), {features.d_out}, "[d_out]");
  if (features.activation == FeatureActivation::jumprelu) {
    encoder.require({named("threshold")});
    layer.threshold = encoder.take(named("threshold"), {features.d_sae}, "[d_sae]");
  }
  layer.W_dec = decoder.take(named("W_dec"), {features.d_sae, layers - number, features.d_out},
                             "[d_sae, layers from this one on, d_out]");
  encoder.refuse_rest();
  decoder.refuse_rest();
  return layer;
}

}  // namespace

std::optional<std::int64_t> layer_of_name(const std::string& file_name) { return number_in(file_name, "layer_"); }

FeatureFile read_circuit_tracer(const fs::path& folder, std::optional<std::int64_t> only) {
  const CircuitTracerConfig config(folder / circuit_tracer_config);
  FeatureFile features;
  features.where = folder;
  features.encoder = EncoderLayout::features_by_inputs;
  std::vector<MappedFile> mappings;
  const std::string kind = config.text("model_kind");
  if (kind == "transcoder_set") {
    features.kind = FeatureKind::transcoder;
    read_hooks(config, features);
    read_transcoders(config, only, features, mappings);
  } else if (kind == "cross_layer_transcoder") {
    features.kind = FeatureKind::cross_layer;
    read_hooks(config, features);
    const std::int64_t layers = count_files(folder, "W_enc_");
    for (std::int64_t number = 0; number < layers; ++number) {
      features.layers.push_back(read_cross_layer(number, layers, features, mappings));
    }
  } else {
    config.refuse("model_kind", "'" + kind + "' is not known (transcoder_set and cross_layer_transcoder are)");
  }
  features.mappings = std::make_shared<const std::vector<MappedFile>>(std::move(mappings));
  return features;
}

}  // namespace tributary::detail::features
