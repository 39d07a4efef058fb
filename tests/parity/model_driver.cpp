// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Lets the Python tests ask the engine in float64: one JSON question a line on stdin, one answer a line on stdout, an
// {"error": "…"} with what a user is told where it is refused. Two kinds of question:
//   {"folder": "…", "ids": […], "tokens": […], "coefficients": […]}: one prompt through a checkpoint. Answer: logits
//     [pos][vocabulary], and the derivatives of m, the weighted sum of the tokens' logits at the last position, by the
//     token embeddings [pos][d_model] and by each layer's neurons [layer][pos][neuron] (of the last layer: the last
//     position alone).
//   {"config": {…}, "keys": {…}, "kind": "full_attention", "d_head": 8, "length": 12}: a config's rotary tables
//     cosine, sine [pos][turned dimensions]. `keys`: members of RotaryKeys that are not their defaults.
#include "attribution/model/tensors.h"

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "attribution/model/detail/config_reader.h"
#include "attribution/model/families.h"
#include "attribution/model/rotary.h"
#include "attribution/model/weights.h"
#include "common/errors.h"
#include "io/checkpoint.h"
#include "tests/attribution/engine_run.h"

namespace {

using namespace tributary;
using nlohmann::json;

/// Nested lists.
json list_of(const at::Tensor& t) {
  if (t.dim() == 1) {
    const at::Tensor row = t.to(at::kDouble).contiguous();
    return std::vector<double>(row.data_ptr<double>(), row.data_ptr<double>() + row.numel());
  }
  json rows = json::array();
  for (std::int64_t i = 0; i < t.size(0); ++i) rows.push_back(list_of(t[i]));
  return rows;
}

/// A float64 checkpoint, for prompts of any length: transformers has no limit either.
Transformer opened(const Checkpoint& checkpoint, std::int64_t length) {
  Architecture architecture = describe_architecture(checkpoint.config(), "config.json");
  TensorSource source;
  source.where = checkpoint.folder().string();
  source.find = [&checkpoint](const std::string& name) {
    const StoredTensor* stored = checkpoint.find(name);
    if (stored == nullptr) return at::Tensor();
    if (stored->type != StoredType::float64) throw UserError(name, "is not stored in float64");
    return at::from_blob(const_cast<std::byte*>(stored->data), stored->shape, at::kDouble).clone();
  };
  for (const auto& [name, stored] : checkpoint.tensors()) source.names.push_back(name);
  Weights weights = bind_weights(architecture, checkpoint.config(), source, at::kDouble, private_store());
  if (!architecture.learned_positions) architecture.max_positions = std::max(architecture.max_positions, length);
  return {std::move(architecture), std::move(weights)};
}

json passes(const json& question) {
  const at::Tensor ids = at::tensor(question.at("ids").get<std::vector<std::int64_t>>(), at::kLong).unsqueeze(0);
  const Checkpoint checkpoint = Checkpoint::open(question.at("folder").get<std::string>());
  const Transformer model = opened(checkpoint, ids.size(1));
  const at::Tensor embeddings = model.embed(ids);
  const MetricTokens tokens{at::tensor(question.at("tokens").get<std::vector<std::int64_t>>(), at::kLong).unsqueeze(0),
                            at::tensor(question.at("coefficients").get<std::vector<double>>(), at::kDouble)};
  const testing::EngineRun run = testing::engine_run(model, whole_batch(embeddings), model.logit_directions(tokens));
  ForwardOptions all;
  all.last_block = LastBlock::all_positions;
  json neurons = json::array();
  for (const at::Tensor& gradient : run.neuron_gradients) neurons.push_back(list_of(gradient[0]));
  return {{"logits", list_of(model.logits(model.forward(whole_batch(embeddings), all).resid)[0])},
          {"embeddings", list_of(run.stream_gradients.at(0)[0])},
          {"neurons", neurons}};
}

tributary::detail::RotaryKeys keys_of(const json& given) {
  tributary::detail::RotaryKeys keys;
  keys.theta = given.value("theta", keys.theta);
  keys.theta_key = given.value("theta_key", keys.theta_key);
  keys.part_key = given.value("part_key", keys.part_key);
  keys.part = given.value("part", keys.part);
  keys.original_positions = given.value("original_positions", keys.original_positions);
  keys.renamed_types = given.value("renamed_types", keys.renamed_types);
  keys.types = given.value("types", keys.types);
  if (given.contains("sliding")) {
    keys.sliding = {given.at("sliding").at("theta").get<double>(), given.at("sliding").at("theta_key")};
  }
  return keys;
}

json tables(const json& question) {
  const json& config = question.at("config");
  const Rotary rotary = tributary::detail::rotary_of(tributary::detail::ConfigReader(config, "config.json"),
                                                     keys_of(question.at("keys")), question.at("kind"));
  const RotaryTables found = rotary_tables(rotary, question.at("d_head"), question.at("length"), at::kDouble);
  return {{"cosine", list_of(found.cosine)}, {"sine", list_of(found.sine)}};
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    try {
      const json question = json::parse(line);
      std::cout << (question.contains("folder") ? passes(question) : tables(question)).dump() << std::endl;
    } catch (const UserError& error) {
      std::cout << json{{"error", error.what()}}.dump() << std::endl;
    }
  }
}
