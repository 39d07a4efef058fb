// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Folders that hold something else than a checkpoint as we read it: named as what they are, with the way out.
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/checkpoint_fixture.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class OtherFormatsTest : public CheckpointFolder {};

TEST_F(OtherFormatsTest, AnAdapterIsNoModel) {
  write("adapter_model.safetensors", "…");
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("holds an adapter, which is no model by itself"), HasSubstr("merge_and_unload"),
                    HasSubstr("tokenizer.save_pretrained into the same one"), Not(HasSubstr("rename"))));
  write("adapter_config.json", R"({"base_model_name_or_path": "acme/base"})");
  EXPECT_THAT(refusal(), HasSubstr("holds an adapter of the model acme/base"));
  fs::remove(folder_ / "config.json");
  EXPECT_THAT(refusal(), HasSubstr("holds an adapter of the model acme/base"));
  fs::remove(folder_ / "adapter_model.safetensors");
  EXPECT_THAT(message_of([&] { read_model_config(folder_); }), HasSubstr("holds an adapter of the model acme/base"));
  write("adapter_config.json", "{broken");
  EXPECT_THAT(refusal(), HasSubstr("holds an adapter, which"));
}

TEST_F(OtherFormatsTest, ShardsNeedTheirIndex) {
  write("model-00002-of-00003.safetensors", "…");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("it has 1 of 3 shards"),
                               HasSubstr("model.safetensors.index.json: fetch that file and the other shards"),
                               Not(HasSubstr("rename"))));
  write("model-00001-of-00003.safetensors", "…");
  write("model-00003-of-00003.safetensors", "…");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("it has 3 of 3 shards"), Not(HasSubstr("the other shards"))));
  for (const char* const name :
       {"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors"}) {
    fs::remove(folder_ / name);
  }
  write("model-x-of-y.safetensors", "…");
  EXPECT_THAT(refusal(), HasSubstr("it has model-x-of-y.safetensors: rename it"));
}

TEST_F(OtherFormatsTest, WeightsOfTorchAreConvertedWithTheirTokenizer) {
  write("pytorch_model.bin", "…");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("it has pytorch_model.bin"), HasSubstr("save_pretrained into a new folder"),
                               HasSubstr("tokenizer.save_pretrained into the same folder")));
}

TEST_F(OtherFormatsTest, LayoutsOfTheMakers) {
  write("consolidated.safetensors", "…");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("it has consolidated.safetensors"), HasSubstr("Hugging Face's format")));
  fs::remove(folder_ / "consolidated.safetensors");
  write("consolidated.00.pth", "…");
  EXPECT_THAT(refusal(), HasSubstr("fetch the files in Hugging Face's format"));
}

}  // namespace
}  // namespace tributary
