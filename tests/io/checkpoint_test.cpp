// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints against a file that the safetensors package wrote, and against every way of breaking one.
#include "io/checkpoint.h"

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/io/checkpoint_fixture.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Written by the Python package safetensors (torch flavour) from seven tensors of seven dtypes; its header is padded
/// with spaces, and the BF16, F16 and BOOL tensors are not aligned to 8 bytes.
const std::string official_header =
    R"({"__metadata__":{"format":"pt"},"ids":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"d":{"dtype":"F64","shape")"
    R"(:[1],"data_offsets":[16,24]},"none":{"dtype":"F32","shape":[0,4],"data_offsets":[24,24]},"w":{"dtype":"F32","shape")"
    R"(:[1,3],"data_offsets":[24,36]},"h":{"dtype":"BF16","shape":[2],"data_offsets":[36,40]},"s":{"dtype":"F16","shape")"
    R"(:[],"data_offsets":[40,42]},"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[42,45]}}   )";
const std::vector<unsigned char> official_data = {5, 0,    0, 0, 0,    0,    0, 0,    6,    0,    0, 0,    0,    0, 0,
                                                  0, 0,    0, 0, 0,    0,    0, 4,    0x40, 0,    0, 0xC0, 0x3F, 0, 0,
                                                  0, 0xC0, 0, 0, 0x50, 0x40, 0, 0x3F, 0x80, 0xBF, 0, 0x47, 1,    0, 1};

std::string bytes_of(const std::vector<unsigned char>& bytes) { return {bytes.begin(), bytes.end()}; }

using CheckpointTest = CheckpointFolder;

template <typename T>
T value_at(const StoredTensor& tensor, std::size_t index) {
  T value;
  std::memcpy(&value, tensor.data + index * sizeof(T), sizeof(T));
  return value;
}

TEST_F(CheckpointTest, ReadsWhatTheSafetensorsPackageWrote) {
  write_model(official_header, bytes_of(official_data));
  const Checkpoint checkpoint = Checkpoint::open(folder_);

  std::vector<std::string> names;
  for (const auto& [name, tensor] : checkpoint.tensors()) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("d", "h", "none", "s", "w"));
  EXPECT_EQ(checkpoint.find("ids"), nullptr);
  EXPECT_EQ(checkpoint.find("mask"), nullptr);
  EXPECT_EQ(checkpoint.find("__metadata__"), nullptr);
  EXPECT_EQ(checkpoint.config().at("model_type"), "llama");
  EXPECT_EQ(checkpoint.folder(), folder_);

  const StoredTensor& w = *checkpoint.find("w");
  EXPECT_EQ(w.type, StoredType::float32);
  EXPECT_THAT(w.shape, ElementsAre(1, 3));
  EXPECT_EQ(w.bytes, 12U);
  EXPECT_EQ(w.file, (folder_ / "model.safetensors").string());
  EXPECT_EQ(value_at<float>(w, 0), 1.5F);
  EXPECT_EQ(value_at<float>(w, 1), -2.0F);
  EXPECT_EQ(value_at<float>(w, 2), 3.25F);

  EXPECT_EQ(value_at<double>(*checkpoint.find("d"), 0), 2.5);
  EXPECT_EQ(checkpoint.find("h")->type, StoredType::bfloat16);
  EXPECT_EQ(value_at<std::uint16_t>(*checkpoint.find("h"), 1), 0xBF80);  // -1
  EXPECT_EQ(checkpoint.find("s")->type, StoredType::float16);
  EXPECT_THAT(checkpoint.find("s")->shape, IsEmpty());
  EXPECT_EQ(value_at<std::uint16_t>(*checkpoint.find("s"), 0), 0x4700);  // 7
  EXPECT_THAT(checkpoint.find("none")->shape, ElementsAre(0, 4));
  EXPECT_EQ(checkpoint.find("none")->bytes, 0U);
}

TEST_F(CheckpointTest, DtypesHaveTheirSizesAndNames) {
  EXPECT_EQ(size_of(StoredType::float64), 8U);
  EXPECT_EQ(size_of(StoredType::float32), 4U);
  EXPECT_EQ(size_of(StoredType::float16), 2U);
  EXPECT_EQ(size_of(StoredType::bfloat16), 2U);
  EXPECT_EQ(name_of(StoredType::float64) + name_of(StoredType::float32), "F64F32");
  EXPECT_EQ(name_of(StoredType::float16) + name_of(StoredType::bfloat16), "F16BF16");
}

