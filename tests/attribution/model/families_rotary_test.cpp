// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a config.json is read as. The expected values are those of transformers' configuration classes, worked out by
// hand: both spellings of rotary settings, their scalings, and what is refused of them.
#include "attribution/model/families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/errors.h"
#include "tests/attribution/model/config_forms.h"

namespace tributary::testing {
namespace {

using namespace configs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

TEST(Families, DynamicScalingActsBeyondTheCountedPositions) {
  const auto positions = [](const json& scaling) {
    return described(llama_form("llama", {{"rope_scaling", scaling}})).max_positions;
  };
  EXPECT_EQ(positions({{"type", "dynamic"}, {"factor", 2.5}}), 160);
  EXPECT_EQ(positions({{"type", "dynamic"}, {"factor", 0.5}}), 64) << "none is taken away";
  EXPECT_EQ(positions({{"type", "linear"}, {"factor", 2.5}}), 64) << "counted in max_position_embeddings";
}

TEST(Families, RotaryKeysOfTheirOwn) {
  const auto rotaries = [](const std::string& family, const json& more = json::object()) {
    json config = llama_form(family, {{"hidden_size", 24}, {"num_key_value_heads", 3}});
    config.update(more);
    return described(config).rotaries;
  };
  const auto theta = [](const std::vector<Rotary>& found) {
    std::vector<double> thetas;
    for (const Rotary& one : found) thetas.push_back(one.theta);
    return thetas;
  };
  EXPECT_EQ(rotaries("gpt_neox").at(0).dims, 2) << "a quarter of the head's 8";
  EXPECT_EQ(rotaries("gpt_neox", {{"rotary_pct", 0.5}}).at(0).dims, 4);
  EXPECT_THAT(theta(rotaries("gpt_neox", {{"rotary_emb_base", 700}})), ElementsAre(700));
  EXPECT_EQ(rotaries("phi3", {{"partial_rotary_factor", 0.5}}).at(0).dims, 4);
  EXPECT_THAT(theta(rotaries("smollm3")), ElementsAre(2e6));
  EXPECT_THAT(theta(rotaries("olmo3")), ElementsAre(5e5, 5e5));
  EXPECT_THAT(theta(rotaries("gemma3_text")), ElementsAre(1e6, 1e4));
  EXPECT_THAT(theta(rotaries("gemma3_text", {{"rope_theta", 2e5}, {"rope_local_base_freq", 3e3}})),
              ElementsAre(2e5, 3e3));
  EXPECT_THAT(refusal(llama_form("olmo3", {{"rope_theta", 1e4}})), HasSubstr("where transformers 5 takes 500000"));
}

TEST(Families, Phi3sScalings) {
  const auto phi3 = [](const std::string& type, const json& more = json::object()) {
    json config = llama_form("phi3", {{"max_position_embeddings", 8192}});
    config["rope_scaling"] = {{"type", type}, {"factor", 2.0}, {"short_factor", {1, 2}}, {"long_factor", {3, 4}}};
    config.update(more);
    return config;
  };
  for (const char* const type : {"longrope", "su", "yarn"}) {
    const Rotary rotary = rotary_of(described(phi3(type)));
    EXPECT_EQ(rotary.scaling, RotaryScaling::longrope) << type;
    EXPECT_EQ(rotary.original_positions, 4096) << type;
  }
  EXPECT_EQ(rotary_of(described(phi3("su", {{"original_max_position_embeddings", 16}}))).original_positions, 16);
  EXPECT_THAT(refusal(phi3("linear")), HasSubstr("a rotary scaling we do not compute in this family"));
}

TEST(Families, RotarySettingsThatAreRefused) {
  const auto scaled = [](const json& block) { return llama_form("llama", {{"rope_scaling", block}}); };
  EXPECT_THAT(refusal(scaled({{"rope_type", "ntk"}, {"factor", 4.0}})),
              AllOf(HasSubstr("config.json: rope_scaling"), HasSubstr("'ntk'"),
                    HasSubstr("default, dynamic, linear, llama3, longrope, yarn")));
  EXPECT_THAT(refusal(scaled("linear")), HasSubstr("'rope_scaling' must be an object"));
  EXPECT_THAT(refusal(scaled({{"type", 3}})), HasSubstr("must be a string, not 3"));
  EXPECT_THAT(refusal(scaled({{"type", "linear"}, {"factor", 0}})), HasSubstr("'factor' must be above 0"));
  EXPECT_THAT(refusal(scaled({{"type", "linear"}, {"factor", "2"}})), HasSubstr("'factor' must be a number"));
  EXPECT_THAT(refusal(scaled({{"rope_type", "llama3"}, {"factor", 8.0}})), HasSubstr("'low_freq_factor' is missing"));
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

}  // namespace
}  // namespace tributary::testing
