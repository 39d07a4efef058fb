// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Folders of SAELens and single files.
#include <gmock/gmock.h>

#include "tests/io/feature_fixture.h"

namespace tributary {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Extents = std::vector<std::int64_t>;

const std::string kNewest =
    R"({"d_in": 3, "d_sae": 4, "dtype": "float32", "device": "cuda", "apply_b_dec_to_input": false,
        "normalize_activations": "none", "reshape_activations": "none", "architecture": "standard", "metadata":
        {"sae_lens_version": "6.5.3", "hook_name": "blocks.12.hook_resid_post", "seqpos_slice": [null]}})";

class FeatureFileTest : public FeatureFolder {};

TEST_F(FeatureFileTest, ReadsTheNewestSaeLens) {
  const FeatureFile sae = open_features(saelens(kNewest));
  EXPECT_EQ(sae.kind, FeatureKind::sae);
  EXPECT_EQ(sae.activation, FeatureActivation::relu);
  EXPECT_EQ(sae.encoder, EncoderLayout::inputs_by_features);
  EXPECT_EQ((Extents{sae.d_in, sae.d_sae, sae.d_out}), (Extents{3, 4, 3}));
  EXPECT_EQ(sae.hook, "resid_post");
  EXPECT_EQ(sae.hook_written, "blocks.12.hook_resid_post");
  EXPECT_EQ(sae.writes, "");
  EXPECT_FALSE(sae.apply_b_dec_to_input || sae.leaves_b_dec_open);
  EXPECT_FALSE(sae.rescale_by_decoder_norm);
  ASSERT_EQ(sae.layers.size(), 1u);
  EXPECT_EQ(sae.layers[0].layer, 12);
  EXPECT_EQ(sae.layers[0].W_enc.shape, (Extents{3, 4}));
  EXPECT_EQ(sae.layers[0].W_dec.shape, (Extents{4, 3}));
  // In name order: W_dec 0 … 11, W_enc 12 … 23, b_dec 24 … 26, b_enc 27 … 30.
  EXPECT_EQ(first_of(sae.layers[0].W_dec), 0);
  EXPECT_EQ(first_of(sae.layers[0].W_enc), 12);
  EXPECT_EQ(first_of(sae.layers[0].b_dec), 24);
  EXPECT_EQ(first_of(sae.layers[0].b_enc), 27);
  EXPECT_EQ(sae.layers[0].threshold, std::nullopt);
  EXPECT_EQ(open_features(folder_ / "").hash(), sae.hash());
  EXPECT_EQ(open_features(folder_ / "sae_weights.safetensors").hash(), sae.hash());
}

TEST_F(FeatureFileTest, ReadsOlderSaeLens) {
  const FeatureFile sae = open_features(saelens(
      R"({"hook_point": "blocks.3.attn.hook_z", "hook_point_layer": 3, "hook_point_head_index": null, "d_in": 3,
          "d_sae": 4, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}, "normalize_activations": false,
          "finetuning_scaling_factor": false, "sae_lens_training_version": null, "reshape_activations": "hook_z"})",
      sae_and({{"scaling_factor", {4}}})));
  EXPECT_EQ(sae.kind, FeatureKind::sae);
  EXPECT_EQ(sae.activation, FeatureActivation::topk);
  EXPECT_EQ(sae.k, 2);
  EXPECT_EQ(sae.hook, "z");
  EXPECT_EQ(sae.layers[0].layer, 3);
  EXPECT_TRUE(sae.apply_b_dec_to_input);  // what SAELens does without the field
}

TEST_F(FeatureFileTest, ReadsThresholdsAndTopK) {
  const FeatureFile jump = open_features(
      saelens(R"({"architecture": "jumprelu", "d_in": 3, "activation_fn": "relu"})", sae_and({{"threshold", {4}}})));
  EXPECT_EQ(jump.activation, FeatureActivation::jumprelu);
  EXPECT_EQ(jump.threshold_form, ThresholdForm::values);
  EXPECT_EQ(jump.layers[0].threshold->shape, Extents{4});
  EXPECT_EQ(jump.layers[0].layer, std::nullopt);
  EXPECT_EQ(jump.hook, "");
  const FeatureFile logs = open_features(saelens(R"({"architecture": "jumprelu"})", sae_and({{"log_threshold", {4}}})));
  EXPECT_EQ(logs.threshold_form, ThresholdForm::logarithms);
  EXPECT_EQ(
      open_features(saelens(R"({"architecture": "batchtopk", "k": 3})", sae_and({{"threshold", {4}}}))).activation,
      FeatureActivation::jumprelu);
  const FeatureFile top =
      open_features(saelens(R"({"architecture": "topk", "k": 4, "rescale_acts_by_decoder_norm": true})"));
  EXPECT_EQ(top.activation, FeatureActivation::topk);
  EXPECT_EQ(top.k, 4);
  EXPECT_TRUE(top.rescale_by_decoder_norm);
}

