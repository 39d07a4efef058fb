// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Rotary settings of a config.json. Which key counts, what holds where one is missing and what is refused follow
// transformers 5 (modeling_rope_utils, and the families' own convert_rope_params_to_dict).
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "attribution/model/detail/config_reader.h"
#include "common/text.h"

namespace tributary::detail {
namespace {

using nlohmann::json;

constexpr const char* newer_key = "rope_parameters";
constexpr const char* older_key = "rope_scaling";
constexpr const char* theta_name = "rope_theta";
constexpr const char* part_name = "partial_rotary_factor";

const std::map<std::string, RotaryScaling>& scalings() {
  static const std::map<std::string, RotaryScaling> known = {
      {"default", RotaryScaling::none}, {"linear", RotaryScaling::linear},     {"dynamic", RotaryScaling::dynamic},
      {"yarn", RotaryScaling::yarn},    {"longrope", RotaryScaling::longrope}, {"llama3", RotaryScaling::llama3},
  };
  return known;
}

double positive_or(const ConfigReader& reader, const std::string& key, double fallback) {
  const double value = reader.number_or(key, fallback);
  if (!(value > 0)) reader.fail(key, "must be above 0");
  return value;
}

double positive(const ConfigReader& reader, const std::string& key) {
  if (reader.find(key) == nullptr) reader.fail(key, "is missing (the rotary scaling needs it)");
  return positive_or(reader, key, 1);
}

/// One reading of a config: its settings of a kind of layer under one of the two keys.
class RotarySettings {
 public:
  RotarySettings(const ConfigReader& config, const RotaryKeys& keys, const std::string& key, const std::string& kind)
      : config_(config),
        keys_(keys),
        slides_(keys.sliding.has_value() && kind == sliding_attention),
        by_kind_(keys.sliding.has_value() && key == newer_key),
        inner_(settings_of(key, kind), config.where() + ": " + key + (by_kind_ ? "." + kind : "")) {}

  [[nodiscard]] Rotary read() {
    rotary_.theta = theta();
    rotary_.dims = turned_dims();
    rotary_.scaling = scaling();
    switch (rotary_.scaling) {
      case RotaryScaling::none:
        break;
      case RotaryScaling::linear:
        rotary_.factor = positive(inner_, "factor");
        break;
      case RotaryScaling::dynamic:
        dynamic();
        break;
      case RotaryScaling::yarn:
        yarn();
        break;
      case RotaryScaling::longrope:
        longrope();
        break;
      case RotaryScaling::llama3:
        llama3();
        break;
    }
    return rotary_;
  }

 private:
  /// Empty where there are none.
  [[nodiscard]] const json& settings_of(const std::string& key, const std::string& kind) const {
    static const json none = json::object();
    const json* block = config_.find(key);
    if (block == nullptr) return none;
    if (!block->is_object()) config_.fail(key, "must be an object, not " + block->dump());
    const auto for_a_kind = [](const json& setting) { return setting.is_object(); };
    if (!by_kind_) {
      if (std::any_of(block->begin(), block->end(), for_a_kind)) {
        config_.fail(key, "has settings for each kind of layer, which this family does not read there");
      }
      return slides_ ? none : *block;
    }
    for (const auto& [name, setting] : block->items()) {
      if (!setting.is_object() && !setting.is_null()) {
        config_.fail(key, "must have settings for each kind of layer, and holds '" + name + "' beside them");
      }
    }
    const auto found = block->find(kind);
    return found == block->end() || found->is_null() ? none : *found;
  }

  [[nodiscard]] double theta() const {
    const std::string& key = slides_ ? keys_.sliding->theta_key : keys_.theta_key;
    const double fallback = slides_ ? keys_.sliding->theta : keys_.theta;
    const double outer = key.empty() ? fallback : config_.number_or(key, fallback);
    if (inner_.find(theta_name) != nullptr) return positive_or(inner_, theta_name, outer);
    if (!(outer > 0)) config_.fail(key, "must be above 0");
    // Families that rename the key, or do not read it for one kind of layer.
    const bool renamed = slides_ ? key.empty() : key != theta_name;
    if (renamed && config_.number_or(theta_name, outer) != outer) {
      config_.fail(theta_name, fmt::format("is {}, where transformers 5 takes {}; say in {} which it is",
                                           config_.number_or(theta_name, outer), outer, newer_key));
    }
    return outer;
  }

