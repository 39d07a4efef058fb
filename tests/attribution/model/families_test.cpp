// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a config.json is read as. The expected values are those of transformers' configuration classes, worked out by
// hand: each family's building blocks, both spellings of rotary settings, defaults of absent keys, and what is refused.
#include "attribution/model/families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "common/errors.h"

namespace tributary::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// The keys without which a model of the Llama form has no shape.
json llama_form(const std::string& family, const json& more = json::object()) {
  json config = {{"model_type", family},         {"num_hidden_layers", 2},  {"hidden_size", 12},
                 {"num_attention_heads", 3},     {"intermediate_size", 20}, {"vocab_size", 50},
                 {"max_position_embeddings", 64}};
  config.update(more);
  return config;
}

json gpt2_form(const json& more = json::object()) {
  json config = {{"model_type", "gpt2"}, {"n_layer", 2},     {"n_embd", 12},
                 {"n_head", 3},          {"vocab_size", 50}, {"n_positions", 64}};
  config.update(more);
  return config;
}

Architecture described(const json& config) { return describe_architecture(config, "config.json"); }

// What every layer of a description has alike.
NormKind norm_of(const Architecture& a) {
  for (const BlockSpec& block : a.blocks) {
    EXPECT_EQ(block.attention_norm.kind, a.final_norm.kind);
    EXPECT_EQ(block.mlp_norm.kind, a.final_norm.kind);
  }
  return a.final_norm.kind;
}
double norm_epsilon_of(const Architecture& a) {
  for (const BlockSpec& block : a.blocks) {
    EXPECT_EQ(block.attention_norm.epsilon, a.final_norm.epsilon);
    EXPECT_EQ(block.mlp_norm.epsilon, a.final_norm.epsilon);
  }
  return a.final_norm.epsilon;
}
MlpKind mlp_of(const Architecture& a) {
  EXPECT_EQ(a.blocks.back().mlp.kind, a.blocks.front().mlp.kind);
  return a.blocks.back().mlp.kind;
}
Activation activation_of(const Architecture& a) {
  EXPECT_EQ(a.blocks.back().mlp.activation, a.blocks.front().mlp.activation);
  return a.blocks.back().mlp.activation;
}
Rotary rotary_of(const Architecture& a) {
  for (const BlockSpec& block : a.blocks) EXPECT_EQ(block.attention.rotary, 0U);
  return a.rotaries.at(0);
}
std::optional<std::int64_t> window_of(const Architecture& a) {
  EXPECT_EQ(a.blocks.back().attention.window, a.blocks.front().attention.window);
  return a.blocks.back().attention.window;
}

std::string refusal(const json& config) {
  try {
    described(config);
  } catch (const UserError& error) {
    return error.what();
  }
  return "not refused";
}

/// The slots that a config asks tensors for.
std::set<Slot> wanted_slots(const json& config) {
  std::set<Slot> slots;
  for (const TensorRow& row : family_of(config, "config.json").tensors) {
    if (wants_tensor(row, config)) slots.insert(row.slots.begin(), row.slots.end());
  }
  return slots;
}

bool wants_any(const json& config, const std::set<Slot>& slots) {
  const std::set<Slot> wanted = wanted_slots(config);
  return std::any_of(slots.begin(), slots.end(), [&wanted](Slot slot) { return wanted.contains(slot); });
}

bool wants_all(const json& config, const std::set<Slot>& slots) {
  const std::set<Slot> wanted = wanted_slots(config);
  return std::includes(wanted.begin(), wanted.end(), slots.begin(), slots.end());
}

const std::set<Slot> qkv_biases = {Slot::query_bias, Slot::key_bias, Slot::value_bias};
const std::set<Slot> mlp_biases = {Slot::gate_bias, Slot::up_bias, Slot::down_bias};