TEST_F(FeatureFileTest, ReadsTranscoders) {
  const Shapes shapes{{"W_enc", {3, 4}}, {"b_enc", {4}}, {"W_dec", {4, 5}}, {"b_dec", {5}}};
  const std::string places =
      R"("metadata": {"hook_name": "blocks.7.ln2.hook_normalized", "hook_name_out": "blocks.7.hook_mlp_out"})";
  const FeatureFile plain = open_features(
      saelens(R"({"architecture": "transcoder", "d_in": 3, "d_sae": 4, "d_out": 5, )" + places + "}", shapes));
  EXPECT_EQ(plain.kind, FeatureKind::transcoder);
  EXPECT_EQ((Extents{plain.d_in, plain.d_sae, plain.d_out}), (Extents{3, 4, 5}));
  EXPECT_EQ(plain.hook, "mlp_in_normed");
  EXPECT_EQ(plain.writes, "mlp_out");
  EXPECT_EQ(plain.layers[0].layer, 7);
  EXPECT_FALSE(plain.apply_b_dec_to_input);
  Shapes skip = shapes;
  skip["W_skip"] = {5, 3};
  const FeatureFile skipping =
      open_features(saelens(R"({"architecture": "skip_transcoder", "d_out": 5, )" + places + "}", skip));
  EXPECT_EQ(skipping.layers[0].W_skip->shape, (Extents{5, 3}));
  Shapes jump = shapes;
  jump["threshold"] = {4};
  EXPECT_EQ(open_features(saelens(R"({"architecture": "jumprelu_transcoder", )" + places + "}", jump)).activation,
            FeatureActivation::jumprelu);
}

TEST_F(FeatureFileTest, KnowsThePlacesOfTransformerLens) {
  const auto read = [&](const std::string& name) {
    const FeatureFile sae = open_features(saelens(R"({"hook_name": ")" + name + "\"}"));
    return sae.hook + "@" + std::to_string(sae.layers[0].layer.value_or(-1));
  };
  EXPECT_EQ(read("blocks.0.hook_resid_pre"), "resid_pre@0");
  EXPECT_EQ(read("blocks.1.hook_resid_mid"), "resid_mid@1");
  EXPECT_EQ(read("blocks.2.hook_mlp_in"), "resid_mid@2");
  EXPECT_EQ(read("blocks.3.mlp.hook_in"), "mlp_in@3");
  EXPECT_EQ(read("blocks.4.ln2.hook_normalized"), "mlp_in_normed@4");
  EXPECT_EQ(read("blocks.5.hook_mlp_out"), "mlp_out@5");
  EXPECT_EQ(read("hook_resid_post"), "resid_post@-1");
  EXPECT_EQ(read("blocks.6.hook_attn_out"), "@6");
  for (const char* strange : {"blocks.x.hook_resid_post", "blocks.-1.hook_resid_post", "blocks.", "blocks.7", "",
                              "blocks.99999999999999999999.hook_resid_post"}) {
    EXPECT_EQ(read(strange), "@-1") << strange;
  }
}

