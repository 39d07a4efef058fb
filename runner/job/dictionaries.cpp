// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/dictionaries.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

#include "attribution/model/tensors.h"
#include "common/errors.h"
#include "common/hash.h"
#include "common/team.h"
#include "common/text.h"
#include "io/feature_file.h"
#include "runner/job/dictionary_hooks.h"
#include "runner/job/model.h"
#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

/// One of the list, with the file that holds it.
struct Bound {
  Dictionary dictionary;
  std::string name;
};

std::int64_t width_of(Site site, const Architecture& a) { return site == Site::z ? a.query_width() : a.d_model; }

/// What a layer's features are bound with.
class Binder {
 public:
  Binder(const FeatureFile& file, const FeatureSource& source, const Architecture& architecture, at::ScalarType type,
         DictionaryShelf::Numbers numbers)
      : file_(file), source_(source), a_(architecture), type_(type), reads_(numbers == DictionaryShelf::Numbers::read) {
    hook_ = source.hook.empty() ? file.hook : source.hook;
    if (hook_.empty()) {
      if (!file.hook_written.empty()) {
        refuse("reads at '" + printable(file.hook_written, LineEnds::escape) +
               "', and a dictionary of that place cannot be used here; those that read at one of " + known_hooks() +
               " can");
      }
      refuse(
          "does not say where it reads; give hook: resid_pre, resid_mid, resid_post, mlp_out, z, mlp_in or "
          "mlp_in_normed");
    }
  }

  [[nodiscard]] Bound bind(const FeatureLayer& stored) const {
    Dictionary d;
    d.layer = layer_of(stored);
    d.reads = hook(hook_).site;
    const Site writes = site_written();
    require_place(d.reads, d.layer);
    require_width("d_in", file_.d_in, d.reads);
    require_width("d_out", file_.d_out, writes);
    d.activation = gate();
    d.k = file_.k;
    d.encoder = tensor(stored.W_enc);
    if (file_.encoder == EncoderLayout::features_by_inputs) d.encoder = d.encoder.t();
    d.encoder_bias = tensor(stored.b_enc);
    if (file_.apply_b_dec_to_input) d.input_bias = tensor(stored.b_dec);
    if (stored.threshold) {
      d.thresholds = tensor(*stored.threshold);
      if (file_.threshold_form == ThresholdForm::logarithms) d.thresholds = d.thresholds.exp();
      if (reads_) d.thresholds = d.thresholds.contiguous();
    }
    const at::Tensor decoder = tensor(stored.W_dec);
    const bool across = file_.kind == FeatureKind::cross_layer;
    for (std::int64_t i = 0; i < (across ? decoder.size(1) : 1); ++i) {
      FeatureTarget target{writes, d.layer + i, across ? decoder.select(1, i) : decoder, {}, {}};
      if (target.layer >= a_.layers())
        refuse(fmt::format("writes to layer {}, and the model has {}", target.layer, a_.layers()));
      if (reads_) target.decoder = target.decoder.contiguous();
      if (i == 0) target.bias = tensor(stored.b_dec);
      if (i == 0 && stored.W_skip) target.skip = tensor(*stored.W_skip).t();
      d.targets.push_back(std::move(target));
    }
    if (!reads_) return {std::move(d), name_of(stored)};
    require_finite({{"W_enc", &d.encoder},
                    {"b_enc", &d.encoder_bias},
                    {"W_dec", &decoder},
                    {"b_dec", &d.targets.front().bias},
                    {"threshold", &d.thresholds},
                    {"W_skip", &d.targets.front().skip}});
    if (file_.rescale_by_decoder_norm) fold_norms(d);
    return {std::move(d), name_of(stored)};
  }

  /// Adds where the list and the file disagree about the place, and what the file leaves open that changes features.
  void add_notes(const FeatureLayer& stored, std::vector<std::string>& notes) const {
    const std::string where = file_.where.string();
    std::vector<std::string> said, given;
    if (!source_.hook.empty() && !file_.hook_written.empty() && source_.hook != file_.hook) {
      said.push_back("'" + printable(file_.hook_written, LineEnds::escape) + "'");
      given.push_back("hook: " + source_.hook);
    }
    if (stored.layer && *stored.layer != layer_of(stored)) {
      said.push_back(fmt::format("layer {}", *stored.layer));
      given.push_back(fmt::format("layer: {}", layer_of(stored)));
    }
    if (!said.empty()) {
      notes.push_back(fmt::format("{} says that it reads at {}, and features says {}: the latter is used", where,
                                  join(said), join(given)));
    }
    const bool is_sae = file_.kind == FeatureKind::unstated && site_written() == hook(hook_).site;
    if (is_sae && file_.leaves_b_dec_open && !is_zero(stored.b_dec)) {
      notes.push_back(where +
                      ": its b_dec is not subtracted from the input; SAELens does that, unless a cfg.json says "
                      "otherwise. Write apply_b_dec_to_input: true or false into the file's metadata, or put it beside "
                      "its cfg.json as sae_weights.safetensors");
    }
  }

