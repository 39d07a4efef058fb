// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Rotary settings as config.json files spell them. Expected numbers are worked out by hand from transformers' formulas;
// tests/parity/test_rotary.py holds the same settings against transformers itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "attribution/model/detail/config_reader.h"
#include "common/errors.h"

namespace tributary::detail::rotary_settings {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A config of heads of 8 dimensions.
json config_with(const json& more) {
  json config = {{"hidden_size", 24}, {"num_attention_heads", 3}, {"max_position_embeddings", 64}};
  config.update(more);
  return config;
}

Rotary read(const json& more, const RotaryKeys& keys = {}, const std::string& kind = full_attention) {
  const json config = config_with(more);
  return rotary_of(ConfigReader(config, "config.json"), keys, kind);
}

Rotary scaled(const json& block, const RotaryKeys& keys = {}) { return read({{"rope_scaling", block}}, keys); }

std::string refusal(const json& more, const RotaryKeys& keys = {}, const std::string& kind = full_attention) {
  try {
    (void)read(more, keys, kind);
  } catch (const UserError& error) {
    return error.what();
  }
  return "not refused";
}

std::string refusal_of_scaling(const json& block, const RotaryKeys& keys = {}) {
  return refusal({{"rope_scaling", block}}, keys);
}

json without(json block, const std::string& key) {
  block.erase(key);
  return block;
}

json with(json block, const std::string& key, const json& value) {
  block[key] = value;
  return block;
}

const RotaryKeys partial{.part_key = "partial_rotary_factor"};
const RotaryKeys neox{.theta_key = "rotary_emb_base", .part_key = "rotary_pct", .part = 0.25};
const RotaryKeys phi3{.part_key = "partial_rotary_factor",
                      .original_positions = 4096,
                      .renamed_types = {{"su", "longrope"}, {"yarn", "longrope"}},
                      .types = {"default", "longrope"}};
const RotaryKeys gemma3{.theta = 1e6, .sliding = RotaryKeys::Sliding{1e4, "rope_local_base_freq"}};
const RotaryKeys olmo3{.theta = 5e5, .sliding = RotaryKeys::Sliding{5e5, ""}};

const json yarn = {{"rope_type", "yarn"}, {"factor", 8.0}, {"original_max_position_embeddings", 16}};
const json longrope = {{"type", "longrope"}, {"short_factor", {1, 1.5, 2, 3}}, {"long_factor", {1, 4, 6, 8}}};
const json llama3 = {{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0}};

TEST(RotarySettings, DynamicGrowsBeyondThePositionsOfTheConfig) {
  const Rotary rotary = scaled({{"type", "dynamic"}, {"factor", 2.5}});
  EXPECT_EQ(rotary.scaling, RotaryScaling::dynamic);
  EXPECT_EQ(rotary.factor, 2.5);
  EXPECT_EQ(rotary.original_positions, 64);
  EXPECT_EQ(rotary.attention_factor, 1);
}

TEST(RotarySettings, YarnWithItsDefaults) {
  const Rotary rotary = scaled(yarn);
  EXPECT_EQ(rotary.scaling, RotaryScaling::yarn);
  EXPECT_EQ(rotary.factor, 8);
  EXPECT_EQ(rotary.original_positions, 16);
  EXPECT_EQ(rotary.beta_fast, 32);
  EXPECT_EQ(rotary.beta_slow, 1);
  EXPECT_TRUE(rotary.truncate);
  EXPECT_DOUBLE_EQ(rotary.attention_factor, 0.1 * std::log(8) + 1);
}

TEST(RotarySettings, YarnWithItsOptions) {
  const json more = {{"beta_fast", 8}, {"beta_slow", 2.0}, {"truncate", false}, {"mscale", 2.0}};
  json options = yarn;
  options.update(more);
  const Rotary rotary = scaled(options);
  EXPECT_EQ(rotary.beta_fast, 8);
  EXPECT_EQ(rotary.beta_slow, 2);
  EXPECT_FALSE(rotary.truncate);
  EXPECT_DOUBLE_EQ(rotary.attention_factor, 0.1 * std::log(8) + 1);  // one of the two scales alone counts for nothing
  options["mscale_all_dim"] = 0.5;
  EXPECT_DOUBLE_EQ(scaled(options).attention_factor, (0.2 * std::log(8) + 1) / (0.05 * std::log(8) + 1));
  options["attention_factor"] = 1.25;
  EXPECT_EQ(scaled(options).attention_factor, 1.25);
  EXPECT_EQ(scaled(with(yarn, "factor", 0.5)).attention_factor, 1);  // nothing was stretched
  EXPECT_EQ(scaled(with(yarn, "factor", nullptr)).factor, 4);        // 64 positions from 16
  EXPECT_EQ(scaled(without(yarn, "original_max_position_embeddings")).original_positions, 64);
}

TEST(RotarySettings, LongropeWithOriginalPositionsInEitherPlace) {
  const json inside = with(longrope, "original_max_position_embeddings", 16);
  for (const json& spelling :
       {json{{"rope_scaling", inside}}, json{{"rope_scaling", longrope}, {"original_max_position_embeddings", 16}},
        json{{"rope_parameters", inside}, {"original_max_position_embeddings", 16}}}) {
    const Rotary rotary = read(spelling);
    EXPECT_EQ(rotary.scaling, RotaryScaling::longrope) << spelling;
    EXPECT_EQ(rotary.original_positions, 16) << spelling;
    EXPECT_THAT(rotary.short_factors, ElementsAre(1, 1.5, 2, 3));
    EXPECT_THAT(rotary.long_factors, ElementsAre(1, 4, 6, 8));
    EXPECT_DOUBLE_EQ(rotary.attention_factor, std::sqrt(1 + std::log(4) / std::log(16))) << spelling;
  }
  EXPECT_DOUBLE_EQ(scaled(with(inside, "factor", 16)).attention_factor, std::sqrt(2));
  EXPECT_EQ(scaled(with(inside, "attention_factor", 1.5)).attention_factor, 1.5);
  EXPECT_EQ(scaled(longrope).attention_factor, 1);  // 64 positions from 64
}

TEST(RotarySettings, Phi3SpeaksOfLongropeByOlderNames) {
  const json positions = {{"max_position_embeddings", 8192}, {"original_max_position_embeddings", 2048}};
  for (const char* const name : {"su", "yarn", "longrope"}) {
    json config = positions;
    config["rope_scaling"] = with(longrope, "type", name);
    EXPECT_EQ(read(config, phi3).scaling, RotaryScaling::longrope) << name;
    EXPECT_EQ(read(config, phi3).original_positions, 2048) << name;
    EXPECT_EQ(read({{"rope_scaling", config["rope_scaling"]}}, phi3).original_positions, 4096) << name;
  }
  EXPECT_THAT(refusal_of_scaling({{"type", "linear"}, {"factor", 2.0}}, phi3),
              AllOf(HasSubstr("'linear'"), HasSubstr("known ones: default, longrope")));
}

TEST(RotarySettings, Llama3TakesTheConfigsPositionsWhereItNamesNone) {
  EXPECT_EQ(scaled(llama3).original_positions, 64);
  EXPECT_EQ(scaled(with(llama3, "original_max_position_embeddings", 16)).original_positions, 16);
}

TEST(RotarySettings, APartOfEachHead) {
  EXPECT_EQ(read({{"partial_rotary_factor", 0.5}}, partial).dims, 4);
  EXPECT_EQ(read({{"partial_rotary_factor", 0.5}, {"head_dim", 12}}, partial).dims, 6);
  EXPECT_EQ(read({{"partial_rotary_factor", 0.6}}, partial).dims, 4);  // 4.8, rounded down
  EXPECT_EQ(
      read({{"rope_parameters", {{"partial_rotary_factor", 0.75}}}, {"partial_rotary_factor", 0.5}}, partial).dims, 6);
  EXPECT_EQ(read(json::object(), partial).dims, 0);
  EXPECT_THAT(refusal({{"partial_rotary_factor", 0.4}}, partial),
              HasSubstr("'partial_rotary_factor' lets 3 of a head's 8 dimensions turn, and they turn in pairs"));
  EXPECT_THAT(refusal({{"partial_rotary_factor", 0.1}}, partial), HasSubstr("lets 0 of a head's 8"));
  for (const double part : {0.0, -0.5, 1.5}) {
    EXPECT_THAT(refusal({{"partial_rotary_factor", part}}, partial), HasSubstr("must be above 0 and at most 1"));
  }
  json half = longrope;
  half["short_factor"] = half["long_factor"] = {1, 2};
  EXPECT_EQ(read({{"rope_scaling", half}, {"partial_rotary_factor", 0.5}}, partial).long_factors.size(), 2U);
}

TEST(RotarySettings, GptNeoxHasKeysOfItsOwn) {
  EXPECT_EQ(read(json::object(), neox).dims, 2);
  const Rotary older = read({{"rotary_pct", 0.5}, {"rotary_emb_base", 500}}, neox);
  EXPECT_EQ(older.dims, 4);
  EXPECT_EQ(older.theta, 500);
  const Rotary newer = read({{"rope_parameters", {{"partial_rotary_factor", 0.5}, {"rope_theta", 500}}}}, neox);
  EXPECT_EQ(newer, older);
  EXPECT_THAT(refusal({{"rope_theta", 500}}, neox), HasSubstr("'rope_theta' is 500, where transformers 5 takes 10000"));
  EXPECT_THAT(refusal({{"partial_rotary_factor", 0.5}}, neox),
              HasSubstr("'partial_rotary_factor' is 0.5, and 'rotary_pct' 0.25"));
  EXPECT_EQ(read({{"rope_theta", 500}, {"rotary_emb_base", 500}}, neox).theta, 500);
}

TEST(RotarySettings, AKindOfLayerHasItsOwnInTransformersFive) {
  const json both = {{"rope_parameters",
                      {{"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 2e6}}},
                       {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 5e3}}}}}};
  EXPECT_EQ(read(both, gemma3), (Rotary{.theta = 2e6, .scaling = RotaryScaling::linear, .factor = 8}));
  EXPECT_EQ(read(both, gemma3, sliding_attention), Rotary{.theta = 5e3});
  const json one = {{"rope_parameters", {{"full_attention", nullptr}}}};  // what it says nothing of has its defaults
  EXPECT_EQ(read(one, gemma3), Rotary{.theta = 1e6});
  EXPECT_EQ(read(one, gemma3, sliding_attention), Rotary{.theta = 1e4});
  // A family without kinds of layer reads the same in all of them.
  EXPECT_EQ(read({{"rope_theta", 5e5}}, {}, sliding_attention), Rotary{.theta = 5e5});
}