TEST(Families, LlamasBlocks) {
  const Architecture a = described(llama_form("llama", {{"num_key_value_heads", 1}, {"rms_norm_eps", 1e-3}}));
  EXPECT_EQ(a.family, "llama");
  EXPECT_EQ(a.layers(), 2);
  EXPECT_EQ(a.d_model, 12);
  EXPECT_EQ(a.heads, 3);
  EXPECT_EQ(a.kv_heads, 1);
  EXPECT_EQ(a.d_head, 4);
  EXPECT_EQ(a.neurons, 20);
  EXPECT_EQ(a.vocabulary, 50);
  EXPECT_EQ(a.max_positions, 64);
  EXPECT_EQ(norm_of(a), NormKind::rms);
  EXPECT_EQ(norm_epsilon_of(a), 1e-3);
  EXPECT_EQ(mlp_of(a), MlpKind::gated);
  EXPECT_FALSE(a.learned_positions);
  EXPECT_FALSE(a.tied_embeddings);
}

TEST(Families, Gpt2sBlocks) {
  const Architecture a = described(gpt2_form({{"layer_norm_epsilon", 1e-3}, {"n_inner", 20}}));
  EXPECT_EQ(a.family, "gpt2");
  EXPECT_EQ(a.layers(), 2);
  EXPECT_EQ(a.d_model, 12);
  EXPECT_EQ(a.heads, 3);
  EXPECT_EQ(a.kv_heads, 3);
  EXPECT_EQ(a.d_head, 4);
  EXPECT_EQ(a.neurons, 20);
  EXPECT_EQ(a.max_positions, 64);
  EXPECT_EQ(norm_of(a), NormKind::layer);
  EXPECT_EQ(norm_epsilon_of(a), 1e-3);
  EXPECT_EQ(mlp_of(a), MlpKind::plain);
  EXPECT_TRUE(a.learned_positions);
  EXPECT_TRUE(a.rotaries.empty());
  EXPECT_TRUE(a.tied_embeddings);
}

TEST(Families, AbsentKeysHaveTheDefaultsOfTheirFamily) {
  const Architecture llama = described(llama_form("llama"));
  EXPECT_EQ(llama.kv_heads, 3);  // as many as heads
  EXPECT_EQ(norm_epsilon_of(llama), 1e-6);
  EXPECT_EQ(activation_of(llama), Activation::silu);
  EXPECT_EQ(rotary_of(llama).theta, 10000);
  EXPECT_EQ(rotary_of(llama).scaling, RotaryScaling::none);
  const Architecture gpt2 = described(gpt2_form());
  EXPECT_EQ(gpt2.neurons, 48);  // four times n_embd
  EXPECT_EQ(norm_epsilon_of(gpt2), 1e-5);
  EXPECT_EQ(activation_of(gpt2), Activation::gelu_tanh);
}

TEST(Families, ANullIsAnAbsentKey) {
  const Architecture a = described(llama_form(
      "llama",
      {{"num_key_value_heads", nullptr}, {"head_dim", nullptr}, {"rope_scaling", nullptr}, {"hidden_act", nullptr}}));
  EXPECT_EQ(a.kv_heads, 3);
  EXPECT_EQ(a.d_head, 4);
  EXPECT_EQ(rotary_of(a).scaling, RotaryScaling::none);
  EXPECT_EQ(activation_of(a), Activation::silu);
  EXPECT_EQ(described(gpt2_form({{"n_inner", nullptr}})).neurons, 48);
}

TEST(Families, HeadsMayBeWiderOrNarrowerThanTheStream) {
  EXPECT_EQ(described(llama_form("llama", {{"head_dim", 10}})).d_head, 10);
  EXPECT_EQ(described(llama_form("llama", {{"head_dim", 2}, {"hidden_size", 13}})).d_head, 2);
}

TEST(Families, EmbeddingsAreTiedAsTheConfigSays) {
  EXPECT_TRUE(described(llama_form("llama", {{"tie_word_embeddings", true}})).tied_embeddings);
  EXPECT_FALSE(described(gpt2_form({{"tie_word_embeddings", false}})).tied_embeddings);
}

