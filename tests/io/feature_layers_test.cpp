// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Folders of circuit-tracer: transcoders of every layer, and cross-layer transcoders.
#include <gmock/gmock.h>

#include "tests/io/feature_fixture.h"

namespace tributary {
namespace {

using ::testing::HasSubstr;
using Extents = std::vector<std::int64_t>;

const Shapes kTranscoder{{"W_enc", {4, 3}}, {"b_enc", {4}}, {"W_dec", {4, 3}}, {"b_dec", {3}}};

std::string config(const std::string& kind, const std::string& more = "") {
  return "model_name: \"meta-llama/Llama-3.2-1B\"\nmodel_kind: " + kind +
         "\nfeature_input_hook: \"mlp.hook_in\"\nfeature_output_hook: mlp.hook_out\n" + more;
}

class FeatureLayersTest : public FeatureFolder {
 protected:
  void write_transcoders(const std::string& more = "", const Shapes& second = kTranscoder) const {
    write("config.yaml", config("transcoder_set", more));
    write("layer_0.safetensors", tensors_file(kTranscoder));
    write("layer_1.safetensors", tensors_file(second, "", 100));
  }
  void write_cross_layer(std::int64_t layers, const std::string& threshold = "") const {
    write("config.yaml",
          "model_kind: cross_layer_transcoder\nmodel_name: x\nfeature_input_hook: hook_resid_mid\n"
          "feature_output_hook: hook_mlp_out\n");
    for (std::int64_t layer = 0; layer < layers; ++layer) {
      const std::string n = std::to_string(layer);
      Shapes encoder{{"W_enc_" + n, {4, 3}}, {"b_enc_" + n, {4}}, {"b_dec_" + n, {3}}};
      if (!threshold.empty()) encoder[threshold + n] = {4};
      write("W_enc_" + n + ".safetensors", tensors_file(encoder));
      write("W_dec_" + n + ".safetensors", tensors_file({{"W_dec_" + n, {4, layers - layer, 3}}}));
    }
  }
};

TEST_F(FeatureLayersTest, ReadsTranscodersOfEveryLayer) {
  write_transcoders();
  const FeatureFile all = open_features(folder_);
  EXPECT_EQ(all.kind, FeatureKind::transcoder);
  EXPECT_EQ(all.activation, FeatureActivation::relu);
  EXPECT_EQ(all.encoder, EncoderLayout::features_by_inputs);
  EXPECT_EQ((Extents{all.d_in, all.d_sae, all.d_out}), (Extents{3, 4, 3}));
  EXPECT_EQ(all.hook, "mlp_in");
  EXPECT_EQ(all.writes, "mlp_written");
  EXPECT_FALSE(all.apply_b_dec_to_input);
  ASSERT_EQ(all.layers.size(), 2u);
  EXPECT_EQ(all.layers[1].layer, 1);
  EXPECT_EQ(first_of(all.layers[0].W_dec), 0);
  EXPECT_EQ(first_of(all.layers[1].W_dec), 100);
  const FeatureFile one = open_features(folder_ / "layer_1.safetensors");
  ASSERT_EQ(one.layers.size(), 1u);
  EXPECT_EQ(one.layers[0].layer, 1);
  EXPECT_EQ(one.hook, "mlp_in");
  EXPECT_NE(one.hash(), all.hash());
}

TEST_F(FeatureLayersTest, ReadsAFileOfTheFolderAsTheFolderSays) {
  write_transcoders("activation: topk\nk: 2\n");
  for (const auto& where : {folder_, folder_ / "layer_1.safetensors"}) {
    const FeatureFile top = open_features(where);
    EXPECT_EQ(top.activation, FeatureActivation::topk_signed);
    EXPECT_EQ(top.k, 2);
  }
}

TEST_F(FeatureLayersTest, SquareEncodersAreToldByTheFolder) {
  const Shapes square{{"W_enc", {3, 3}}, {"b_enc", {3}}, {"W_dec", {3, 3}}, {"b_dec", {3}}};
  write_transcoders();
  write("layer_0.safetensors", tensors_file(square));
  write("layer_1.safetensors", tensors_file(square));
  EXPECT_EQ(open_features(folder_).encoder, EncoderLayout::features_by_inputs);
  EXPECT_EQ(open_features(saelens("{}", square)).encoder, EncoderLayout::inputs_by_features);
}

TEST_F(FeatureLayersTest, RefusesFoldersThatAreNotWhole) {
  write_transcoders("", {{"W_enc", {5, 3}}, {"b_enc", {5}}, {"W_dec", {5, 3}}, {"b_dec", {3}}});
  EXPECT_THAT(refusal(folder_), HasSubstr("has d_in, d_sae, d_out 3, 5, 3, and the first layer 3, 4, 3"));
  Shapes jump = kTranscoder;
  jump["activation_function.threshold"] = {4};
  write_transcoders("", jump);
  EXPECT_THAT(refusal(folder_), HasSubstr("one activation"));
  write_transcoders("activation: relu\n", jump);
  EXPECT_THAT(refusal(folder_), HasSubstr("'activation_function.threshold' is not known"));
  write_transcoders("activation: jump_relu\n", jump);
  EXPECT_THAT(refusal(folder_), HasSubstr("lacks threshold"));
  write_transcoders("", sae_shapes());
  EXPECT_THAT(refusal(folder_), HasSubstr("'W_enc' has shape [3, 4], and must be [d_sae, d_in] with d_sae = 4, "
                                          "the length of b_enc: it looks transposed;"));
  std::filesystem::remove(folder_ / "layer_0.safetensors");
  EXPECT_THAT(refusal(folder_), HasSubstr("layer_0.safetensors is missing"));
  write_transcoders();
  write("layer_3.safetensors", tensors_file(kTranscoder));
  EXPECT_THAT(refusal(folder_), HasSubstr("layer_2.safetensors is missing"));
}

TEST_F(FeatureLayersTest, RefusesWhatAConfigurationCannotSay) {
  const auto with = [&](const std::string& yaml) {
    write_transcoders();
    write("config.yaml", yaml);
    return refusal(folder_);
  };
  EXPECT_THAT(with(config("transcoder_set", "transcoders: [\"hf://google/x/params.npz\"]\n")),
              HasSubstr("config.yaml:5:14: transcoders lists the files of each layer elsewhere"));
  EXPECT_THAT(with(config("saes")), HasSubstr("model_kind 'saes' is not known"));
  EXPECT_THAT(with(config("transcoder_set", "activation: gelu\n")), HasSubstr("activation 'gelu' is not known"));
  EXPECT_THAT(with(config("transcoder_set", "activation: topk\n")), HasSubstr("lacks 'k'"));
  EXPECT_THAT(with(config("transcoder_set", "activation: topk\nk: -3\n")), HasSubstr("k must be a whole number"));
  EXPECT_THAT(with(config("transcoder_set", "activation: topk\nk: 5\n")), HasSubstr("k is 5"));
  EXPECT_THAT(with(config("transcoder_set", "activation: [topk]\n")), HasSubstr("activation must be one word"));
  EXPECT_THAT(with(config("transcoder_set", "model_name: x\n")), HasSubstr("duplicate key 'model_name'"));
  EXPECT_THAT(with("model_kind: transcoder_set\nfeature_input_hook: mlp.hook_in\n"),
              HasSubstr("lacks 'feature_output_hook'"));
  EXPECT_THAT(
      with("model_kind: transcoder_set\nfeature_input_hook: mlp.hook_in\nfeature_output_hook: hook_resid_post\n"),
      HasSubstr("'hook_resid_post' is not the MLP's output"));
  EXPECT_THAT(with("[]"), HasSubstr("is no mapping"));
  EXPECT_THAT(with("a: [\n"), HasSubstr("config.yaml:"));
  EXPECT_THAT(with(""), HasSubstr("is no mapping"));
}

TEST_F(FeatureLayersTest, ReadsCrossLayerTranscoders) {
  write_cross_layer(3);
  const FeatureFile clt = open_features(folder_);
  EXPECT_EQ(clt.kind, FeatureKind::cross_layer);
  EXPECT_EQ(clt.activation, FeatureActivation::relu);
  EXPECT_EQ(clt.hook, "resid_mid");
  EXPECT_EQ(clt.writes, "mlp_out");
  EXPECT_EQ(clt.encoder, EncoderLayout::features_by_inputs);
  EXPECT_EQ((Extents{clt.d_in, clt.d_sae, clt.d_out}), (Extents{3, 4, 3}));
  ASSERT_EQ(clt.layers.size(), 3u);
  EXPECT_EQ(clt.layers[0].W_dec.shape, (Extents{4, 3, 3}));
  EXPECT_EQ(clt.layers[2].W_dec.shape, (Extents{4, 1, 3}));
  EXPECT_EQ(clt.layers[1].layer, 1);
  EXPECT_EQ(clt.layers[1].W_enc.shape, (Extents{4, 3}));
  write_cross_layer(3, "threshold_");
  const FeatureFile jump = open_features(folder_);
  EXPECT_EQ(jump.activation, FeatureActivation::jumprelu);
  EXPECT_EQ(jump.layers[2].threshold->shape, Extents{4});
}

TEST_F(FeatureLayersTest, RefusesBrokenCrossLayerTranscoders) {
  write_cross_layer(2);
  write("W_dec_1.safetensors", tensors_file({{"W_dec_1", {4, 2, 3}}}));
  EXPECT_THAT(refusal(folder_), HasSubstr("'W_dec_1' has shape [4, 2, 3]"));
  write("W_dec_1.safetensors", tensors_file({{"W_dec", {4, 1, 3}}}));
  EXPECT_THAT(refusal(folder_), HasSubstr("lacks W_dec_1"));
  std::filesystem::remove(folder_ / "W_dec_1.safetensors");
  EXPECT_THAT(refusal(folder_), HasSubstr("W_dec_1.safetensors"));
  write_cross_layer(2);
  write("W_enc_1.safetensors",
        tensors_file({{"W_enc_1", {4, 3}}, {"b_enc_1", {4}}, {"b_dec_1", {3}}, {"W_skip_1", {3, 3}}}));
  EXPECT_THAT(refusal(folder_), HasSubstr("'W_skip_1' is not known"));
  write_cross_layer(2, "threshold_");
  write("W_enc_1.safetensors", tensors_file({{"W_enc_1", {4, 3}}, {"b_enc_1", {4}}, {"b_dec_1", {3}}}));
  EXPECT_THAT(refusal(folder_), HasSubstr("lacks threshold_1"));
  write("W_enc_0.safetensors", tensors_file({{"W_enc_0", {3, 4}}, {"b_enc_0", {4}}, {"b_dec_0", {3}}}));
  EXPECT_THAT(refusal(folder_), HasSubstr("'W_enc_0' has shape [3, 4] (it is transposed)"));
  std::filesystem::remove(folder_ / "W_enc_0.safetensors");
  EXPECT_THAT(refusal(folder_), HasSubstr("W_enc_0.safetensors is missing"));
}

}  // namespace
}  // namespace tributary