TEST(RotarySettings, AKindOfLayerHasItsOwnInOlderConfigs) {
  const json scaling = {{"rope_type", "linear"}, {"factor", 8.0}};
  const json older = {{"rope_theta", 2e6}, {"rope_local_base_freq", 5e3}, {"rope_scaling", scaling}};
  EXPECT_EQ(read(older, gemma3), (Rotary{.theta = 2e6, .scaling = RotaryScaling::linear, .factor = 8}));
  EXPECT_EQ(read(older, gemma3, sliding_attention), Rotary{.theta = 5e3});
  EXPECT_EQ(read(json::object(), gemma3), Rotary{.theta = 1e6});
  EXPECT_EQ(read(json::object(), gemma3, sliding_attention), Rotary{.theta = 1e4});
  const json olmo = {{"rope_theta", 5e5}, {"rope_scaling", scaling}};
  EXPECT_EQ(read(olmo, olmo3).scaling, RotaryScaling::linear);
  EXPECT_EQ(read(olmo, olmo3, sliding_attention), Rotary{.theta = 5e5});
  EXPECT_THAT(refusal({{"rope_theta", 1e4}}, olmo3, sliding_attention),
              HasSubstr("'rope_theta' is 10000, where transformers 5 takes 500000"));
}

TEST(RotarySettings, KindsOfLayersThatAreRefused) {
  const json flat = {{"rope_type", "default"}, {"rope_theta", 1e6}};
  EXPECT_THAT(refusal({{"rope_parameters", flat}}, gemma3), HasSubstr("must have settings for each kind of layer"));
  EXPECT_THAT(refusal({{"rope_scaling", {{"full_attention", flat}}}}, gemma3), HasSubstr("does not read there"));
  const json part = {{"full_attention", with(flat, "partial_rotary_factor", 0.5)}};
  EXPECT_THAT(refusal({{"rope_parameters", part}}, gemma3),
              AllOf(HasSubstr("rope_parameters.full_attention"), HasSubstr("turns whole heads")));
  const json steps = {{"full_attention", with(yarn, "truncate", false)}};
  EXPECT_THAT(refusal({{"rope_parameters", steps}}, gemma3), HasSubstr("'truncate' is false"));
}