 private:
  static bool is_zero(const StoredTensor& stored) {
    std::size_t bytes = c10::elementSize(scalar_type(stored.type));
    for (const std::int64_t extent : stored.shape) bytes *= static_cast<std::size_t>(extent);
    return std::all_of(stored.data, stored.data + bytes, [](std::byte byte) { return byte == std::byte{0}; });
  }

  [[noreturn]] void refuse(const std::string& text) const { throw UserError(file_.where.string(), text); }

  [[nodiscard]] std::string name_of(const FeatureLayer& stored) const {
    return fmt::format("{} {} {}", hook_, layer_of(stored), file_.where.filename().string());
  }

  [[nodiscard]] std::int64_t layer_of(const FeatureLayer& stored) const {
    const std::optional<std::int64_t> layer = file_.layers.size() == 1 && source_.layer ? source_.layer : stored.layer;
    if (file_.layers.size() > 1 && source_.layer) {
      refuse(
          fmt::format("holds {} layers, and all of them are used; leave layer: {} out, or give the path of that "
                      "layer's file alone",
                      file_.layers.size(), *source_.layer));
    }
    if (!layer) refuse("does not say which layer it reads; give layer: N");
    if (*layer >= a_.layers())
      refuse(fmt::format("reads at layer {}, and the model has {} (from 0)", *layer, a_.layers()));
    return *layer;
  }

  [[nodiscard]] Site site_written() const {
    const Hook& reads = hook(hook_);
    if (file_.writes.empty() && reads.is_written) return reads.site;
    if (file_.kind == FeatureKind::sae) {
      refuse("is an autoencoder that reads at " + hook_ +
             ", and what stands there cannot be written back alone; autoencoders can be of resid_pre, resid_mid, "
             "resid_post, mlp_out and z");
    }
    const std::string writes = file_.writes.empty() ? "mlp_out" : file_.writes;
    if (!reads.is_before_mlp) {
      refuse("reads at " + hook_ + ", which is not before " + writes +
             ", where it writes; give hook: resid_pre, z, resid_mid, mlp_in or mlp_in_normed");
    }
    return hook(writes).site;
  }

  [[nodiscard]] FeatureGate gate() const {
    switch (file_.activation) {
      case FeatureActivation::relu:
        return FeatureGate::relu;
      case FeatureActivation::jumprelu:
        return FeatureGate::jump_relu;
      case FeatureActivation::topk:
        return FeatureGate::top_k;
      case FeatureActivation::topk_signed:
        return FeatureGate::top_k_signed;
    }
    throw ContractViolation("an activation outside the enumeration");
  }

  void require_place(Site site, std::int64_t layer) const {
    if (site == Site::resid_mid && a_.block(layer).residual == Residual::parallel) {
      refuse("reads at resid_mid, and attention and MLP of a " + a_.family +
             " model read the same stream: there is none");
    }
  }

  void require_width(const char* name, std::int64_t width, Site site) const {
    if (width == width_of(site, a_)) return;
    refuse(
        fmt::format("has {} {}, and the model is {} wide there; take the dictionary that was made for this model, or "
                    "another hook",
                    name, width, width_of(site, a_)));
  }

  void require_finite(const std::vector<std::pair<const char*, const at::Tensor*>>& tensors) const {
    for (const auto& [name, tensor] : tensors) {
      if (!tensor->defined()) continue;
      const bool turned = tensor->dim() == 2 && !tensor->is_contiguous();
      if (all_finite((turned ? tensor->t() : *tensor).contiguous())) continue;
      refuse(fmt::format("{} {}; take an undamaged copy", name, not_finite_text(*tensor)));
    }
  }