TEST(Families, EveryActivationByEachOfItsNames) {
  const std::map<std::string, Activation> names = {
      {"silu", Activation::silu},          {"swish", Activation::silu}, {"gelu", Activation::gelu_erf},
      {"gelu_new", Activation::gelu_tanh}, {"relu", Activation::relu},  {"gelu_pytorch_tanh", Activation::gelu_tanh},
  };
  for (const auto& [name, activation] : names) {
    EXPECT_EQ(activation_of(described(llama_form("llama", {{"hidden_act", name}}))), activation) << name;
    EXPECT_EQ(activation_of(described(gpt2_form({{"activation_function", name}}))), activation) << name;
  }
  EXPECT_THAT(refusal(llama_form("llama", {{"hidden_act", "mish"}})),
              AllOf(HasSubstr("'hidden_act' is 'mish'"), HasSubstr("gelu, gelu_new"), HasSubstr("silu")));
  EXPECT_THAT(refusal(gpt2_form({{"activation_function", "mish"}})), HasSubstr("'activation_function' is 'mish'"));
}

TEST(Families, AWindowIsMistralsAlone) {
  EXPECT_EQ(window_of(described(llama_form("mistral", {{"sliding_window", 7}}))), 7);
  EXPECT_EQ(window_of(described(llama_form("mistral", {{"sliding_window", nullptr}}))), std::nullopt);
  EXPECT_EQ(window_of(described(llama_form("llama", {{"sliding_window", 7}}))), std::nullopt);
  // Qwen2 stores a window that it does not use unless told to.
  EXPECT_EQ(window_of(described(llama_form("qwen2", {{"sliding_window", 7}, {"use_sliding_window", false}}))),
            std::nullopt);
  // An absent key is transformers' default; what is no shorter than the longest prompt is no window.
  EXPECT_EQ(window_of(described(llama_form("mistral", {{"max_position_embeddings", 8192}}))), 4096);
  EXPECT_EQ(window_of(described(llama_form("mistral"))), std::nullopt);
  EXPECT_EQ(window_of(described(llama_form("mistral", {{"sliding_window", 64}}))), std::nullopt);
}

TEST(Families, Qwen2sWindowMayBeThatOfNoBlock) {
  const auto qwen2 = [](const json& more) {
    json config = llama_form("qwen2", {{"use_sliding_window", true}, {"sliding_window", 7}, {"max_window_layers", 2}});
    config.update(more);
    return config;
  };
  EXPECT_EQ(window_of(described(qwen2(json::object()))), std::nullopt);
  EXPECT_EQ(window_of(described(qwen2({{"max_window_layers", nullptr}}))), std::nullopt);  // 28
  EXPECT_EQ(window_of(described(qwen2({{"max_window_layers", 0}, {"sliding_window", nullptr}}))), std::nullopt);
  EXPECT_EQ(window_of(described(qwen2({{"max_window_layers", 0}, {"sliding_window", 64}}))), std::nullopt);
  const json full = json::array({"full_attention", "full_attention"});
  EXPECT_EQ(window_of(described(qwen2({{"max_window_layers", 0}, {"layer_types", full}}))), std::nullopt);
  for (const int layers : {0, 1}) {
    EXPECT_THAT(refusal(qwen2({{"max_window_layers", layers}})),
                AllOf(HasSubstr("'use_sliding_window' is true"), HasSubstr("'max_window_layers'")));
  }
}

TEST(Families, LayerTypesMustSayOfEveryLayerWhatTheFamilyDoes) {
  const json full = json::array({"full_attention", "full_attention"});
  const json mixed = json::array({"full_attention", "sliding_attention"});
  const json sliding = json::array({"sliding_attention", "sliding_attention"});
  for (const char* const family : {"llama", "qwen2", "mistral"}) {
    EXPECT_EQ(window_of(described(llama_form(family, {{"layer_types", full}, {"sliding_window", nullptr}}))),
              std::nullopt);
    for (const json& types : {mixed, json(3), json::array({"full_attention", 3})}) {
      EXPECT_THAT(refusal(llama_form(family, {{"layer_types", types}})), HasSubstr("'layer_types' does not say"));
    }
  }
  EXPECT_THAT(refusal(llama_form("llama", {{"layer_types", sliding}})), HasSubstr("say full_attention of every layer"));
  EXPECT_EQ(window_of(described(llama_form("mistral", {{"layer_types", sliding}, {"sliding_window", 7}}))), 7);
  EXPECT_THAT(refusal(llama_form("mistral", {{"layer_types", full}, {"sliding_window", 7}})),
              HasSubstr("say sliding_attention of every layer"));
}

