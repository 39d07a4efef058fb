// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Dictionaries of features written byte by byte.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "io/feature_file.h"
#include "tests/io/checkpoint_fixture.h"

namespace tributary {

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

/// A safetensors file of float32 tensors; all their numbers in file order are 0, 1, 2, …, plus `from`. `before`: header
/// entries in front of them.
inline std::string tensors_file(const Shapes& shapes, const std::string& before = "", float from = 0) {
  std::string header = "{" + before;
  std::string data;
  for (const auto& [name, shape] : shapes) {
    const std::size_t begin = data.size();
    std::int64_t count = 1;
    std::string extents;
    for (const std::int64_t extent : shape) {
      count *= extent;
      extents += (extents.empty() ? "" : ",") + std::to_string(extent);
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const std::size_t place = data.size() / 4;
      const float number = from + static_cast<float>(place);
      char bytes[4];
      std::memcpy(bytes, &number, 4);
      data.append(bytes, 4);
    }
    header += (header.size() > 1 && header.back() != ',' ? "," : "");
    header +=
        fmt::format(R"("{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})", name, extents, begin, data.size());
  }
  return safetensors(header + "}", data);
}

/// The first number of a float32 tensor.
inline float first_of(const StoredTensor& tensor) {
  float number = 0;
  std::memcpy(&number, tensor.data, 4);
  return number;
}

/// Of 4 features that read 3 numbers and write as many.
inline Shapes sae_shapes() { return {{"W_enc", {3, 4}}, {"b_enc", {4}}, {"W_dec", {4, 3}}, {"b_dec", {3}}}; }

/// sae_shapes() with more tensors, or with others of the same names.
inline Shapes sae_and(const Shapes& more) {
  Shapes all = sae_shapes();
  for (const auto& [name, shape] : more) all[name] = shape;
  return all;
}

class FeatureFolder : public TemporaryFolder {
 protected:
  /// A folder of SAELens.
  std::filesystem::path saelens(const std::string& config, const Shapes& shapes = sae_shapes()) const {
    write("cfg.json", config);
    write("sae_weights.safetensors", tensors_file(shapes));
    return folder_;
  }
  [[nodiscard]] std::string refusal_of_saelens(const std::string& config, const Shapes& shapes = sae_shapes()) const {
    return refusal(saelens(config, shapes));
  }
  [[nodiscard]] static std::string refusal(const std::filesystem::path& where) {
    return message_of([&] { (void)open_features(where); });
  }
};

}  // namespace tributary