  /// On the mapping where it is stored in the dtype, else a copy.
  [[nodiscard]] at::Tensor tensor(const StoredTensor& stored) const {
    if (!reads_) return at::zeros({}, type_).expand(stored.shape);
    const at::ScalarType type = scalar_type(stored.type);
    if (reinterpret_cast<std::uintptr_t>(stored.data) % c10::elementSize(type) != 0) {
      at::Tensor copy = at::empty(stored.shape, type);
      std::memcpy(copy.mutable_data_ptr(), stored.data, copy.nbytes());
      return copy.to(type_);
    }
    // Never written to: dictionaries are frozen, and the mapping is read-only.
    auto* data = const_cast<std::byte*>(stored.data);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
    return at::from_blob(
               data, stored.shape, [mappings = file_.mappings](void*) {}, at::TensorOptions(type))
        .to(type_);
  }

  /// f counts in units of its decoder's length (SAELens, rescale_acts_by_decoder_norm).
  static void fold_norms(Dictionary& d) {
    FeatureTarget& target = d.targets.front();
    const at::Tensor norms = in_float64(
        target.decoder,
        [](const at::Tensor& rows, std::int64_t) { return rows.square().sum(1, /*keepdim=*/true).sqrt(); },
        at::empty({target.decoder.size(0), 1}, at::kDouble));  // [feature, 1]
    const at::Tensor of_features = norms.squeeze(1);
    d.encoder = in_float64(
        d.encoder, [&](const at::Tensor& rows, std::int64_t) { return rows * of_features; }, at::empty_like(d.encoder));
    if (d.encoder_bias.defined())
      d.encoder_bias = (d.encoder_bias.to(at::kDouble) * of_features).to(d.encoder_bias.scalar_type());
    target.decoder = in_float64(
        target.decoder,
        [&](const at::Tensor& rows, std::int64_t first) { return rows / norms.narrow(0, first, rows.size(0)); },
        at::empty_like(target.decoder));
  }

  /// Fills `out` with what body(rows, their first) makes of some rows of a matrix at a time, in float64.
  template <typename Body>
  static at::Tensor in_float64(const at::Tensor& matrix, const Body& body, at::Tensor out) {
    constexpr std::int64_t numbers_at_once = 1 << 22;
    const std::int64_t most = std::max<std::int64_t>(1, numbers_at_once / matrix.size(1));
    for (std::int64_t first = 0; first < matrix.size(0); first += most) {
      const std::int64_t rows = std::min(most, matrix.size(0) - first);
      out.narrow(0, first, rows).copy_(body(matrix.narrow(0, first, rows).to(at::kDouble), first));
    }
    return out;
  }

  const FeatureFile& file_;
  const FeatureSource& source_;
  const Architecture& a_;
  at::ScalarType type_;
  bool reads_;
  std::string hook_;
};

/// The files of a source: one, or with layer: all one a layer.
std::vector<FeatureSource> one_by_one(const FeatureSource& source, std::int64_t layers) {
  if (!source.all_layers) return {source};
  std::vector<FeatureSource> all;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    FeatureSource one = source;
    std::string path = source.path.string();
    const std::string mark = "{layer}";
    for (auto at = path.find(mark); at != std::string::npos; at = path.find(mark)) {
      path.replace(at, mark.size(), std::to_string(layer));
    }
    one.path = path;
    one.layer = layer;
    all.push_back(std::move(one));
  }
  return all;
}

/// Adds what a file's dictionaries take in a dtype (Binder::bind makes the copies).
void count_bytes(const FeatureFile& file, at::ScalarType type, DictionaryBytes& bytes) {
  const auto add = [&](const StoredTensor& stored, bool changed) {
    std::uint64_t size = c10::elementSize(type);
    for (const std::int64_t extent : stored.shape) size *= static_cast<std::uint64_t>(extent);
    const bool stays = scalar_type(stored.type) == type && !changed &&
                       reinterpret_cast<std::uintptr_t>(stored.data) % c10::elementSize(type) == 0;
    (stays ? bytes.mapped : bytes.copied) += size;
  };
  for (const FeatureLayer& layer : file.layers) {
    add(layer.W_enc, file.rescale_by_decoder_norm);
    add(layer.b_enc, file.rescale_by_decoder_norm);
    add(layer.W_dec, file.rescale_by_decoder_norm || file.kind == FeatureKind::cross_layer);
    add(layer.b_dec, false);
    if (layer.threshold) add(*layer.threshold, file.threshold_form == ThresholdForm::logarithms);
    if (layer.W_skip) add(*layer.W_skip, false);
  }
}

void require_memory(const DictionaryBytes& bytes, std::uint64_t memory) {
  const std::uint64_t all = bytes.mapped + bytes.copied;
  if (memory == 0 || all <= memory) return;
  throw UserError("memory",
                  fmt::format("{} are not enough: the dictionaries of features take {}; raise memory, or give "
                              "features of fewer layers",
                              text_of_bytes(memory), text_of_bytes(all)));
}