  [[nodiscard]] std::int64_t d_head() const {
    const json* given = config_.find("head_dim");
    return given != nullptr ? config_.size("head_dim")
                            : config_.size("hidden_size") / config_.size("num_attention_heads");
  }
  /// The dimensions that turn, where they may be all.
  [[nodiscard]] std::int64_t dims() const { return rotary_.dims == 0 ? d_head() : rotary_.dims; }

  /// 0: all.
  [[nodiscard]] std::int64_t turned_dims() const {
    const std::string outer_key = keys_.part_key.empty() ? part_name : keys_.part_key;
    const bool inside = inner_.find(part_name) != nullptr;
    const double part = inside ? inner_.number_or(part_name, 1) : config_.number_or(outer_key, keys_.part);
    const auto refuse = [&](const std::string& text) {
      if (inside) inner_.fail(part_name, text);
      config_.fail(outer_key, text);
    };
    if (!inside && config_.number_or(part_name, part) != part) {
      config_.fail(part_name, fmt::format("is {}, and '{}' {}", config_.number_or(part_name, part), outer_key, part));
    }
    if (part == 1) return 0;
    if (keys_.part_key.empty()) refuse(fmt::format("is {}, and this family turns whole heads (1)", part));
    if (!(part > 0 && part < 1)) refuse("must be above 0 and at most 1");
    const auto turned = static_cast<std::int64_t>(static_cast<double>(d_head()) * part);
    if (turned < 2 || turned % 2 != 0) {
      refuse(fmt::format("lets {} of a head's {} dimensions turn, and they turn in pairs", turned, d_head()));
    }
    return turned;
  }

  [[nodiscard]] RotaryScaling scaling() const {
    const std::string type = type_in("rope_type", type_in("type", "default"));
    if (inner_.find("type") != nullptr && type_in("type", type) != type) {
      inner_.fail("type", "and 'rope_type' say different things");
    }
    const auto found = scalings().find(type);
    const bool had = keys_.types.empty() || std::count(keys_.types.begin(), keys_.types.end(), type) != 0;
    if (found == scalings().end() || !had) {
      std::vector<std::string> known = keys_.types;
      if (known.empty()) {
        for (const auto& [name, one] : scalings()) known.push_back(name);
      }
      inner_.fail("rope_type", "is '" + type + "', a rotary scaling we do not compute" +
                                   (keys_.types.empty() ? "" : " in this family") + "; known ones: " + join(known));
    }
    return found->second;
  }

  [[nodiscard]] std::string type_in(const std::string& key, const std::string& fallback) const {
    const std::string word = inner_.word_or(key, fallback);
    const auto renamed = keys_.renamed_types.find(word);
    return renamed == keys_.renamed_types.end() ? word : renamed->second;
  }

  /// Phi-3's place for it is beside the settings, and that is what counts.
  [[nodiscard]] std::int64_t original_positions() const {
    const std::string key = "original_max_position_embeddings";
    // Settings for each kind of layer have all that counts inside.
    const std::int64_t outer = keys_.sliding ? 0 : config_.size_or(key, keys_.original_positions);
    const std::int64_t inner = inner_.size_or(key, outer);
    if (outer != 0 && inner != outer) {
      inner_.fail(key, fmt::format("is {}, and {} beside the settings; versions of transformers disagree on which of "
                                   "them counts",
                                   inner, outer));
    }
    return inner != 0 ? inner : config_.size("max_position_embeddings");
  }

  /// How far the context was stretched, where no factor says it.
  [[nodiscard]] double ratio_of_positions() const {
    return static_cast<double>(config_.size("max_position_embeddings")) /
           static_cast<double>(rotary_.original_positions);
  }

  void dynamic() {
    rotary_.factor = positive(inner_, "factor");
    rotary_.original_positions = config_.size("max_position_embeddings");
    if (dims() < 4) inner_.fail("rope_type", "is 'dynamic', which needs heads of which more than 2 dimensions turn");
  }