TEST(Families, QuantisedWeightsAreNamedFirst) {
  json config = llama_form("llama", {{"quantization_config", {{"quant_method", "gptq"}, {"bits", 4}}}});
  config.erase("num_hidden_layers");
  EXPECT_THAT(refusal(config), AllOf(HasSubstr("'quantization_config' says that the weights are quantised by gptq"),
                                     HasSubstr("take the model that it was made from"), Not(HasSubstr("dequantize"))));
  const auto by = [](const char* method) {
    return refusal(llama_form("llama", {{"quantization_config", {{"quant_method", method}}}}));
  };
  for (const char* const method : {"bitsandbytes", "higgs"}) EXPECT_THAT(by(method), HasSubstr("dequantize()"));
  EXPECT_THAT(by("mxfp4"), HasSubstr("quantization_config=Mxfp4Config(dequantize=True)"));
  EXPECT_THAT(by("fp8"), HasSubstr("quantization_config=FineGrainedFP8Config(dequantize=True)"));
  EXPECT_THAT(refusal(gpt2_form({{"compression_config", "?"}})), HasSubstr("'compression_config' says"));
  EXPECT_EQ(refusal(llama_form("llama", {{"quantization_config", nullptr}})), "not refused");
}

// The spelling of transformers 5, and that of nearly every folder on the Hub: the same models.

TEST(Families, ThetaInEitherSpelling) {
  EXPECT_EQ(rotary_of(described(llama_form("llama", {{"rope_theta", 5e5}}))).theta, 5e5);
  const json block = {{"rope_type", "default"}, {"rope_theta", 5e5}};
  EXPECT_EQ(rotary_of(described(llama_form("llama", {{"rope_parameters", block}}))).theta, 5e5);
  EXPECT_EQ(rotary_of(described(llama_form("llama", {{"rope_theta", 10}, {"rope_parameters", block}}))).theta, 5e5);
}

TEST(Families, LinearScalingInEverySpelling) {
  const std::vector<json> spellings = {
      {{"rope_theta", 5e5}, {"rope_scaling", {{"type", "linear"}, {"factor", 4.0}}}},
      {{"rope_theta", 5e5}, {"rope_scaling", {{"rope_type", "linear"}, {"factor", 4.0}}}},
      {{"rope_parameters", {{"rope_type", "linear"}, {"rope_theta", 5e5}, {"factor", 4.0}}}},
  };
  for (const json& spelling : spellings) {
    const Rotary rotary = rotary_of(described(llama_form("llama", spelling)));
    EXPECT_EQ(rotary.scaling, RotaryScaling::linear) << spelling;
    EXPECT_EQ(rotary.factor, 4) << spelling;
    EXPECT_EQ(rotary.theta, 5e5) << spelling;
  }
}

TEST(Families, Llama3ScalingInEitherSpelling) {
  const json scaling = {{"rope_type", "llama3"},
                        {"factor", 8.0},
                        {"low_freq_factor", 2.0},
                        {"high_freq_factor", 5.0},
                        {"original_max_position_embeddings", 8192}};
  json parameters = scaling;
  parameters["rope_theta"] = 5e5;
  const std::vector<json> spellings = {{{"rope_theta", 5e5}, {"rope_scaling", scaling}},
                                       {{"rope_parameters", parameters}}};
  for (const json& spelling : spellings) {
    const Rotary rotary = rotary_of(described(llama_form("llama", spelling)));
    EXPECT_EQ(rotary.scaling, RotaryScaling::llama3) << spelling;
    EXPECT_EQ(rotary.theta, 5e5) << spelling;
    EXPECT_EQ(rotary.factor, 8) << spelling;
    EXPECT_EQ(rotary.low_frequency_factor, 2) << spelling;
    EXPECT_EQ(rotary.high_frequency_factor, 5) << spelling;
    EXPECT_EQ(rotary.original_positions, 8192) << spelling;
  }
}

