// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Binding stored tensors to slots: what belongs together is one tensor, a view where the pieces lie side by side and
// the dtype is right, a copy through the store otherwise.
#include "attribution/model/weights.h"

#include <ATen/Context.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <memory>

#include "tests/attribution/closeness.h"
#include "tests/attribution/stored_llama.h"

namespace tributary::testing {
namespace {

using nlohmann::json;
using namespace stored;

/// Counts what it is asked for.
struct CountingStore {
  std::shared_ptr<std::vector<at::Tensor>> made = std::make_shared<std::vector<at::Tensor>>();
  WeightStore store;

  explicit CountingStore(WeightStore::Role role = WeightStore::Role::fill, double already = 0) {
    store = {[made = made, already](at::IntArrayRef shape, const at::TensorOptions& options) {
               made->push_back(at::full(shape, already, options));
               return made->back();
             },
             role};
  }
};

TEST(Weights, PiecesThatLieSideBySideAreViewed) {
  Stored stored = llama_tensors();
  void* const qkv = stored.lay_together({query, key, value});
  void* const expand = stored.lay_together({gate, up});
  const CountingStore counting;
  const Weights weights = bound(llama_config(), stored, at::kFloat, counting.store);
  const LayerWeights& w = weights.layers[0];
  EXPECT_TRUE(counting.made->empty());
  EXPECT_EQ(w.qkv_weight.data_ptr(), qkv);
  EXPECT_EQ(w.expand_weight.data_ptr(), expand);
  expect_same_bits(w.qkv_weight, at::cat({stored.tensors[query], stored.tensors[key], stored.tensors[value]}));
  expect_same_bits(w.expand_weight, at::cat({stored.tensors[gate], stored.tensors[up]}));
  EXPECT_EQ(w.down_weight.data_ptr(), stored.tensors[layer + "mlp.down_proj.weight"].data_ptr());
}

TEST(Weights, PiecesThatLieApartOrInAnotherOrderAreCopiedThroughTheStore) {
  Stored stored = llama_tensors();
  stored.lay_together({key, query, value});
  const CountingStore counting;
  const Weights weights = bound(llama_config(), stored, at::kFloat, counting.store);
  const LayerWeights& w = weights.layers[0];
  ASSERT_EQ(counting.made->size(), 2U);
  EXPECT_EQ(w.qkv_weight.data_ptr(), counting.made->at(0).data_ptr());
  EXPECT_EQ(w.expand_weight.data_ptr(), counting.made->at(1).data_ptr());
  expect_same_bits(w.qkv_weight, at::cat({stored.tensors[query], stored.tensors[key], stored.tensors[value]}));
  expect_same_bits(w.expand_weight, at::cat({stored.tensors[gate], stored.tensors[up]}));
}

TEST(Weights, AViewKeepsTheCheckpointsMemoryAlive) {
  Weights weights;
  at::Tensor expected;
  {
    Stored stored = llama_tensors();
    stored.lay_together({query, key, value});
    expected = at::cat({stored.tensors[query], stored.tensors[key], stored.tensors[value]});
    weights = bound(llama_config(), stored, at::kFloat, private_store());
  }
  const at::Tensor elsewhere = at::full({1024}, -1, at::kFloat);  // would take room that was given back
  expect_same_bits(weights.layers[0].qkv_weight, expected);
}

TEST(Weights, TablesThatOlderCheckpointsStoreAreNoWeights) {
  Stored stored = llama_tensors();
  stored.tensors[layer + "self_attn.rotary_emb.inv_freq"] = at::ones({1}, at::kFloat);
  EXPECT_NO_THROW(bound(llama_config(), stored, at::kFloat, private_store()));
  const auto ignored = [](const char* family) { return family_of({{"model_type", family}}, "config.json").ignored; };
  EXPECT_EQ(ignored("gpt2"), (std::vector<std::string>{".attn.bias", ".attn.masked_bias"}));
  EXPECT_EQ(ignored("gpt_neox"),
            (std::vector<std::string>{".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq"}));
}

TEST(Weights, AnotherDtypeIsConvertedThroughTheStore) {
  Stored stored = llama_tensors();
  stored.lay_together({query, key, value});
  for (const at::ScalarType type : {at::kBFloat16, at::kDouble}) {
    const CountingStore counting;
    const Weights weights = bound(llama_config(), stored, type, counting.store);
    EXPECT_EQ(counting.made->size(), 9U);  // embedding, norm, unembedding; two norms, qkv, output, expand, down
    const LayerWeights& w = weights.layers[0];
    expect_same_bits(weights.embedding, stored.tensors["model.embed_tokens.weight"].to(type));
    expect_same_bits(w.qkv_weight,
                     at::cat({stored.tensors[query], stored.tensors[key], stored.tensors[value]}).to(type));
    expect_same_bits(w.query_weight(4), stored.tensors[query].to(type));
    expect_same_bits(w.key_value_weight(4), at::cat({stored.tensors[key], stored.tensors[value]}).to(type));
    EXPECT_FALSE(w.query_bias(4).defined());
    EXPECT_FALSE(w.key_value_bias(4).defined());
  }
}

TEST(Weights, WhoSharesMemoryDoesNotWriteIt) {
  const CountingStore counting(WeightStore::Role::share, 7);
  const Weights weights = bound(llama_config(), llama_tensors(), at::kBFloat16, counting.store);
  EXPECT_EQ(counting.made->size(), 9U);
  for (const at::Tensor& one : *counting.made) EXPECT_TRUE(at::eq(one, 7).all().item<bool>());
  EXPECT_EQ(weights.layers[0].qkv_weight.sizes(), (at::IntArrayRef{8, d}));
}

TEST(Weights, WhoSharesAsksForTheSameInTheSameOrder) {
  const CountingStore filling;
  const CountingStore sharing(WeightStore::Role::share);
  bound(llama_config(), llama_tensors(), at::kBFloat16, filling.store);
  bound(llama_config(), llama_tensors(), at::kBFloat16, sharing.store);
  ASSERT_EQ(filling.made->size(), sharing.made->size());
  for (std::size_t i = 0; i < filling.made->size(); ++i) {
    EXPECT_EQ(filling.made->at(i).sizes(), sharing.made->at(i).sizes());
  }
}

TEST(Weights, TiedEmbeddingsAreOneTensor) {
  json config = llama_config();
  config["tie_word_embeddings"] = true;
  const Weights weights = bound(config, llama_tensors(), at::kDouble, private_store());
  EXPECT_EQ(weights.unembedding.data_ptr(), weights.embedding.data_ptr());
}

TEST(Weights, TiedEmbeddingsMayBeStoredByEitherName) {
  json config = llama_config();
  config["tie_word_embeddings"] = true;
  Stored stored = llama_tensors();
  const at::Tensor shared = stored.tensors.at("lm_head.weight");
  stored.tensors.erase("model.embed_tokens.weight");
  const Weights weights = bound(config, stored, at::kFloat, private_store());
  EXPECT_EQ(weights.embedding.data_ptr(), shared.data_ptr());
  EXPECT_EQ(weights.unembedding.data_ptr(), shared.data_ptr());
}

TEST(Weights, AnUnembeddingThatIsNotTheEmbeddingIsAModelsOwn) {
  json config = llama_config();
  Stored stored = llama_tensors();
  EXPECT_TRUE(has_own_head(config, stored.source()));
  at::Tensor& head = stored.tensors["lm_head.weight"];
  head = stored.tensors["model.embed_tokens.weight"].clone();
  EXPECT_FALSE(has_own_head(config, stored.source()));
  head[vocabulary - 1][d - 1] += 1;
  EXPECT_TRUE(has_own_head(config, stored.source()));
  head = stored.tensors["model.embed_tokens.weight"].to(at::kDouble);
  EXPECT_TRUE(has_own_head(config, stored.source()));
  stored.tensors["embed_tokens.weight"] = stored.tensors["model.embed_tokens.weight"];
  stored.tensors.erase("model.embed_tokens.weight");
  EXPECT_TRUE(has_own_head(config, stored.source()));
  stored.tensors.erase("lm_head.weight");
  EXPECT_FALSE(has_own_head(config, stored.source()));
}

TEST(Weights, Gpt2sJoinedAndTransposedMatricesAreViewed) {
  const json config = {{"model_type", "gpt2"},
                       {"n_embd", d},
                       {"n_layer", 1},
                       {"n_head", 2},
                       {"n_inner", 6},
                       {"vocab_size", vocabulary},
                       {"n_positions", 8},
                       {"layer_norm_epsilon", 1e-5},
                       {"activation_function", "gelu_new"}};
  at::manual_seed(10);
  Stored stored;
  const auto add = [&stored](const std::string& name, at::IntArrayRef shape) {
    stored.tensors[name] = at::randn(shape, at::kFloat);
  };
  add("wte.weight", {vocabulary, d});
  add("wpe.weight", {8, d});
  for (const std::string norm : {"ln_f", "h.0.ln_1", "h.0.ln_2"}) {
    add(norm + ".weight", {d});
    add(norm + ".bias", {d});
  }
  add("h.0.attn.c_attn.weight", {d, 3 * d});
  add("h.0.attn.c_attn.bias", {3 * d});
  add("h.0.attn.c_proj.weight", {d, d});
  add("h.0.attn.c_proj.bias", {d});
  add("h.0.mlp.c_fc.weight", {d, 6});
  add("h.0.mlp.c_fc.bias", {6});
  add("h.0.mlp.c_proj.weight", {6, d});
  add("h.0.mlp.c_proj.bias", {d});
  const CountingStore counting;
  const Weights weights = bound(config, stored, at::kFloat, counting.store);
  const LayerWeights& w = weights.layers[0];
  EXPECT_TRUE(counting.made->empty());
  EXPECT_EQ(w.qkv_weight.data_ptr(), stored.tensors["h.0.attn.c_attn.weight"].data_ptr());
  EXPECT_TRUE(at::equal(w.qkv_weight, stored.tensors["h.0.attn.c_attn.weight"].t()));
  EXPECT_TRUE(at::equal(w.qkv_bias, stored.tensors["h.0.attn.c_attn.bias"]));
  EXPECT_TRUE(at::equal(w.query_bias(d), stored.tensors["h.0.attn.c_attn.bias"].narrow(0, 0, d)));
  EXPECT_TRUE(at::equal(w.key_value_bias(d), stored.tensors["h.0.attn.c_attn.bias"].narrow(0, d, 2 * d)));
  EXPECT_TRUE(at::equal(w.expand_weight, stored.tensors["h.0.mlp.c_fc.weight"].t()));
  EXPECT_TRUE(at::equal(w.down_weight, stored.tensors["h.0.mlp.c_proj.weight"].t()));
}

}  // namespace
}  // namespace tributary::testing