TEST_F(CheckpointTest, CopiesKeepTheMappingAlive) {
  write_model(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", std::string("\x00\x00\x80\x3f", 4));
  const StoredTensor* tensor = nullptr;
  Checkpoint copy = [&] {
    Checkpoint first = Checkpoint::open(folder_);
    return first;
  }();
  fs::remove(folder_ / "model.safetensors");
  tensor = copy.find("t");
  EXPECT_EQ(value_at<float>(*tensor, 0), 1.0F);
}

TEST_F(CheckpointTest, WritingToATensorFaults) {
  write_model(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "abcd");
  const Checkpoint checkpoint = Checkpoint::open(folder_);
  auto* const bytes = const_cast<std::byte*>(checkpoint.find("t")->data);
  EXPECT_DEATH(*static_cast<volatile std::byte*>(bytes) = std::byte{1}, "");
}

TEST_F(CheckpointTest, MissingPiecesAreNamedWithAWayOut) {
  EXPECT_THAT(refusal(), AllOf(HasSubstr("neither model.safetensors nor model.safetensors.index.json"),
                               HasSubstr("Hugging Face checkpoint")));
  write("pytorch_model.bin", "zip");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("pytorch_model.bin"), HasSubstr("save_pretrained"), HasSubstr("safetensors")));
  fs::remove(folder_ / "pytorch_model.bin");
  write("model-Q4.gguf", "GGUF");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("model-Q4.gguf"), HasSubstr("gguf_file")));
  fs::remove(folder_ / "config.json");
  EXPECT_THAT(refusal(), HasSubstr("has no config.json"));
  EXPECT_THAT(message_of([&] { Checkpoint::open(folder_ / "nowhere"); }),
              AllOf(HasSubstr("nowhere"), HasSubstr("no such folder")));
  EXPECT_THAT(message_of([&] { Checkpoint::open(folder_ / "model-Q4.gguf"); }), HasSubstr("is a file"));
}

TEST_F(CheckpointTest, ConfigErrorsHaveLineAndColumn) {
  write_model(official_header, bytes_of(official_data));
  const std::string config = (folder_ / "config.json").string();
  struct Case {
    std::string text;
    std::string where;
    std::string says;
  };
  const std::vector<Case> cases = {
      {"{\n  \"a\": 1\n  \"b\": 2\n}", ":3:3: ", "expected '}'"},
      {"{\n  \"é\": tru\n}", ":2:11: ", "invalid literal"},
      {"{\"a\": 1", ":1:8: ", "unexpected end of input"},
      {"", ":1:1: ", "unexpected end of input"},
      {"{} x", ":1:4: ", "invalid literal"},
      {"{\"a\": 1,\n \"b\\\"\": 2,\n \"b\\\"\": 3}", ":3:2: ", "given twice"},
      {"{\"a\": {\"x\": 1, \"x\": 2}}", ":1:16: ", "the key \"x\" is given twice"},
      {"{\"a\": \"\xC3\x28\"}", ":1:8: ", "byte 0xC3 is not valid UTF-8"},
      {std::string("{\"a\": 1}\n\0{", 11), ":2:1: ", "NUL"},
      {"{\"a\": 1e999}", ":1:7: ", "number overflow"},
      {"[1]", ":1:1: ", "not a JSON object"},
      {std::string(100'000, '['), ":1:65: ", "nested more than 64 deep"},
  };
  for (const Case& c : cases) {
    write("config.json", c.text);
    EXPECT_THAT(refusal(), AllOf(HasSubstr(config + c.where), HasSubstr(c.says))) << c.text.substr(0, 60);
  }
}

TEST_F(CheckpointTest, ConfigKeepsValuesOfAllKinds) {
  write_model(official_header, bytes_of(official_data));
  write(
      "config.json",
      R"({"n": null, "b": true, "i": -3, "u": 18446744073709551615, "f": 1e-5, "a": [1, [2, {"x": "é\n"}], []], "o": {}})");
  const Checkpoint checkpoint = Checkpoint::open(folder_);
  const nlohmann::json& config = checkpoint.config();
  EXPECT_TRUE(config.at("n").is_null());
  EXPECT_EQ(config.at("b"), true);
  EXPECT_EQ(config.at("i"), -3);
  EXPECT_EQ(config.at("u"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(config.at("f"), 1e-5);
  EXPECT_EQ(config.at("a").at(0), 1);
  EXPECT_EQ(config.at("a").at(1).at(1).at("x"), "é\n");
  EXPECT_TRUE(config.at("a").at(2).is_array());
  EXPECT_TRUE(config.at("o").is_object());
  EXPECT_EQ(config.size(), 7U);
}

TEST_F(CheckpointTest, BrokenFramesAreRefused) {
  struct Case {
    std::string content;
    std::string says;
  };
  const std::vector<Case> cases = {
      {"", "has only 0 bytes"},
      {"1234567", "has only 7 bytes"},
      {little_endian(3) + "{}", "claims a header of 3 bytes but has only 2"},
      {little_endian(std::numeric_limits<std::uint64_t>::max()) + "{}", "18446744073709551615"},
      {"version https://git-lfs.example/spec/v1", "Git LFS"},
      {safetensors("", ""), "unexpected end of input"},
      {safetensors("[]", ""), "not a JSON object"},
      {safetensors("{\"t\": }", ""), "model.safetensors (header):1:7: "},
      {safetensors(std::string("{}\0\0", 4), ""), "NUL"},
      {safetensors(
           R"({"t":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"t":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
           "abcd"),
       "\"t\" is given twice"},
      {safetensors(R"({"t":)" + std::string(5000, '[') + std::string(5000, ']') + "}", ""), "nested more than 64 deep"},
      {safetensors("{}", ""), "no floating-point tensor"},
      {safetensors(R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "a"), "no floating-point tensor"},
  };
  for (const Case& c : cases) {
    write("model.safetensors", c.content);
    EXPECT_THAT(refusal(), AllOf(HasSubstr(folder_.string()), HasSubstr(c.says))) << c.content.substr(0, 60);
  }
}

TEST_F(CheckpointTest, BrokenEntriesAreRefusedWithTheTensorsName) {
  struct Case {
    std::string entry;
    std::string says;
  };
  const std::vector<Case> cases = {
      {"3", "not an object"},
      {R"({"shape":[1],"data_offsets":[0,4]})", "no \"dtype\""},
      {R"({"dtype":32,"shape":[1],"data_offsets":[0,4]})", "\"dtype\" is not a string"},
      {R"({"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]})", "dtype 'F8_E4M3' (only F64"},
      {R"({"dtype":"F32","data_offsets":[0,4]})", "no \"shape\""},
      {R"({"dtype":"F32","shape":"1","data_offsets":[0,4]})", "\"shape\" is not a list"},
      {R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", "\"shape\" holds -1"},
      {R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})", "\"shape\" holds 1.0"},
      {R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]})", "\"shape\" holds 9223372036854775808"},
      {R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]})", "more bytes than 64 bits can count"},
      {R"({"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]})", "more bytes than 64 bits can count"},
      {R"({"dtype":"F32","shape":[1]})", "no \"data_offsets\""},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0]})", "holds 1 numbers, not 2"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})", "begin at 4 and end before, at 0"},
      {R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", "end at 8 but the file has 4 bytes"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})", "\"data_offsets\" holds -4"},
      {R"({"dtype":"F16","shape":[1],"data_offsets":[0,4]})", "F16 of shape [1] needs 2 bytes, its range 0..4 has 4"},
      {R"({"dtype":"F32","shape":[0],"data_offsets":[0,4]})", "F32 of shape [0] needs 0 bytes"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(refusal_of(c.entry, "abcd"),
                AllOf(HasSubstr((folder_ / "model.safetensors").string()), HasSubstr("tensor 't'"), HasSubstr(c.says)))
        << c.entry;
  }
}