TEST_F(FeatureFileTest, RefusesWhatIsNotComputed) {
  EXPECT_THAT(refusal_of_saelens(R"({"architecture": "gated"})"),
              HasSubstr("architecture: gated autoencoders are not"));
  EXPECT_THAT(refusal_of_saelens(R"({"architecture": "jumpreul"})"), HasSubstr("did you mean 'jumprelu'?"));
  for (const char* norm : {"\"layer_norm\"", "\"constant_norm_rescale\"", "\"strange\""}) {
    EXPECT_THAT(refusal_of_saelens(std::string(R"({"normalize_activations": )") + norm + "}"),
                HasSubstr("is not done here"))
        << norm;
  }
  for (const char* norm : {"\"expected_average_only_in\"", "true"}) {
    EXPECT_THAT(refusal_of_saelens(std::string(R"({"normalize_activations": )") + norm + "}"),
                HasSubstr("fold_activation_norm_scaling_factor"))
        << norm;
  }
  EXPECT_THAT(refusal_of_saelens(R"({"metadata": {"hook_head_index": 3}})"), HasSubstr("single head"));
  EXPECT_THAT(refusal_of_saelens(R"({"finetuning_scaling_factor": true})"), HasSubstr("a factor on each feature"));
  EXPECT_THAT(refusal_of_saelens(R"({"reshape_activations": "hook_z", "hook_name": "blocks.1.hook_mlp_out"})"),
              HasSubstr("does not fit the hook"));
  EXPECT_THAT(refusal_of_saelens(R"({"activation_fn": "tanh-relu"})"), HasSubstr("the activation 'tanh-relu'"));
  EXPECT_THAT(refusal_of_saelens(R"({"architecture": "jumprelu", "activation_fn": "topk", "k": 2})"),
              HasSubstr("the activation 'topk' does not belong"));
  EXPECT_THAT(refusal_of_saelens(R"({"architecture": "topk"})"), HasSubstr("topk without a k"));
  EXPECT_THAT(refusal_of_saelens(R"({"architecture": "topk", "k": 5})"), HasSubstr("k is 5"));
  EXPECT_THAT(refusal_of_saelens(R"({"architecture": "topk", "k": 0})"), HasSubstr("k is 0"));
  EXPECT_THAT(refusal_of_saelens(R"({"architecture": "topk", "k": -1})"), HasSubstr("expected a whole number"));
  EXPECT_THAT(refusal_of_saelens(R"({"architecture": "transcoder", "apply_b_dec_to_input": true})"),
              HasSubstr("apply_b_dec_to_input: is true for a transcoder"));
  EXPECT_THAT(refusal_of_saelens(R"({"hook_name": "blocks.3.hook_resid_pre", "hook_layer": 4})"),
              HasSubstr("correct one of the two"));
  for (const char* out : {"blocks.4.hook_mlp_out", "blocks.3.hook_resid_post"}) {
    EXPECT_THAT(refusal_of_saelens(std::string(R"({"architecture": "transcoder", "hook_name": "blocks.3.mlp.hook_in",
                                   "hook_name_out": ")") +
                                   out + "\"}"),
                HasSubstr("is not the MLP's output of the layer that is read"));
  }
}

TEST_F(FeatureFileTest, RefusesTensorsThatDoNotFit) {
  const std::string config = R"({"architecture": "standard"})";
  const auto with = [&](const Shapes& more) { return refusal_of_saelens(config, sae_and(more)); };
  EXPECT_THAT(refusal_of_saelens(config, {{"w_enc", {3, 4}}, {"b_dec", {3}}}),
              AllOf(HasSubstr("lacks W_enc, b_enc, W_dec"), HasSubstr("it holds b_dec, w_enc")));
  const std::string wanted = ", and must be [d_in, d_sae] with d_sae = 4, the length of b_enc";
  EXPECT_THAT(with({{"W_enc", {4, 3}}}), HasSubstr("'W_enc' has shape [4, 3]" + wanted + ": it looks transposed;"));
  EXPECT_THAT(refusal_of_saelens(R"({"d_in": 3, "d_sae": 4})", sae_and({{"W_enc", {4, 3}}})),
              HasSubstr(": it looks transposed;"));
  EXPECT_THAT(with({{"W_enc", {3, 5}}}), HasSubstr("'W_enc' has shape [3, 5]" + wanted + ";"));
  EXPECT_THAT(with({{"W_dec", {3, 4}}}),
              HasSubstr("'W_dec' has shape [3, 4] (it is transposed), not [d_sae, d_out] = [4, 3]"));
  EXPECT_THAT(with({{"W_enc", {12}}}), HasSubstr("'W_enc' is no matrix"));
  EXPECT_THAT(with({{"b_enc", {1, 4}}}), HasSubstr("'b_enc' has shape [1, 4] (it must be a vector)"));
  EXPECT_THAT(with({{"b_dec", {0}}}), HasSubstr("'b_dec' has shape [0]"));
  EXPECT_THAT(with({{"W_dec", {4, 5}}, {"b_dec", {5}}}), HasSubstr("reads 3 numbers and writes 5"));
  EXPECT_THAT(with({{"b_dec_out", {3}}}), HasSubstr("'b_dec_out' is not known for what this dictionary is said to be"));
  EXPECT_THAT(with({{"threshold", {4}}}), HasSubstr("'threshold' is not known"));
  EXPECT_THAT(with({{"W_skip", {3, 3}}}), HasSubstr("'W_skip' is not known for the architecture 'standard'"));
  EXPECT_THAT(refusal_of_saelens(R"({"architecture": "jumprelu"})"),
              HasSubstr("lacks threshold (it holds W_dec, W_enc, b_dec, b_enc)"));
  EXPECT_THAT(refusal_of_saelens(R"({"architecture": "jumprelu"})", sae_and({{"threshold", {3}}})),
              HasSubstr("'threshold' has shape [3], not [d_sae] = [4]"));
  EXPECT_THAT(refusal_of_saelens(R"({"architecture": "skip_transcoder"})"), HasSubstr("lacks W_skip"));
  EXPECT_THAT(refusal_of_saelens(R"({"d_in": 4})"), HasSubstr("have d_in = 3, but its folder says 4"));
  EXPECT_THAT(refusal_of_saelens(R"({"d_sae": 8})"), HasSubstr("have d_sae = 4, but its folder says 8"));
}