TEST(RotarySettings, ScalingsWithoutTheirNumbers) {
  EXPECT_THAT(refusal_of_scaling({{"type", "linear"}}), HasSubstr("config.json: rope_scaling: 'factor' is missing"));
  EXPECT_THAT(refusal_of_scaling({{"type", "dynamic"}}), HasSubstr("'factor' is missing"));
  EXPECT_THAT(refusal_of_scaling(without(yarn, "factor")), HasSubstr("'factor' is missing"));
  for (const char* const key : {"factor", "low_freq_factor", "high_freq_factor"}) {
    EXPECT_THAT(refusal_of_scaling(without(llama3, key)), HasSubstr(std::string("'") + key + "' is missing"));
  }
  for (const char* const key : {"short_factor", "long_factor"}) {
    EXPECT_THAT(refusal_of_scaling(without(longrope, key)), HasSubstr(std::string("'") + key + "' is missing"));
    for (const json& wrong : {json{1, 2, 3}, json{1, 2, 3, 0}, json{1, 2, 3, "4"}, json("1")}) {
      EXPECT_THAT(refusal_of_scaling(with(longrope, key, wrong)), HasSubstr("must be a list of 4 numbers above 0"));
    }
  }
}

TEST(RotarySettings, NumbersOutsideTheirRange) {
  EXPECT_THAT(refusal_of_scaling({{"type", "dynamic"}, {"factor", -1}}), HasSubstr("'factor' must be above 0"));
  EXPECT_THAT(refusal({{"rope_scaling", {{"type", "dynamic"}, {"factor", 2}}}, {"head_dim", 2}}),
              HasSubstr("more than 2 dimensions"));
  EXPECT_THAT(refusal_of_scaling(with(yarn, "attention_factor", 0)), HasSubstr("'attention_factor' must be above 0"));
  EXPECT_THAT(refusal_of_scaling(with(yarn, "beta_fast", -1)), HasSubstr("'beta_fast' must not be below 0"));
  EXPECT_EQ(scaled(with(yarn, "beta_fast", 0)).beta_fast, 32);
  EXPECT_THAT(refusal_of_scaling(with(yarn, "rope_theta", 1)), HasSubstr("rope_theta above 1"));
  EXPECT_THAT(refusal_of_scaling(with(yarn, "truncate", 1)), HasSubstr("'truncate' must be true or false"));
  EXPECT_THAT(refusal_of_scaling(with(longrope, "original_max_position_embeddings", 1)),
              HasSubstr("'attention_factor' is missing"));
  EXPECT_THAT(refusal_of_scaling(with(yarn, "rope_theta", -1)), HasSubstr("'rope_theta' must be above 0"));
}

TEST(RotarySettings, WhatContradictsItself) {
  EXPECT_THAT(refusal_of_scaling(with(with(yarn, "type", "linear"), "factor", 2)), HasSubstr("say different things"));
  EXPECT_EQ(scaled(with(yarn, "type", "yarn")).scaling, RotaryScaling::yarn);
  EXPECT_THAT(refusal({{"rope_scaling", yarn}, {"original_max_position_embeddings", 32}}),
              HasSubstr("'original_max_position_embeddings' is 16, and 32 beside the settings"));
  EXPECT_THAT(refusal({{"rope_scaling", yarn}, {"rope_parameters", with(yarn, "factor", 2)}}),
              HasSubstr("say different things"));
}

}  // namespace
}  // namespace tributary::detail::rotary_settings
