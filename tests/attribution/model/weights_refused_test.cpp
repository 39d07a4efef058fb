// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints that are not the model their config.json describes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <limits>

#include "common/errors.h"
#include "tests/attribution/stored_llama.h"

namespace tributary::testing {
namespace {

using nlohmann::json;
using namespace stored;
using ::testing::HasSubstr;

std::string refusal(const json& config, const Stored& stored) {
  try {
    bound(config, stored, at::kFloat, private_store());
  } catch (const UserError& error) {
    return error.what();
  }
  return "not refused";
}

TEST(Weights, ATensorMissingMisshapenOrLeftOverIsRefused) {
  Stored missing = llama_tensors();
  missing.tensors.erase(up);
  EXPECT_THAT(refusal(llama_config(), missing), HasSubstr(up));
  Stored misshapen = llama_tensors();
  misshapen.tensors[key] = at::zeros({3, d}, at::kFloat);
  EXPECT_THAT(refusal(llama_config(), misshapen), HasSubstr("[3, 4]"));
  Stored extra = llama_tensors();
  extra.tensors[layer + "self_attn.q_norm.weight"] = at::zeros({2}, at::kFloat);
  EXPECT_THAT(refusal(llama_config(), extra), HasSubstr("q_norm"));
}

TEST(Weights, NumbersThatAreNotFiniteAreNamed) {
  Stored stored = llama_tensors();
  require_finite(bound(llama_config(), stored, at::kFloat, private_store()), "memory");
  stored.tensors[up][2][1] = std::numeric_limits<float>::quiet_NaN();
  try {
    require_finite(bound(llama_config(), stored, at::kFloat, private_store()), "memory");
    FAIL() << "not refused";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("layer 0 gate and up"));
  }
}

}  // namespace
}  // namespace tributary::testing
