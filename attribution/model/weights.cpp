// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/weights.h"

#include <fmt/format.h>
#include "attribution/model/detail/cpu_kernels.h"
#include "attribution/model/detail/slots.h"
#include "attribution/model/products.h"
#include "attribution/model/tensors.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "common/errors.h"
#include "common/team.h"
#include "common/text.h"

namespace tributary {
namespace {

using detail::layer_members;
using detail::Member;
using detail::model_members;
using detail::Shape;
using detail::shape_of;

/// The pieces as one tensor where they lie in memory, if they do: same strides, each beginning where the last ends.
at::Tensor joined_in_place(const std::vector<at::Tensor>& pieces) {
  std::int64_t rows = 0;
  const at::Tensor& first = pieces.front();
  const auto* begin = static_cast<const std::byte*>(first.data_ptr());
  for (const at::Tensor& piece : pieces) {
    const auto offset = rows * first.stride(0) * static_cast<std::int64_t>(first.element_size());
    if (piece.strides() != first.strides() || piece.scalar_type() != first.scalar_type() ||
        static_cast<const std::byte*>(piece.data_ptr()) != begin + offset) {
      return {};
    }
    rows += piece.size(0);
  }
  Shape shape = first.sizes().vec();
  shape.front() = rows;
  return at::from_blob(
      first.data_ptr(), shape, first.strides(), [pieces](void*) {}, first.options());
}

/// Pieces one above the other, in the dtype and on the device wanted, or in the dtype that they are stored in: a view
/// where possible, else a copy.
at::Tensor assemble(const std::vector<at::Tensor>& pieces, at::TensorOptions options, const WeightStore& store) {
  const at::Tensor& first = pieces.front();
  const at::ScalarType network = options.dtype().toScalarType();
  const auto stays = [&](const at::Tensor& piece) {
    return options.device().is_cpu() && piece.scalar_type() == first.scalar_type() && stays_stored(piece, network);
  };
  if (std::all_of(pieces.begin(), pieces.end(), stays)) options = options.dtype(first.scalar_type());
  if (first.scalar_type() == options.dtype().toScalarType() && first.device() == options.device()) {
    if (pieces.size() == 1) return first;
    if (at::Tensor joined = joined_in_place(pieces); joined.defined()) return joined;
  }
  Shape shape = first.sizes().vec();
  for (std::size_t i = 1; i < pieces.size(); ++i) shape.front() += pieces[i].size(0);
  at::Tensor copy = store.make(shape, options);
  if (store.role != WeightStore::Role::fill) return copy;
  std::int64_t row = 0;
  for (const at::Tensor& piece : pieces) {
    copy.narrow(0, row, piece.size(0)).copy_(piece);
    row += piece.size(0);
  }
  return copy;
}

/// What is stored for each slot of one layer (of the model as a whole: layer -1), as views of the source.
using Pieces = std::map<std::pair<Slot, std::int64_t>, at::Tensor>;

/// What wrappers put into the names of a model's tensors, and how it is saved without them.
struct Wrapper {
  std::string_view part;
  std::string_view advice;
};
constexpr std::array<Wrapper, 4> wrappers{{
    {"_orig_mod.", "torch.compile puts it there: save the model that was compiled"},
    {"_fsdp_wrapped_module.", "FSDP puts it there: save with a full state dict"},
    {"base_model.model.", "PEFT puts it there: call merge_and_unload and save what it returns"},
    {"module.", "DataParallel puts it there: save model.module"},
}};

std::string without(std::string name, std::string_view part) {
  for (auto at = name.find(part); at != std::string::npos; at = name.find(part)) name.erase(at, part.size());
  return name;
}

const TensorRow& row_of(const Family& family, Slot slot) {
  const auto row = std::find_if(family.tensors.begin(), family.tensors.end(),
                                [slot](const TensorRow& one) { return one.slots.front() == slot; });
  TRIBUTARY_EXPECT(row != family.tensors.end(), "every family has an embedding and an unembedding");
  return *row;
}

/// Whether two tensors have the same dtype, shape and bytes. NaN counts as itself, 0 and −0 as different.
bool same_bytes(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && a.is_contiguous() && b.is_contiguous() &&
         std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

/// Takes tensors out of the source, remembering which names were used.
class Binder {
 public:
  Binder(const Architecture& architecture, const Family& family, const TensorSource& source)
      : architecture_(architecture),
        source_(source),
        names_(source.names.begin(), source.names.end()),
        head_name_(row_of(family, Slot::unembedding).name) {
    const std::string& first = family.tensors.front().name;
    const bool bare = names_.count(first) != 0;
    if (!bare && !family.prefixes.empty()) prefix_ = family.prefixes.front();  // the name that messages give
    for (const std::string& prefix : family.prefixes) {
      const auto at = names_.lower_bound(prefix);
      if (at != names_.end() && at->starts_with(prefix)) prefix_ = prefix;
    }
  }

  [[nodiscard]] bool has(const TensorRow& row) const { return names_.count(name_of(row, -1)) != 0; }

  /// Adds the pieces of one stored tensor.
  void take(const TensorRow& row, std::int64_t layer, Pieces& pieces) {
    const std::string name = name_of(row, layer);
    at::Tensor stored = source_.find(name);
    if (!stored.defined()) throw UserError(source_.where, about_missing(name));
    used_.insert(name);
    const at::Tensor weight = fit(stored, row, name);
    std::int64_t first = 0;
    for (std::size_t i = 0; i < row.slots.size(); ++i) {
      const Slot slot = row.slots[i];
      const std::int64_t rows = shape_of(slot, architecture_).front();
      if (row.layout == Layout::by_head) {
        const at::Tensor by_head = weight.unflatten(0, {-1, std::ssize(row.slots), architecture_.d_head});
        pieces[{slot, layer}] = by_head.select(1, static_cast<std::int64_t>(i)).flatten(0, 1);
      } else {
        pieces[{slot, layer}] = row.slots.size() == 1 ? weight : weight.narrow(0, first, rows);
      }
      first += rows;
    }
  }

  /// Every stored tensor must have been used, or be known to carry no weight.
  void require_all_used(const Family& family, bool tied) const {
    for (const std::string& name : source_.names) {
      bool known = used_.count(name) != 0 || (tied && name == head_name_);
      if (!known && tied && name.ends_with("." + head_name_)) {
        require_embedding(family, name);
        known = true;
      }
      for (const std::string& part : family.ignored_parts) known = known || name.find(part) != std::string::npos;
      for (const std::string& ending : family.ignored) known = known || name.ends_with(ending);
      if (!known) {
        throw UserError(source_.where, "tensor '" + name + "' is stored, but a " + architecture_.family +
                                           " model as config.json describes it does not use it (the results would "
                                           "silently be those of another model)");
      }
    }
  }

 private:
  /// A second copy of a tied embedding, under a name of the unembedding that other classes give it.
  void require_embedding(const Family& family, const std::string& name) const {
    const at::Tensor embedding = source_.find(name_of(row_of(family, Slot::embedding), -1));
    if (embedding.defined() && same_bytes(source_.find(name), embedding)) return;
    throw UserError(source_.where,
                    "tensor '" + name + "' is an unembedding of the model's own, and config.json ties it " +
                        "to the embedding; name it '" + head_name_ + "', or remove it if the embedding is meant");
  }

  [[nodiscard]] std::string name_of(const TensorRow& row, std::int64_t layer) const {
    std::string name = row.name;
    if (const auto hole = name.find("{}"); hole != std::string::npos) name.replace(hole, 2, std::to_string(layer));
    // The unembedding stands outside the prefixed trunk.
    if (row.slots.front() != Slot::unembedding) name.insert(0, prefix_);
    return name;
  }

  /// Why a tensor may be missing, and what to do.
  [[nodiscard]] std::string about_missing(const std::string& name) const {
    const std::string missing = "tensor '" + name + "' is missing (a " + architecture_.family + " model needs it); ";
    for (const Wrapper& wrapper : wrappers) {
      for (const std::string& stored : names_) {
        if (stored.find(wrapper.part) == std::string::npos || without(stored, wrapper.part) != name) continue;
        return fmt::format("{}it is stored as '{}', and '{}' is no part of a model's names ({})", missing, stored,
                           wrapper.part, wrapper.advice);
      }
    }
    const auto ends_alike = [&name](const std::string& stored) { return stored.ends_with("." + name); };
    if (const auto other = std::find_if(names_.begin(), names_.end(), ends_alike); other != names_.end()) {
      return fmt::format("{}there is '{}': take '{}' off the names", missing, *other,
                         other->substr(0, other->size() - name.size()));
    }
    if (name == head_name_) {
      return missing +
             "it turns the last block's output into logits, and models saved without it are no language models: save "
             "the …ForCausalLM, or, if its embedding is its unembedding, say tie_word_embeddings: true in config.json";
    }
    return missing + "is the download complete?";
  }

  /// The tensor as [out, in], if its shape is that of its slots one above the other.
  [[nodiscard]] at::Tensor fit(const at::Tensor& stored, const TensorRow& row, const std::string& name) const {
    Shape expected = shape_of(row.slots.front(), architecture_);
    for (std::size_t i = 1; i < row.slots.size(); ++i) {
      expected.front() += shape_of(row.slots[i], architecture_).front();
    }
    const bool turned = row.layout == Layout::conv1d && stored.dim() == 2;
    at::Tensor weight = turned ? stored.t() : stored;
    if (weight.sizes() != at::IntArrayRef(expected)) {
      if (turned) std::reverse(expected.begin(), expected.end());
      throw UserError(source_.where, fmt::format("tensor '{}' has shape [{}] where config.json says [{}]", name,
                                                 fmt::join(stored.sizes(), ", "), fmt::join(expected, ", ")));
    }
    return weight;
  }

  const Architecture& architecture_;
  const TensorSource& source_;
  std::set<std::string> names_;
  std::string head_name_;  // of the unembedding
  std::string prefix_;
  std::set<std::string> used_;
};

/// Rows that are looked at together: a copy of them stays small.
constexpr std::int64_t rows_at_once = 1024;

template <typename T>
bool all_finite(const at::Tensor& rows, bool (*kernel)(const T*, std::int64_t)) {
  constexpr std::int64_t grain = 1 << 16;
  const auto* const numbers = static_cast<const T*>(rows.const_data_ptr());
  std::atomic<bool> finite = true;
  share_loop(rows.numel(), grain, [&](std::int64_t first, std::int64_t end) {
    if (!kernel(numbers + first, end - first)) finite = false;
  });
  return finite;
}

/// Fills the members of one owner from the pieces.
template <typename Owner>
void fill_members(Owner& owner, const std::vector<Member<Owner>>& members, const Pieces& pieces, std::int64_t layer,
                  const at::TensorOptions& options, const WeightStore& store) {
  for (const Member<Owner>& member : members) {
    std::vector<at::Tensor> found;
    for (const Slot slot : member.slots) {
      if (const auto piece = pieces.find({slot, layer}); piece != pieces.end()) found.push_back(piece->second);
    }
    if (!found.empty()) owner.*member.tensor = assemble(found, options, store);
  }
}

}  // namespace

Writer LayerWeights::attention_writer(const BlockSpec& block) const {
  return {output_weight, output_bias, options, block.multiplier,
          norm_of(block.attention_post_norm, attention_post_norm_weight)};
}

Writer LayerWeights::mlp_writer(const BlockSpec& block) const {
  return {down_weight, down_bias, options, block.multiplier, norm_of(block.mlp_post_norm, mlp_post_norm_weight)};
}

WeightStore private_store() {
  return {[](at::IntArrayRef shape, const at::TensorOptions& options) { return at::empty(shape, options); }};
}

std::uint64_t block_bytes(const Weights& weights, const std::function<bool(const at::Tensor&)>& counts) {
  std::uint64_t bytes = 0;
  for (const LayerWeights& layer : weights.layers) {
    for (const Member<LayerWeights>& member : layer_members()) {
      const at::Tensor& weight = layer.*member.tensor;
      if (weight.defined() && (!counts || counts(weight))) bytes += weight.nbytes();
    }
  }
  return bytes;
}

Weights bind_weights(const Architecture& architecture, const nlohmann::json& config, const TensorSource& source,
                     const at::TensorOptions& options, const WeightStore& store) {
  const Family& family = family_of(config, source.where);
  Binder binder(architecture, family, source);
  if (architecture.layers() > static_cast<std::int64_t>(source.names.size())) {
    throw UserError(source.where,
                    fmt::format("config.json says {} layers, but only {} tensors are stored; is the download complete?",
                                architecture.layers(), source.names.size()));
  }
  Pieces pieces;
  const TensorRow& head = row_of(family, Slot::unembedding);
  for (const TensorRow& row : family.tensors) {
    if (!wants_tensor(row, config)) continue;
    if (row.slots.front() == Slot::unembedding && architecture.tied_embeddings) continue;
    if (row.slots.front() == Slot::embedding && architecture.tied_embeddings && !binder.has(row) && binder.has(head)) {
      // Writers that store shared memory once may keep either of its two names.
      binder.take(head, -1, pieces);
      pieces[{Slot::embedding, -1}] = pieces.extract({Slot::unembedding, -1}).mapped();
      continue;
    }
    if (row.slots.front() < layer_slots_begin) {
      binder.take(row, -1, pieces);
      continue;
    }
    for (std::int64_t layer = 0; layer < architecture.layers(); ++layer) binder.take(row, layer, pieces);
  }
  binder.require_all_used(family, architecture.tied_embeddings);
  Weights weights;
  weights.options = options;
  fill_members(weights, model_members(), pieces, -1, options, store);
  if (architecture.tied_embeddings) weights.unembedding = weights.embedding;
  weights.layers.resize(architecture.blocks.size());
  for (std::int64_t layer = 0; layer < architecture.layers(); ++layer) {
    fill_members(weights.layers[static_cast<std::size_t>(layer)], layer_members(), pieces, layer, options, store);
    if (source.forget && store.role == WeightStore::Role::fill) source.forget();  // others have read nothing
  }
  return weights;
}

bool has_own_head(const nlohmann::json& config, const TensorSource& source) {
  const Family& family = family_of(config, source.where);
  const at::Tensor head = source.find(row_of(family, Slot::unembedding).name);
  if (!head.defined()) return false;
  const std::string& embedding = row_of(family, Slot::embedding).name;
  for (const std::string& prefix : family.prefixes) {
    if (const at::Tensor stored = source.find(prefix + embedding); stored.defined()) return !same_bytes(head, stored);
  }
  const at::Tensor stored = source.find(embedding);
  return stored.defined() && !same_bytes(head, stored);
}

bool all_finite(const at::Tensor& numbers) {
  const detail::CpuKernelTable& kernels = detail::cpu_kernels();
  if (numbers.is_cpu() && numbers.is_contiguous()) {
    if (numbers.scalar_type() == at::kFloat) return all_finite(numbers, kernels.float32.all_finite);
    if (numbers.scalar_type() == at::kDouble) return all_finite(numbers, kernels.float64.all_finite);
    if (numbers.scalar_type() == at::kBFloat16) return all_finite(numbers, kernels.bfloat16.all_finite);
  }
  return at::isfinite(numbers.sum(at::kDouble)).item<bool>();  // finite unless an element is not
}

std::string not_finite_text(const at::Tensor& weight) {
  if (weight.dim() == 0) return not_finite_text(weight.view({1}));
  std::int64_t count = 0;
  std::string first;
  for (std::int64_t row = 0; row < weight.size(0); row += rows_at_once) {
    const at::Tensor some = weight.narrow(0, row, std::min(rows_at_once, weight.size(0) - row));
    if (all_finite(some)) continue;
    const at::Tensor places = at::isfinite(some).logical_not().nonzero();  // [found, dimension]
    if (places.size(0) > 0 && count == 0) {
      at::Tensor value = some;
      std::vector<std::int64_t> place;
      for (std::int64_t i = 0; i < weight.dim(); ++i) {
        place.push_back(places[0][i].item<std::int64_t>());
        value = value[place.back()];
      }
      place.front() += row;
      first = fmt::format("[{}] is {}", fmt::join(place, ", "), std::isnan(value.item<double>()) ? "NaN" : "infinite");
    }
    count += places.size(0);
  }
  if (count == 0) return "";
  return fmt::format("{} ({} of {} {} not finite)", first, count, weight.numel(), count == 1 ? "is" : "are");
}

std::string not_finite_text(const Weights& weights) {
  std::string found;
  const auto look = [&found](const at::Tensor& weight, const std::string& name) {
    if (!found.empty() || !weight.defined()) return;
    const std::string text = not_finite_text(weight);
    if (!text.empty()) found = name + " " + text;
  };
  for (const Member<Weights>& member : model_members()) look(weights.*member.tensor, member.name);
  for (std::size_t layer = 0; layer < weights.layers.size(); ++layer) {
    for (const Member<LayerWeights>& member : layer_members()) {
      look(weights.layers[layer].*member.tensor, fmt::format("layer {} {}", layer, member.name));
    }
  }
  return found;
}

}  // namespace tributary