TEST_F(FeatureFileTest, RefusesBrokenFolders) {
  EXPECT_THAT(refusal(folder_ / "absent"), HasSubstr("no such file or folder"));
  EXPECT_THAT(refusal(folder_), HasSubstr("has neither cfg.json"));
  write("cfg.json", "{}");
  EXPECT_THAT(refusal(folder_), HasSubstr("sae_weights.safetensors"));
  for (const char* broken : {"[]", "{", "", R"({"d_in": 3, "d_in": 3})", R"({"architecture": 3})",
                             R"({"metadata": []})", R"({"d_in": 1e99})", R"({"k": "4", "architecture": "topk"})"}) {
    EXPECT_THAT(refusal_of_saelens(broken), HasSubstr("cfg.json")) << broken;
  }
  saelens(kNewest);
  write("sae_weights.safetensors", tensors_file(sae_shapes()).substr(0, 100));
  EXPECT_THAT(refusal(folder_), HasSubstr("claims a header"));
  std::filesystem::remove(folder_ / "cfg.json");
  write("params.npz", "PK");
  EXPECT_THAT(refusal(folder_), HasSubstr("is no safetensors file; convert it"));
  EXPECT_THAT(refusal(write("sae.pt", "PK")), HasSubstr("is no safetensors file; load it"));
}