TEST(Families, RotarySettingsThatAreRefused) {
  const auto scaled = [](const json& block) { return llama_form("llama", {{"rope_scaling", block}}); };
  EXPECT_THAT(refusal(scaled({{"rope_type", "yarn"}, {"factor", 4.0}})),
              AllOf(HasSubstr("config.json: rope_scaling"), HasSubstr("'yarn'"), HasSubstr("default, linear, llama3")));
  EXPECT_THAT(refusal(scaled("linear")), HasSubstr("'rope_scaling' must be an object"));
  EXPECT_THAT(refusal(scaled({{"type", 3}})), HasSubstr("must be a string, not 3"));
  EXPECT_THAT(refusal(scaled({{"type", "linear"}, {"factor", 0}})), HasSubstr("'factor' must be above 0"));
  EXPECT_THAT(refusal(scaled({{"type", "linear"}, {"factor", "2"}})), HasSubstr("'factor' must be a number"));
  EXPECT_THAT(refusal(scaled({{"rope_type", "llama3"}, {"factor", 8.0}})),
              HasSubstr("'original_max_position_embeddings' is missing"));
  EXPECT_THAT(refusal(scaled({{"rope_type", "llama3"},
                              {"low_freq_factor", 4.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 16}})),
              HasSubstr("'high_freq_factor' must be above low_freq_factor"));
  EXPECT_THAT(refusal(llama_form("llama", {{"rope_theta", 0}})), HasSubstr("'rope_theta' must be above 0"));
  EXPECT_THAT(refusal(llama_form("llama", {{"rope_parameters", {{"full_attention", {{"rope_theta", 1e6}}}}}})),
              HasSubstr("settings for each kind of layer"));
}

TEST(Families, HeadsOfWhichAPartTurnsAreRefused) {
  EXPECT_EQ(refusal(llama_form("llama", {{"partial_rotary_factor", 1.0}})), "not refused");
  EXPECT_THAT(refusal(llama_form("llama", {{"partial_rotary_factor", 0.5}})),
              HasSubstr("'partial_rotary_factor' is 0.5"));
  for (const char* const block : {"rope_parameters", "rope_scaling"}) {
    const json inner = {{"rope_type", "default"}, {"partial_rotary_factor", 0.25}};
    EXPECT_THAT(refusal(llama_form("qwen2", {{block, inner}})), HasSubstr("'partial_rotary_factor' is 0.25"));
  }
}

TEST(Families, BothSpellingsOfRotarySettingsMustAgree) {
  const json linear = {{"rope_type", "linear"}, {"factor", 4.0}};
  json parameters = linear;
  parameters["rope_theta"] = 5e5;
  const json both = {{"rope_theta", 5e5}, {"rope_scaling", linear}, {"rope_parameters", parameters}};
  EXPECT_EQ(rotary_of(described(llama_form("llama", both))).factor, 4);
  json differ = both;
  differ["rope_scaling"]["factor"] = 8.0;
  EXPECT_THAT(refusal(llama_form("llama", differ)), HasSubstr("'rope_parameters' say different things"));
  differ = both;
  differ.erase("rope_theta");
  EXPECT_THAT(refusal(llama_form("llama", differ)), HasSubstr("say different things"));
}

