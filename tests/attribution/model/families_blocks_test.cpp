// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What distinguishes the blocks of one family from those of another, as transformers' configuration classes have it:
// windows, norms, caps, multipliers, rotary positions. Worked out by hand.
#include "attribution/model/families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/attribution/model/config_forms.h"

namespace tributary::testing {
namespace {

using namespace configs;
using nlohmann::json;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// The window of each block, 0 for none.
std::vector<std::int64_t> windows_of(const json& config) {
  std::vector<std::int64_t> windows;
  for (const BlockSpec& block : described(config).blocks) windows.push_back(block.attention.window.value_or(0));
  return windows;
}

const json full = "full_attention", sliding = "sliding_attention";

/// A short form of any family: where a family has its own number of heads, it is llama_form's, and what turns is even.
json short_form(const std::string& family, const json& more = json::object()) {
  json config = llama_form(family, {{"num_key_value_heads", 3}, {"rotary_pct", 0.5}});
  config.update(more);
  return config;
}

TEST(Families, QwensWindowsBeginAtABlock) {
  const auto qwen = [](const char* family, const json& more) {
    json config = llama_form(family, {{"use_sliding_window", true}, {"sliding_window", 7}, {"max_window_layers", 1}});
    config.update(more);
    return windows_of(config);
  };
  for (const char* const family : {"qwen2", "qwen3"}) {
    EXPECT_THAT(qwen(family, json::object()), ElementsAre(0, 7));
    EXPECT_THAT(qwen(family, {{"max_window_layers", 0}}), ElementsAre(7, 7));
    EXPECT_THAT(qwen(family, {{"max_window_layers", 2}}), ElementsAre(0, 0));
    EXPECT_THAT(qwen(family, {{"max_window_layers", 0}, {"sliding_window", 64}}), ElementsAre(0, 0)) << "no window";
    EXPECT_THAT(qwen(family, {{"use_sliding_window", false}}), ElementsAre(0, 0));
    EXPECT_THAT(qwen(family, {{"layer_types", {sliding, full}}}), ElementsAre(7, 0)) << "it counts where it is given";
  }
}

TEST(Families, WindowsInEveryOtherBlock) {
  const auto layers = [](const char* family, int count, const json& more = json::object()) {
    json config = short_form(family, {{"num_hidden_layers", count}, {"sliding_window", 7}});
    config.update(more);
    return windows_of(config);
  };
  EXPECT_THAT(layers("gemma2", 4), ElementsAre(7, 0, 7, 0));
  EXPECT_THAT(layers("gemma3_text", 7), ElementsAre(7, 7, 7, 7, 7, 0, 7));
  EXPECT_THAT(layers("gemma3_text", 3, {{"sliding_window_pattern", 2}}), ElementsAre(7, 0, 7));
  EXPECT_THAT(layers("olmo3", 5), ElementsAre(7, 7, 7, 0, 7));
  EXPECT_THAT(layers("phi3", 2), ElementsAre(7, 7));
  EXPECT_THAT(layers("olmo2", 2), ElementsAre(0, 0));
}

TEST(Families, WindowsThatAConfigDoesNotName) {
  const auto windows = [](const char* family, const json& more = json::object()) {
    json config = short_form(family, {{"num_hidden_layers", 30}, {"max_position_embeddings", 8192}});
    config.update(more);
    return windows_of(config);
  };
  for (const char* const family : {"qwen2", "qwen3"}) {
    const std::vector<std::int64_t> found = windows(family, {{"use_sliding_window", true}});
    EXPECT_THAT(std::vector(found.end() - 3, found.end()), ElementsAre(0, 4096, 4096)) << family;
  }
  for (const char* const family : {"gemma2", "gemma3_text", "olmo3"}) {
    EXPECT_EQ(windows(family).front(), 4096) << family;
  }
  for (const char* const family : {"phi3", "smollm3"}) {
    EXPECT_THAT(windows(family, {{"use_sliding_window", true}}), Each(0)) << family;
  }
}

TEST(Families, LayerTypesCountWhereTheClassReadsThem) {
  for (const char* const family : {"gemma2", "gemma3_text", "olmo3"}) {
    EXPECT_THAT(windows_of(short_form(family, {{"layer_types", {full, sliding}}, {"sliding_window", 7}})),
                ElementsAre(0, 7))
        << family;
  }
  EXPECT_THAT(windows_of(llama_form(
                  "smollm3", {{"layer_types", {full, sliding}}, {"use_sliding_window", true}, {"sliding_window", 7}})),
              ElementsAre(0, 7));
}

TEST(Families, SmolLm3sWindowsAreWhereNothingTurns) {
  const auto windows = [](bool on) {
    return windows_of(
        llama_form("smollm3", {{"no_rope_layers", {1, 0}}, {"sliding_window", 7}, {"use_sliding_window", on}}));
  };
  EXPECT_THAT(windows(true), ElementsAre(0, 7));
  EXPECT_THAT(windows(false), ElementsAre(0, 0));
}

TEST(Families, LayerTypesThatCannotBe) {
  for (const char* const family : {"llama", "qwen2", "mistral", "gemma2"}) {
    EXPECT_THAT(refusal(llama_form(family, {{"layer_types", {full}}})), HasSubstr("a word for each of the 2 layers"));
    EXPECT_THAT(refusal(llama_form(family, {{"layer_types", {full, 3}}})), HasSubstr("a kind of layer that is not"));
    EXPECT_THAT(refusal(llama_form(family, {{"layer_types", {full, "linear_attention"}}})),
                HasSubstr("'layer_types' has \"linear_attention\""));
  }
  for (const char* const family : {"llama", "qwen2"}) {
    EXPECT_THAT(refusal(llama_form(family, {{"layer_types", {full, sliding}}})),
                HasSubstr("names layers of sliding attention"));
  }
  // Families whose class does not read it: what it says must be what they do.
  EXPECT_THAT(windows_of(llama_form("mistral", {{"layer_types", {sliding, sliding}}, {"sliding_window", 7}})),
              ElementsAre(7, 7));
  EXPECT_THAT(windows_of(llama_form("mistral", {{"max_window_layers", 1}, {"sliding_window", 7}})), ElementsAre(7, 7));
  for (const std::string family : {"mistral", "phi3"}) {
    EXPECT_THAT(refusal(llama_form(family, {{"layer_types", {full, full}}, {"sliding_window", 7}})),
                HasSubstr("does not say of each layer what " + family + " models do"));
  }
}

TEST(Families, NormsBeforeAfterAndAroundSubBlocks) {
  const auto norms = [](const char* family) {
    const Architecture a = described(short_form(family));
    const BlockSpec& block = a.blocks[0];
    return std::vector{block.attention_norm.kind, block.attention_post_norm.kind, block.mlp_norm.kind,
                       block.mlp_post_norm.kind};
  };
  using enum NormKind;
  for (const char* const family : {"llama", "qwen3", "gemma", "phi3", "smollm3", "granite"}) {
    EXPECT_THAT(norms(family), ElementsAre(rms, none, rms, none)) << family;
  }
  for (const char* const family : {"gemma2", "gemma3_text"}) {
    EXPECT_THAT(norms(family), ElementsAre(rms, rms, rms, rms)) << family;
  }
  for (const char* const family : {"olmo2", "olmo3"}) {
    EXPECT_THAT(norms(family), ElementsAre(none, rms, none, rms)) << family;
  }
}

TEST(Families, NormsOfQueriesAndKeys) {
  const auto norm = [](const char* family) { return described(short_form(family)).blocks[0].attention.query_key_norm; };
  EXPECT_EQ(norm("qwen3"), QueryKeyNorm::per_head);
  EXPECT_EQ(norm("gemma3_text"), QueryKeyNorm::per_head);
  EXPECT_EQ(norm("olmo2"), QueryKeyNorm::full_width);
  EXPECT_EQ(norm("olmo3"), QueryKeyNorm::full_width);
  EXPECT_EQ(described(llama_form("qwen3")).d_head, 128) << "whatever d_model and heads are";
  EXPECT_EQ(norm("qwen2"), QueryKeyNorm::none);
  EXPECT_EQ(norm("gemma2"), QueryKeyNorm::none);
}

TEST(Families, GemmasNumbers) {
  for (const char* const family : {"gemma", "gemma2", "gemma3_text"}) {
    const Architecture a = described(short_form(family));
    EXPECT_EQ(a.d_head, 256) << family;
    EXPECT_EQ(a.blocks[0].mlp_norm.gain_offset, 1);
    EXPECT_EQ(a.final_norm.gain_offset, 1);
    EXPECT_EQ(a.embedding_multiplier, std::sqrt(12.0));
    EXPECT_EQ(a.embedding_multiplier_precision, Architecture::Precision::network);
    EXPECT_EQ(a.blocks[0].mlp.activation, Activation::gelu_tanh);
    EXPECT_TRUE(a.tied_embeddings);
    EXPECT_THAT(refusal(short_form(family, {{"use_bidirectional_attention", true}})), HasSubstr("is true"));
  }
  EXPECT_EQ(described(short_form("gemma", {{"hidden_act", "gelu"}})).blocks[0].mlp.activation, Activation::gelu_tanh);
  EXPECT_EQ(described(short_form("gemma2", {{"query_pre_attn_scalar", 4}})).blocks[0].attention.scale, 0.5);
}

TEST(Families, GemmasActivationsAreNamedByOneOfTwoKeys) {
  const auto activation = [](const char* family, const char* key) {
    return activation_of(described(short_form(family, {{key, "relu"}})));
  };
  EXPECT_EQ(activation("gemma", "hidden_act"), Activation::relu);
  EXPECT_EQ(activation("gemma", "hidden_activation"), Activation::gelu_tanh);
  for (const char* const family : {"gemma2", "gemma3_text"}) {
    EXPECT_EQ(activation(family, "hidden_activation"), Activation::relu) << family;
    EXPECT_EQ(activation(family, "hidden_act"), Activation::gelu_tanh) << family;
  }
}

TEST(Families, SoftCapsHaveDefaultsAndMayBeNull) {
  const Architecture usual = described(short_form("gemma2"));
  EXPECT_EQ(usual.blocks[0].attention.softcap, 50);
  EXPECT_EQ(usual.logit_softcap, 30);
  EXPECT_EQ(described(short_form("gemma2", {{"head_dim", 4}})).blocks[0].attention.scale, 1 / std::sqrt(256.0));
  const Architecture none =
      described(short_form("gemma2", {{"attn_logit_softcapping", nullptr}, {"final_logit_softcapping", nullptr}}));
  EXPECT_EQ(none.blocks[0].attention.softcap, std::nullopt);
  EXPECT_EQ(none.logit_softcap, std::nullopt);
  // Gemma 3 reads the first and never uses it.
  const Architecture third = described(short_form("gemma3_text", {{"attn_logit_softcapping", 3.0}}));
  EXPECT_EQ(third.blocks[0].attention.softcap, std::nullopt);
  EXPECT_THAT(refusal(short_form("gemma2", {{"final_logit_softcapping", 0}})), HasSubstr("must be above 0"));
}

TEST(Families, TheTextPartOfAModelThatReadsPictures) {
  const json config = {{"model_type", "gemma3"},
                       {"tie_word_embeddings", false},
                       {"text_config", {{"model_type", "gemma3_text"}, {"num_hidden_layers", 2}, {"hidden_size", 12}}},
                       {"vision_config", {{"hidden_size", 4}}}};
  const Architecture a = described(config);
  EXPECT_EQ(a.family, "gemma3_text");
  EXPECT_EQ(a.d_model, 12);
  EXPECT_EQ(a.heads, 8);
  EXPECT_EQ(a.neurons, 9216);
  EXPECT_FALSE(a.tied_embeddings) << "the whole model's word";
  // Published configs leave sizes out, which are then the class's.
  const Architecture whole = described({{"model_type", "gemma3"}, {"text_config", {{"model_type", "gemma3_text"}}}});
  EXPECT_EQ(whole.vocabulary, 262208);
  EXPECT_EQ(whole.d_model, 2304);
  EXPECT_EQ(whole.layers(), 26);
  EXPECT_EQ(whole.kv_heads, 4);
  EXPECT_EQ(whole.d_head, 256);
  EXPECT_EQ(whole.max_positions, 131072);
  EXPECT_EQ(whole.blocks[0].attention.scale, 1 / std::sqrt(256.0));
  EXPECT_EQ(whole.logit_softcap, std::nullopt);
}

TEST(Families, BlocksWithoutRotaryPositions) {
  const auto turning = [](const json& more) {
    json config = llama_form("smollm3", {{"num_hidden_layers", 5}});
    config.update(more);
    std::vector<bool> turns;
    for (const BlockSpec& block : described(config).blocks) turns.push_back(block.attention.rotary.has_value());
    return turns;
  };
  EXPECT_THAT(turning(json::object()), ElementsAre(true, true, true, false, true));
  EXPECT_THAT(turning({{"no_rope_layer_interval", 2}}), ElementsAre(true, false, true, false, true));
  EXPECT_THAT(turning({{"no_rope_layers", {0, 1, 1, 1, 0}}}), ElementsAre(false, true, true, true, false));
  EXPECT_THAT(refusal(llama_form("smollm3", {{"no_rope_layers", {1}}})), HasSubstr("a number for each of the 2"));
  EXPECT_THAT(refusal(llama_form("smollm3", {{"no_rope_layers", {1, 2}}})), HasSubstr("neither 0 nor 1"));
}

TEST(Families, GranitesMultipliers) {
  const Architecture a = described(llama_form("granite", {{"embedding_multiplier", 12},
                                                          {"residual_multiplier", 0.25},
                                                          {"attention_multiplier", 0.125},
                                                          {"logits_scaling", 8}}));
  EXPECT_EQ(a.embedding_multiplier, 12);
  EXPECT_EQ(a.blocks[1].multiplier, 0.25);
  EXPECT_EQ(a.blocks[1].attention.scale, 0.125);
  EXPECT_EQ(a.logit_multiplier, 0.125);
  EXPECT_THAT(refusal(llama_form("granite", {{"logits_scaling", 0}})), HasSubstr("must not be 0"));
}

TEST(Families, NeoxsBlocks) {
  const auto residual = [](const json& more) { return described(short_form("gpt_neox", more)).blocks[0].residual; };
  EXPECT_EQ(residual(json::object()), Residual::parallel);
  EXPECT_EQ(residual({{"use_parallel_residual", false}}), Residual::sequential);
  const Architecture a = described(short_form("gpt_neox", {{"layer_norm_eps", 1e-3}, {"head_dim", 8}}));
  EXPECT_EQ(a.d_head, 4) << "the class has no such key";
  EXPECT_EQ(norm_of(a), NormKind::layer);
  EXPECT_EQ(norm_epsilon_of(a), 1e-3);
  EXPECT_EQ(norm_epsilon_of(described(short_form("gpt_neox"))), 1e-5);
  EXPECT_EQ(mlp_of(a), MlpKind::plain);
  EXPECT_EQ(activation_of(a), Activation::gelu_erf);
  EXPECT_TRUE(wants_all(short_form("gpt_neox"), qkv_biases)) << "true where the key is missing";
  EXPECT_FALSE(wants_any(short_form("gpt_neox", {{"attention_bias", false}}), qkv_biases));
}

}  // namespace
}  // namespace tributary::testing
