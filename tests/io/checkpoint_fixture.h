// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Checkpoint folders written byte by byte.
#pragma once

#include <cstdint>
#include <string>

#include "io/checkpoint.h"
#include "tests/io/temporary_folder.h"

namespace tributary {

inline std::string little_endian(std::uint64_t number) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(number >> (8 * i) & 0xFFU);
  return bytes;
}

inline std::string safetensors(const std::string& header, const std::string& data) {
  return little_endian(header.size()) + header + data;
}

/// A folder that holds a config.json.
class CheckpointFolder : public TemporaryFolder {
 protected:
  void SetUp() override {
    TemporaryFolder::SetUp();
    write("config.json", R"({"model_type": "llama"})");
  }

  void write_model(const std::string& header, const std::string& data) const {
    write("model.safetensors", safetensors(header, data));
  }
  [[nodiscard]] std::string refusal() const {
    return message_of([&] { Checkpoint::open(folder_); });
  }
  /// What is said about a model whose only tensor "t" has this header entry.
  [[nodiscard]] std::string refusal_of(const std::string& entry, const std::string& data) const {
    write_model(R"({"t":)" + entry + "}", data);
    return refusal();
  }
};

}  // namespace tributary