  void llama3() {
    rotary_.low_frequency_factor = positive(inner_, "low_freq_factor");
    rotary_.high_frequency_factor = positive(inner_, "high_freq_factor");
    if (!(rotary_.high_frequency_factor > rotary_.low_frequency_factor)) {
      inner_.fail("high_freq_factor", "must be above low_freq_factor");
    }
    rotary_.factor = positive(inner_, "factor");
    rotary_.original_positions = original_positions();
  }

  void yarn() {
    rotary_.original_positions = original_positions();
    rotary_.factor = inner_.is_null("factor") ? ratio_of_positions() : positive(inner_, "factor");
    rotary_.beta_fast = or_where_zero("beta_fast", 32);
    rotary_.beta_slow = or_where_zero("beta_slow", 1);
    rotary_.truncate = !inner_.is_null("truncate") && inner_.boolean_or("truncate", true);
    if (by_kind_ && !rotary_.truncate) {
      inner_.fail("truncate", "is false, which transformers does not read in settings for each kind of layer");
    }
    if (!(rotary_.theta > 1)) inner_.fail("rope_type", "is 'yarn', which needs a rope_theta above 1");
    const auto gain = [this](double scale) {
      return rotary_.factor <= 1 ? 1 : 0.1 * scale * std::log(rotary_.factor) + 1;
    };
    const double scale = at_least_zero("mscale");
    const double scale_of_all = at_least_zero("mscale_all_dim");
    const double by_default = scale != 0 && scale_of_all != 0 ? gain(scale) / gain(scale_of_all) : gain(1);
    rotary_.attention_factor = positive_or(inner_, "attention_factor", by_default);
  }

  void longrope() {
    rotary_.original_positions = original_positions();
    rotary_.short_factors = factors("short_factor");
    rotary_.long_factors = factors("long_factor");
    const double factor = positive_or(inner_, "factor", ratio_of_positions());
    const bool given = inner_.find("attention_factor") != nullptr;
    if (!given && rotary_.original_positions == 1) {
      inner_.fail("attention_factor", "is missing (it does not follow from 1 original position)");
    }
    const double by_default =
        factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(rotary_.original_positions)));
    rotary_.attention_factor = given ? positive(inner_, "attention_factor") : by_default;
  }

  /// One for each pair of dimensions.
  [[nodiscard]] std::vector<double> factors(const std::string& key) const {
    const json* list = inner_.find(key);
    if (list == nullptr) inner_.fail(key, "is missing (the rotary scaling needs it)");
    const auto wanted = static_cast<std::size_t>(dims() / 2);
    const auto above_zero = [](const json& one) { return one.is_number() && one.get<double>() > 0; };
    if (!list->is_array() || list->size() != wanted || !std::all_of(list->begin(), list->end(), above_zero)) {
      inner_.fail(
          key, fmt::format("must be a list of {} numbers above 0, one for each pair of dimensions that turns", wanted));
    }
    return list->get<std::vector<double>>();
  }

  [[nodiscard]] double at_least_zero(const std::string& key) const {
    const double value = inner_.number_or(key, 0);
    if (!(value >= 0)) inner_.fail(key, "must not be below 0");
    return value;
  }

  [[nodiscard]] double or_where_zero(const std::string& key, double fallback) const {
    const double value = at_least_zero(key);
    return value == 0 ? fallback : value;
  }

  const ConfigReader& config_;
  const RotaryKeys& keys_;
  bool slides_, by_kind_;
  ConfigReader inner_;
  Rotary rotary_;
};

}  // namespace

Rotary rotary_of(const ConfigReader& config, const RotaryKeys& keys, const std::string& kind) {
  const bool newer = config.find(newer_key) != nullptr;
  Rotary rotary = RotarySettings(config, keys, newer ? newer_key : older_key, kind).read();
  if (newer && config.find(older_key) != nullptr && RotarySettings(config, keys, older_key, kind).read() != rotary) {
    config.fail(older_key,
                "and 'rope_parameters' say different things (versions of transformers disagree on which of them "
                "counts); keep the one that the model was trained with");
  }
  return rotary;
}

}  // namespace tributary::detail
