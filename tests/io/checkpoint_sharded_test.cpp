// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Models cut into several files, and the identity that does not depend on the cut.
#include "io/checkpoint.h"

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include "tests/io/checkpoint_fixture.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class ShardedTest : public CheckpointFolder {
 protected:
  void SetUp() override {
    CheckpointFolder::SetUp();
    write(
        "s1.safetensors",
        safetensors(
            R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"mask":{"dtype":"BOOL","shape":[1],"data_offsets":[4,5]}})",
            "bbbb1"));
    write("s2.safetensors", safetensors(R"({"a":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]}})", "aaaa"));
    write_index(R"({"a":"s2.safetensors","b":"s1.safetensors","mask":"s1.safetensors"})");
  }
  void write_index(const std::string& map) const {
    write("model.safetensors.index.json", R"({"metadata":{"total_size":9},"weight_map":)" + map + "}");
  }
};

TEST_F(ShardedTest, ShardsAreOneModel) {
  const Checkpoint checkpoint = Checkpoint::open(folder_);
  EXPECT_EQ(checkpoint.tensors().size(), 2U);
  EXPECT_EQ(std::memcmp(checkpoint.find("a")->data, "aaaa", 4), 0);
  EXPECT_EQ(std::memcmp(checkpoint.find("b")->data, "bbbb", 4), 0);
  EXPECT_EQ(checkpoint.find("a")->file, (folder_ / "s2.safetensors").string());
}

TEST_F(ShardedTest, BrokenIndexesAreRefused) {
  struct Case {
    std::string map;
    std::string says;
  };
  const std::vector<Case> cases = {
      {R"({"a":"../s2.safetensors"})", "names \"../s2.safetensors\" for tensor 'a' (only a plain file name"},
      {R"({"a":"/etc/passwd"})", "only a plain file name"},
      {R"({"a":"sub\\s2.safetensors"})", "only a plain file name"},
      {R"({"a":".."})", "only a plain file name"},
      {R"({"a":""})", "only a plain file name"},
      {R"({"a":"s2.safetensors\u0000"})", "only a plain file name"},
      {R"({"a":7})", "names 7 for tensor 'a'"},
      {"{}", "no \"weight_map\""},
      {"[]", "no \"weight_map\""},
      {R"({"a":"s2.safetensors","b":"s3.safetensors","c":"s4.safetensors"})", "s3.safetensors: is missing"},
      {R"({"a":"s2.safetensors","b":"s3.safetensors","c":"s4.safetensors"})", "s4.safetensors: is missing"},
      {R"({"a":"s2.safetensors","b":"s1.safetensors","c":"s1.safetensors"})", "s1.safetensors: lacks tensor 'c'"},
      {R"({"a":"s1.safetensors","b":"s2.safetensors"})", "s1.safetensors: lacks tensor 'a'"},
      {R"({"a":"s2.safetensors", "a":"s1.safetensors"})", "index.json:1:66: the key \"a\" is given twice"},
  };
  for (const Case& c : cases) {
    write_index(c.map);
    EXPECT_THAT(refusal(), HasSubstr(c.says)) << c.map;
  }
  write(
      "s2.safetensors",
      safetensors(
          R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
          "aaaabbbb"));
  write_index(R"({"a":"s2.safetensors","b":"s1.safetensors"})");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("s2.safetensors: tensor 'b' lies in"), HasSubstr("s1.safetensors")));
}

/// The identity written out by hand: field lengths, then fields, in name order; hashed in one go.
std::string expected_hash(const std::string& config) {
  std::string text = little_endian(config.size()) + config;
  text += little_endian(1) + "a" + little_endian(3) + "F16" + little_endian(2) + little_endian(2) + little_endian(1);
  text += little_endian(4) + "aaaa";
  text += little_endian(1) + "b" + little_endian(3) + "F32" + little_endian(1) + little_endian(1);
  text += little_endian(4) + "bbbb";
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(text.data(), text.size()));
  std::string hex;
  for (const unsigned char byte : canonical.digest) {
    const char* const digits = "0123456789abcdef";
    hex += digits[byte >> 4U];
    hex += digits[byte & 15U];
  }
  return hex;
}

TEST_F(ShardedTest, HashDependsOnContentNotOnFiles) {
  const std::string sharded = Checkpoint::open(folder_).hash();
  EXPECT_EQ(sharded, expected_hash(R"({"model_type": "llama"})"));

  write_model(
      R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F16","shape":[2,1],"data_offsets":[4,8]}})",
      "bbbbaaaa");
  EXPECT_EQ(Checkpoint::open(folder_).hash(), sharded);
  write_model(
      R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F16","shape":[1,2],"data_offsets":[4,8]}})",
      "bbbbaaaa");
  EXPECT_NE(Checkpoint::open(folder_).hash(), sharded);
  write_model(
      R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"BF16","shape":[2,1],"data_offsets":[4,8]}})",
      "bbbbaaaa");
  EXPECT_NE(Checkpoint::open(folder_).hash(), sharded);
  fs::remove(folder_ / "model.safetensors");
  write("config.json", R"({"model_type": "qwen2"})");
  EXPECT_EQ(Checkpoint::open(folder_).hash(), expected_hash(R"({"model_type": "qwen2"})"));
}

}  // namespace
}  // namespace tributary
