// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a config.json is read as. The expected values are those of transformers' configuration classes, worked out by
// hand: each family's building blocks, defaults of absent keys, and what is refused.
#include "attribution/model/families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "common/errors.h"
#include "tests/attribution/model/config_forms.h"

namespace tributary::testing {
namespace {

using namespace configs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

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
  EXPECT_TRUE(described(llama_form("smollm3")).tied_embeddings);
  for (const char* const family : {"mistral", "qwen2", "qwen3", "phi3", "granite", "olmo2", "olmo3"}) {
    EXPECT_FALSE(described(llama_form(family)).tied_embeddings) << family;
  }
}

TEST(Families, EveryActivationByEachOfItsNames) {
  const std::map<std::string, Activation> names = {
      {"silu", Activation::silu},
      {"swish", Activation::silu},
      {"gelu", Activation::gelu_erf},
      {"gelu_python", Activation::gelu_erf},
      {"gelu_new", Activation::gelu_tanh},
      {"gelu_fast", Activation::gelu_tanh},
      {"gelu_accurate", Activation::gelu_tanh},
      {"gelu_python_tanh", Activation::gelu_tanh},
      {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"quick_gelu", Activation::gelu_quick},
      {"relu", Activation::relu},
  };
  for (const auto& [name, activation] : names) {
    EXPECT_EQ(activation_of(described(llama_form("llama", {{"hidden_act", name}}))), activation) << name;
    EXPECT_EQ(activation_of(described(gpt2_form({{"activation_function", name}}))), activation) << name;
  }
  EXPECT_THAT(refusal(llama_form("llama", {{"hidden_act", "mish"}})),
              AllOf(HasSubstr("'hidden_act' is 'mish'"), HasSubstr("gelu, gelu_accurate"), HasSubstr("silu")));
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
  EXPECT_THAT(known_families(), ElementsAre("llama", "mistral", "qwen2", "qwen3", "phi3", "smollm3", "granite", "olmo2",
                                            "olmo3", "gemma", "gemma2", "gemma3_text", "gpt2", "gpt_neox"));
  EXPECT_THAT(refusal(llama_form("mamba")),
              AllOf(HasSubstr("config.json"), HasSubstr("'mamba'"), HasSubstr("llama, mistral, qwen2, qwen3")));
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