TEST_F(FeatureFileTest, ReadsSingleFiles) {
  const FeatureFile relu = open_features(write("a.safetensors", tensors_file(sae_shapes())));
  EXPECT_EQ(relu.kind, FeatureKind::unstated);
  EXPECT_EQ(relu.activation, FeatureActivation::relu);
  EXPECT_EQ(relu.encoder, EncoderLayout::inputs_by_features);
  EXPECT_EQ(relu.layers[0].layer, std::nullopt);
  EXPECT_EQ(relu.hook + relu.writes, "");
  EXPECT_FALSE(relu.apply_b_dec_to_input);
  EXPECT_TRUE(relu.leaves_b_dec_open);

  const FeatureFile jump = open_features(write("b.safetensors", tensors_file({{"W_enc", {4, 3}},
                                                                              {"b_enc", {4}},
                                                                              {"W_dec", {4, 3}},
                                                                              {"b_dec", {3}},
                                                                              {"activation_function.threshold", {4}},
                                                                              {"W_skip", {3, 3}}})));
  EXPECT_EQ(jump.kind, FeatureKind::transcoder);
  EXPECT_EQ(jump.encoder, EncoderLayout::features_by_inputs);
  EXPECT_EQ(jump.activation, FeatureActivation::jumprelu);
  EXPECT_EQ(jump.writes, "mlp_out");

  const FeatureFile top = open_features(write(
      "c.safetensors", tensors_file(sae_shapes(), R"("__metadata__": {"activation": "topk", "k": "2", "format": "pt",
      "hook_name": "blocks.2.hook_resid_pre", "apply_b_dec_to_input": "true"},)")));
  EXPECT_EQ(top.activation, FeatureActivation::topk);
  EXPECT_EQ(top.k, 2);
  EXPECT_EQ(top.hook, "resid_pre");
  EXPECT_EQ(top.layers[0].layer, 2);
  EXPECT_TRUE(top.apply_b_dec_to_input);
  EXPECT_FALSE(top.leaves_b_dec_open);
}

TEST_F(FeatureFileTest, RefusesSingleFilesThatCannotBeTold) {
  const auto with = [&](const std::string& words, const Shapes& shapes = sae_shapes()) {
    return refusal(write("a.safetensors", tensors_file(shapes, "\"__metadata__\": {" + words + "},")));
  };
  EXPECT_THAT(with("", {{"W_enc", {3, 3}}, {"b_enc", {3}}, {"W_dec", {3, 3}}, {"b_dec", {3}}}),
              HasSubstr("'W_enc' is square"));
  EXPECT_THAT(with("", sae_and({{"b_gate", {4}}})), HasSubstr("'b_gate' is not known"));
  EXPECT_THAT(with("", sae_and({{"threshold", {4}}, {"log_threshold", {4}}})),
              HasSubstr("'log_threshold' is not known"));
  EXPECT_THAT(with(R"("activation": "topk")"), HasSubstr("topk needs a whole number"));
  EXPECT_THAT(with(R"("activation": "topk", "k": "2x")"), HasSubstr("topk needs a whole number"));
  EXPECT_THAT(with(R"("activation": "topk", "k": "-2")"), HasSubstr("k is -2"));
  EXPECT_THAT(with(R"("activation": "gelu")"), HasSubstr("relu, jumprelu and topk are known"));
  EXPECT_THAT(with(R"("normalize_activations": "layer_norm")"), HasSubstr("only none is computed"));
  EXPECT_THAT(with(R"("apply_b_dec_to_input": "yes")"), HasSubstr("true and false are known"));
  EXPECT_THAT(with(R"("hook_name_out": "blocks.1.hook_mlp_out")"), HasSubstr("of the layer that is read"));
  EXPECT_THAT(with(R"("apply_b_dec_to_input": "true")", sae_and({{"W_skip", {3, 3}}})),
              HasSubstr("b_dec of a transcoder"));
  const std::string k = R"("k":{"dtype":"I64","shape":[],"data_offsets":[0,8]})";
  EXPECT_THAT(
      refusal(write("a.safetensors", safetensors(R"({"W_enc":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},
      "b_enc":{"dtype":"F32","shape":[2],"data_offsets":[16,24]},"W_dec":{"dtype":"F32","shape":[2,1],
      "data_offsets":[24,32]},"b_dec":{"dtype":"F32","shape":[1],"data_offsets":[32,36]},)" +
                                                     k + "}",
                                                 std::string(36, '\0')))),
      HasSubstr("makes this a topk dictionary"));
}

TEST_F(FeatureFileTest, TheHashIsOfWhatCounts) {
  const auto hash = [&](const std::string& config, float from = 0) {
    saelens(config);
    write("sae_weights.safetensors", tensors_file(sae_shapes(), "", from));
    return open_features(folder_).hash();
  };
  const std::string sae = hash(R"({"hook_name": "blocks.3.hook_resid_pre"})");
  EXPECT_EQ(sae.size(), 32u);
  EXPECT_EQ(hash(R"({"metadata": {"hook_name": "blocks.3.hook_resid_pre"}, "dtype": "float32", "d_in": 3})"), sae);
  EXPECT_NE(hash(R"({"hook_name": "blocks.3.hook_resid_pre"})", 1), sae);
  EXPECT_NE(hash(R"({"hook_name": "blocks.4.hook_resid_pre"})"), sae);
  EXPECT_NE(hash(R"({"hook_name": "blocks.3.hook_resid_post"})"), sae);
  EXPECT_NE(hash(R"({"hook_name": "blocks.3.hook_resid_pre", "apply_b_dec_to_input": false})"), sae);
  const std::string two = hash(R"({"hook_name": "blocks.3.hook_resid_pre", "architecture": "topk", "k": 2})");
  EXPECT_NE(two, sae);
  EXPECT_NE(hash(R"({"hook_name": "blocks.3.hook_resid_pre", "architecture": "topk", "k": 3})"), two);
  EXPECT_NE(hash(R"({"hook_name": "blocks.3.hook_resid_pre", "architecture": "topk", "k": 2,
                     "rescale_acts_by_decoder_norm": true})"),
            two);
}

}  // namespace
}  // namespace tributary
