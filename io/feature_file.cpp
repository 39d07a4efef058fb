// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/feature_file.h"

#include <charconv>
#include <map>
#include <system_error>
#include <utility>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/base/content_hash.h"
#include "io/detail/base/mapped_file.h"
#include "io/detail/checkpoint/tensor_hash.h"
#include "io/detail/features/circuit_tracer.h"
#include "io/detail/features/hook_names.h"
#include "io/detail/features/saelens.h"
#include "io/detail/features/weights.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using detail::features::HookPlace;
using detail::features::TensorFile;

bool lies_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// The metadata of a file of weights.
class FileWords {
 public:
  explicit FileWords(const TensorFile& file) : file_(file.name()), words_(file.metadata()) {}

  [[nodiscard]] std::string text(const std::string& key, const std::string& fallback) const {
    const auto found = words_.find(key);
    return found == words_.end() ? fallback : found->second;
  }
  [[noreturn]] void refuse(const std::string& key, const std::string& why) const {
    throw UserError(file_, "its metadata say " + key + ": '" + printable(text(key, ""), LineEnds::escape) + "' (" +
                               why + "); correct them");
  }
  [[nodiscard]] bool flag(const std::string& key) const {
    const std::string word = text(key, "false");
    if (word != "true" && word != "false") refuse(key, "true and false are known");
    return word == "true";
  }

 private:
  std::string file_;
  const std::map<std::string, std::string>& words_;
};

std::optional<FeatureActivation> activation_of(const FileWords& words, FeatureFile& features) {
  const std::string word = words.text("activation", "");
  if (word.empty()) return std::nullopt;
  if (word == "relu") return FeatureActivation::relu;
  if (word == "jumprelu") return FeatureActivation::jumprelu;
  if (word != "topk") words.refuse("activation", "relu, jumprelu and topk are known");
  const std::string k = words.text("k", "");
  const auto [end, error] = std::from_chars(k.data(), k.data() + k.size(), features.k);
  if (error != std::errc() || end != k.data() + k.size()) words.refuse("k", "topk needs a whole number");
  return FeatureActivation::topk;
}

FeatureFile read_single(const fs::path& path) {
  FeatureFile features;
  features.where = path;
  std::vector<detail::MappedFile> mappings;
  TensorFile file(path, mappings);
  const FileWords words(file);
  const std::string normalised = words.text("normalize_activations", "none");
  if (normalised != "none") words.refuse("normalize_activations", "only none is computed here");

  features.hook_written = words.text("hook_name", "");
  const HookPlace place = detail::features::reading_place(features.hook_written);
  features.hook = place.hook;
  const std::string out = words.text("hook_name_out", "");
  if (!out.empty() || file.has("W_skip")) {
    features.kind = FeatureKind::transcoder;
    features.writes = "mlp_out";
  }
  if (!out.empty()) {
    const HookPlace writes = detail::features::writing_place(out);
    if (writes.hook.empty() || writes.layer != place.layer) {
      words.refuse("hook_name_out", "it must be the MLP's output of the layer that is read");
    }
    features.writes = writes.hook;
  }
  detail::features::Stated stated;
  stated.activation = activation_of(words, features);
  FeatureLayer layer = detail::features::read_weights(file, stated, features);
  layer.layer = place.layer;
  features.leaves_b_dec_open = words.text("apply_b_dec_to_input", "").empty();
  features.apply_b_dec_to_input = words.flag("apply_b_dec_to_input");
  if (features.apply_b_dec_to_input && (features.kind == FeatureKind::transcoder || features.d_in != features.d_out)) {
    words.refuse("apply_b_dec_to_input", "b_dec of a transcoder belongs to what it writes");
  }
  features.layers.push_back(std::move(layer));
  features.mappings = std::make_shared<const std::vector<detail::MappedFile>>(std::move(mappings));
  return features;
}

[[noreturn]] void refuse_format(const fs::path& file) {
  const std::string ending = file.extension().string();
  const bool npz = ending == ".npz";
  throw UserError(file.string(),
                  std::string("is no safetensors file; ") +
                      (npz ? "convert it: numpy.load it and save its arrays with safetensors.numpy.save_file under the "
                             "names W_enc, b_enc, W_dec, b_dec, threshold"
                           : "load it with the program that wrote it and save it with SAELens, or its tensors with "
                             "safetensors under the names W_enc, b_enc, W_dec, b_dec"));
}

FeatureFile open_file(const fs::path& file) {
  if (file.extension() != ".safetensors") refuse_format(file);
  const fs::path folder = file.parent_path();
  if (file.filename() == detail::features::saelens_weights && lies_there(folder / detail::features::saelens_config)) {
    return detail::features::read_saelens(folder);
  }
  const auto layer = detail::features::layer_of_name(file.filename().string());
  if (layer && lies_there(folder / detail::features::circuit_tracer_config)) {
    return detail::features::read_circuit_tracer(folder, layer);
  }
  return read_single(file);
}

}  // namespace

std::string known_hooks() { return detail::features::reading_names(); }

FeatureFile open_features(const fs::path& where) {
  const fs::path path = where.has_filename() ? where : where.parent_path();  // "sae/" is "sae"
  std::error_code ignored;
  if (!lies_there(path)) {
    const std::string link = about_dangling_link(path.string());
    throw UserError(path.string(), link.empty() ? "no such file or folder; give the folder of a dictionary of SAELens "
                                                  "or circuit-tracer, or a safetensors file"
                                                : "cannot be read" + link);
  }
  if (!fs::is_directory(path, ignored)) return open_file(path);
  if (lies_there(path / detail::features::saelens_config)) return detail::features::read_saelens(path);
  if (lies_there(path / detail::features::circuit_tracer_config)) return detail::features::read_circuit_tracer(path);
  if (lies_there(path / "params.npz")) refuse_format(path / "params.npz");
  throw UserError(path.string(),
                  "has neither cfg.json, as SAELens writes it, nor config.yaml, as circuit-tracer reads it (they say "
                  "what kind of dictionary this is); fetch it, or give a safetensors file itself");
}

std::string FeatureFile::hash() const {
  using detail::checkpoint::add_tensor, detail::checkpoint::Pages;
  detail::ContentHash content;
  for (const auto number :
       {static_cast<std::int64_t>(kind), static_cast<std::int64_t>(activation), k,
        static_cast<std::int64_t>(threshold_form), static_cast<std::int64_t>(encoder),
        static_cast<std::int64_t>(apply_b_dec_to_input), static_cast<std::int64_t>(rescale_by_decoder_norm)}) {
    content.add(number);
  }
  content.add(hook);
  content.add(writes);
  for (const FeatureLayer& layer : layers) {
    content.add(layer.layer.value_or(-1));
    add_tensor(content, "W_enc", layer.W_enc, Pages::keep);
    add_tensor(content, "b_enc", layer.b_enc, Pages::keep);
    add_tensor(content, "W_dec", layer.W_dec, Pages::keep);
    add_tensor(content, "b_dec", layer.b_dec, Pages::keep);
    if (layer.threshold) add_tensor(content, "threshold", *layer.threshold, Pages::keep);
    if (layer.W_skip) add_tensor(content, "W_skip", *layer.W_skip, Pages::keep);
  }
  return content.hex();
}

void FeatureFile::release_pages() const {
  if (!mappings) return;
  for (const detail::MappedFile& file : *mappings) detail::release(file.data(), file.size());
}

}  // namespace tributary