/// The files' hashes, a line each.
std::string hashes_of(const std::vector<FeatureFile>& files) {
  std::vector<std::string> hashes(files.size());
  share_loop(std::ssize(files), 1, [&](std::int64_t first, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(end); ++i) hashes[i] = files[i].hash();
  });
  std::string all;
  for (const std::string& one : hashes) all += one + "\n";
  return all;
}

/// With layer: all every file may say the same.
void shorten(std::vector<std::string>& notes) {
  constexpr std::size_t most = 4;
  if (notes.size() <= most) return;
  const std::size_t more = notes.size() - most;
  notes.resize(most);
  notes.push_back(fmt::format("{} more such notes on dictionaries of features", more));
}

LoadedDictionaries load_dictionaries(const std::vector<FeatureSource>& sources, const Architecture& architecture,
                                     at::ScalarType type, DictionaryShelf::Numbers numbers, std::uint64_t memory) {
  std::vector<FeatureSource> places;
  for (const FeatureSource& source : sources) {
    for (FeatureSource& one : one_by_one(source, architecture.layers())) places.push_back(std::move(one));
  }
  std::vector<FeatureFile> files;
  for (const FeatureSource& place : places) files.push_back(open_features(place.path));
  LoadedDictionaries loaded;
  for (const FeatureFile& file : files) count_bytes(file, type, loaded.bytes);
  require_memory(loaded.bytes, memory);
  const bool reads = numbers == DictionaryShelf::Numbers::read;
  const std::uint64_t before = resident_file_bytes();
  std::vector<Bound> all;
  std::string hashes;
  if (reads) hashes = hashes_of(files);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const Binder binder(files[i], places[i], architecture, type, numbers);
    for (const FeatureLayer& layer : files[i].layers) {
      all.push_back(binder.bind(layer));
      binder.add_notes(layer, loaded.notes);
    }
    const bool copied = scalar_type(files[i].layers.front().W_enc.type) != type || files[i].rescale_by_decoder_norm ||
                        files[i].kind == FeatureKind::cross_layer;
    if (copied) files[i].release_pages();
  }
  shorten(loaded.notes);
  std::stable_sort(all.begin(), all.end(),
                   [](const Bound& a, const Bound& b) { return a.dictionary.layer < b.dictionary.layer; });
  const std::uint64_t now = resident_file_bytes();
  if (now > before) loaded.bytes.resident = std::min(now - before, loaded.bytes.mapped);
  std::vector<Dictionary> dictionaries;
  for (Bound& one : all) {
    hashes += one.name.substr(0, one.name.rfind(' ')) + "\n";  // where each is used, whatever its file is called
    dictionaries.push_back(std::move(one.dictionary));
    loaded.names.push_back(std::move(one.name));
  }
  loaded.dictionaries = std::make_shared<const std::vector<Dictionary>>(std::move(dictionaries));
  loaded.hash = hash_of(hashes);
  return loaded;
}

}  // namespace

const LoadedDictionaries& DictionaryShelf::get(const std::vector<FeatureSource>& sources,
                                               const Architecture& architecture, at::ScalarType type, Numbers numbers,
                                               std::uint64_t memory) {
  std::string key = fmt::format("{} {} {}\n", architecture.layers(), architecture.d_model, static_cast<int>(type));
  for (const FeatureSource& one : sources) {
    key += fmt::format("{} {} {}\n", one.path.string(), one.hook, one.layer.value_or(one.all_layers ? -2 : -1));
  }
  const auto found = loaded_.find(key);
  if (found != loaded_.end()) {
    require_memory(found->second.bytes, memory);
    return found->second;
  }
  return loaded_.emplace(key, load_dictionaries(sources, architecture, type, numbers, memory)).first->second;
}

void add_dictionaries(Job& job, DictionaryShelf& shelf, DictionaryShelf::Numbers numbers, int threads) {
  if (job.config.features.empty()) return;
  if (!job.device.is_cpu()) {
    throw UserError("model.device", "features are computed on the host alone yet; say cpu, or leave them out of nodes");
  }
  const Team team(threads);
  const LoadedDictionaries& loaded =
      shelf.get(job.config.features, job.architecture(), job.exact->score_type(), numbers, job.config.memory);
  job.dictionaries = loaded.dictionaries;
  job.dictionary_names = loaded.names;
  job.dictionary_notes = loaded.notes;
  job.dictionaries_hash = loaded.hash;
  job.dictionary_bytes = loaded.bytes;
}

}  // namespace tributary