TEST_F(CheckpointTest, OverlapsHolesAndTrailingBytesAreRefused) {
  const auto entry = [](const std::string& name, const std::string& dtype, int extent, int begin, int end) {
    return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + std::to_string(extent) +
           "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
  };
  const std::string data(12, 'x');
  write_model("{" + entry("a", "F32", 2, 0, 8) + "," + entry("b", "F32", 2, 4, 12) + "}", data);
  EXPECT_THAT(refusal(), HasSubstr("tensor 'b': its bytes 4..12 overlap those of 'a', which end at 8"));
  // Even a buffer that is skipped may not share bytes with a weight.
  write_model("{" + entry("a", "F32", 3, 0, 12) + "," + entry("b", "U8", 4, 4, 8) + "}", data);
  EXPECT_THAT(refusal(), HasSubstr("tensor 'b': its bytes 4..8 overlap those of 'a', which end at 12"));
  write_model("{" + entry("a", "F32", 1, 0, 4) + "," + entry("b", "F32", 1, 8, 12) + "}", data);
  EXPECT_THAT(refusal(), HasSubstr("tensor 'b': bytes 4..8 before it belong to no tensor"));
  write_model("{" + entry("a", "F32", 2, 4, 12) + "}", data);
  EXPECT_THAT(refusal(), HasSubstr("bytes 0..4 before it"));
  write_model("{" + entry("a", "F32", 2, 0, 8) + "}", data);
  EXPECT_THAT(refusal(), HasSubstr("4 bytes after the last tensor belong to no tensor"));
  write_model(
      "{" + entry("b", "F32", 1, 8, 12) + "," + entry("z", "F32", 0, 8, 8) + "," + entry("a", "F32", 2, 0, 8) + "}",
      data);
  EXPECT_EQ(Checkpoint::open(folder_).tensors().size(), 3U);
}

}  // namespace
}  // namespace tributary
