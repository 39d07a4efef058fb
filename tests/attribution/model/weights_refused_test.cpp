// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints that are not the model their config.json describes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <functional>
#include <limits>
#include <string>

#include "common/errors.h"
#include "tests/attribution/stored_llama.h"

namespace tributary::testing {
namespace {

using nlohmann::json;
using namespace stored;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

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

/// The checkpoint with other names.
Stored renamed(const Stored& stored, const std::function<std::string(const std::string&)>& name_of) {
  Stored other;
  for (const auto& [name, tensor] : stored.tensors) other.tensors[name_of(name)] = tensor;
  return other;
}

TEST(Weights, NamesOfAWrapperAreExplained) {
  const auto refusal_of = [](const std::function<std::string(const std::string&)>& name_of) {
    return refusal(llama_config(), renamed(llama_tensors(), name_of));
  };
  EXPECT_THAT(refusal_of([](const std::string& name) { return "_orig_mod." + name; }),
              AllOf(HasSubstr("'model.embed_tokens.weight' is missing"), HasSubstr("torch.compile puts it there"),
                    Not(HasSubstr("download"))));
  EXPECT_THAT(refusal_of([](const std::string& name) {
                return name.starts_with("model.layers.0.") ? "model.layers.0._orig_mod." + name.substr(15) : name;
              }),
              HasSubstr("torch.compile"));
  EXPECT_THAT(refusal_of([](const std::string& name) { return "module." + name; }), HasSubstr("DataParallel"));
  EXPECT_THAT(refusal_of([](const std::string& name) { return "base_model.model." + name; }), HasSubstr("PEFT"));
  EXPECT_THAT(refusal_of([](const std::string& name) { return "net." + name; }),
              HasSubstr("there is 'net.model.embed_tokens.weight': take 'net.' off the names"));
}

TEST(Weights, ATrunkSavedAloneIsAModelWhereItsUnembeddingIsItsEmbedding) {
  const Stored whole = llama_tensors();
  Stored trunk = renamed(whole, [](const std::string& name) {
    return name.starts_with("model.") ? name.substr(std::string("model.").size()) : name;
  });
  trunk.tensors.erase("lm_head.weight");
  json config = llama_config();
  EXPECT_THAT(refusal(config, trunk), HasSubstr("'lm_head.weight' is missing"));
  EXPECT_THAT(refusal(config, trunk), HasSubstr("ForCausalLM"));
  config["tie_word_embeddings"] = true;
  const Weights weights = bound(config, trunk, at::kFloat, private_store());
  EXPECT_EQ(weights.embedding.data_ptr(), whole.tensors.at("model.embed_tokens.weight").data_ptr());
}

TEST(Weights, NumbersThatAreNotFiniteAreNamed) {
  Stored stored = llama_tensors();
  const auto text = [&] { return not_finite_text(bound(llama_config(), stored, at::kFloat, private_store())); };
  EXPECT_EQ(text(), "");
  stored.tensors[up][2][1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(text(), "layer 0 gate and up [8, 1] is NaN (1 of 48 is not finite)") << "up lies below gate";
  EXPECT_EQ(not_finite_text(stored.tensors[up]), "[2, 1] is NaN (1 of 24 is not finite)");
}

TEST(Weights, TheFirstNumberThatIsNotFiniteIsNamedHoweverManyRowsLieAbove) {
  at::Tensor tall = at::zeros({3000, 2}, at::kBFloat16);
  EXPECT_EQ(not_finite_text(tall), "");
  tall[2999][0] = std::numeric_limits<float>::quiet_NaN();
  tall[1500][1] = -std::numeric_limits<float>::infinity();
  tall[1501][1] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(not_finite_text(tall), "[1500, 1] is infinite (3 of 6000 are not finite)") << "though their sum is NaN";
  EXPECT_EQ(not_finite_text(at::full({3}, 1e308, at::kDouble)), "") << "though their sum is infinite";
  EXPECT_EQ(not_finite_text(at::full({3}, std::numeric_limits<float>::quiet_NaN())),
            "[0] is NaN (3 of 3 are not finite)");
}

}  // namespace
}  // namespace tributary::testing