TEST(Families, BiasesThatAConfigSwitchesOn) {
  const std::set<Slot> output = {Slot::output_bias};
  const json plain = llama_form("llama");
  EXPECT_FALSE(wants_any(plain, qkv_biases) || wants_any(plain, output) || wants_any(plain, mlp_biases));
  const json attention = llama_form("llama", {{"attention_bias", true}, {"mlp_bias", false}});
  EXPECT_TRUE(wants_all(attention, qkv_biases) && wants_all(attention, output));
  EXPECT_FALSE(wants_any(attention, mlp_biases));
  const json mlp = llama_form("llama", {{"mlp_bias", true}});
  EXPECT_TRUE(wants_all(mlp, mlp_biases));
  EXPECT_FALSE(wants_any(mlp, qkv_biases) || wants_any(mlp, output));
  // Families that have them always or never, whatever the config holds.
  const json qwen = llama_form("qwen2", {{"attention_bias", false}});
  EXPECT_TRUE(wants_all(qwen, qkv_biases));
  EXPECT_FALSE(wants_any(qwen, output) || wants_any(qwen, mlp_biases));
  const json mistral = llama_form("mistral", {{"attention_bias", true}, {"mlp_bias", true}});
  EXPECT_FALSE(wants_any(mistral, qkv_biases) || wants_any(mistral, mlp_biases));
  EXPECT_TRUE(wants_all(gpt2_form(), qkv_biases) && wants_all(gpt2_form(), output));
  EXPECT_TRUE(wants_all(gpt2_form(), {Slot::up_bias, Slot::down_bias}));
  EXPECT_THAT(refusal(llama_form("llama", {{"attention_bias", "true"}})),
              HasSubstr("'attention_bias' must be true or"));
  EXPECT_THAT(refusal(llama_form("llama", {{"mlp_bias", 1}})), HasSubstr("'mlp_bias' must be true or false"));
}

TEST(Families, ModelsThatAreNotDescribedHere) {
  EXPECT_THAT(known_families(), ::testing::ElementsAre("llama", "mistral", "qwen2", "gpt2"));
  EXPECT_THAT(refusal(llama_form("mamba")),
              AllOf(HasSubstr("config.json"), HasSubstr("'mamba'"), HasSubstr("llama, mistral, qwen2, gpt2")));
  for (const json& nameless : {json::object(), json({{"model_type", 3}}), json::array()}) {
    EXPECT_THAT(refusal(nameless), HasSubstr("no model_type")) << nameless;
  }
}

TEST(Families, OptionsThatWeComputeWithOneValueOnly) {
  EXPECT_THAT(refusal(gpt2_form({{"scale_attn_weights", false}})),
              AllOf(HasSubstr("'scale_attn_weights' is false"), HasSubstr("only true")));
  EXPECT_THAT(refusal(gpt2_form({{"scale_attn_by_inverse_layer_idx", true}})),
              HasSubstr("'scale_attn_by_inverse_layer_idx' is true"));
  EXPECT_THAT(refusal(gpt2_form({{"scale_attn_weights", "yes"}})), HasSubstr("must be true or false, not \"yes\""));
}

TEST(Families, SizesThatAreMissingOrCannotBe) {
  for (const std::string key : {"num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size",
                                "vocab_size", "max_position_embeddings"}) {
    json config = llama_form("llama");
    config.erase(key);
    EXPECT_THAT(refusal(config), HasSubstr("'" + key + "' is missing"));
    for (const json& wrong : {json(0), json(-1), json(1.5), json("12"), json((1LL << 31) + 1)}) {
      config[key] = wrong;
      EXPECT_THAT(refusal(config), HasSubstr("'" + key + "' must be a positive whole number, not " + wrong.dump()));
    }
  }
  EXPECT_THAT(refusal(llama_form("llama", {{"hidden_size", 13}})),
              AllOf(HasSubstr("'num_attention_heads' does not divide hidden_size"), HasSubstr("head_dim")));
  EXPECT_THAT(refusal(llama_form("llama", {{"num_key_value_heads", 2}})),
              HasSubstr("'num_key_value_heads' must divide the number of heads"));
  EXPECT_THAT(refusal(llama_form("llama", {{"head_dim", 5}})), HasSubstr("'head_dim' must be even"));
  EXPECT_EQ(described(gpt2_form({{"n_embd", 15}})).d_head, 5);  // learned positions need no pairs
  EXPECT_THAT(refusal(llama_form("llama", {{"rms_norm_eps", "small"}})), HasSubstr("'rms_norm_eps' must be a number"));
  EXPECT_THAT(refusal(llama_form("llama", {{"tie_word_embeddings", 1}})),
              HasSubstr("'tie_word_embeddings' must be true or false"));
}

}  // namespace
}  // namespace tributary::testing
