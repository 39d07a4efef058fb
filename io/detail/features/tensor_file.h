// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One safetensors file whose tensors are taken out by name, each with the shape that it must have; what is left over is
// refused, since it may be part of what the dictionary computes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "io/detail/base/mapped_file.h"

namespace tributary::detail::features {

using Shape = std::vector<std::int64_t>;

/// "[d_in, d_sae]" in numbers.
std::string shape_text(const Shape& shape);

class TensorFile {
 public:
  /// The mapping goes to `mappings`. Throws UserError as read_safetensors does.
  TensorFile(const std::filesystem::path& path, std::vector<MappedFile>& mappings);

  [[nodiscard]] const std::string& name() const { return name_; }
  /// The words of whoever wrote the file.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }
  [[nodiscard]] bool has(const std::string& tensor) const { return tensors_.contains(tensor); }
  /// Whether it is there and holds no floating-point numbers.
  [[nodiscard]] bool has_integers(const std::string& tensor) const { return integers_.contains(tensor); }

  /// Throws UserError with all that are not there.
  void require(const std::vector<std::string>& tensors) const;
  /// Of a tensor that is there.
  [[nodiscard]] const Shape& shape(const std::string& tensor) const { return tensors_.at(tensor).shape; }
  /// How long a vector is that is there. Throws UserError: no vector, or an empty one.
  [[nodiscard]] std::int64_t length(const std::string& tensor) const;
  /// Takes out one that is there. `meaning`: "[d_sae, d_out]".
  StoredTensor take(const std::string& tensor, const Shape& shape, const std::string& meaning);
  void drop(const std::string& tensor) { tensors_.erase(tensor); }
  /// Throws UserError where floating-point tensors are left.
  void refuse_rest() const;
  /// Throws UserError about a tensor.
  [[noreturn]] void refuse(const std::string& tensor, const std::string& problem) const;

 private:
  std::string name_;
  std::map<std::string, StoredTensor> tensors_;  //!< those not taken yet
  std::vector<std::string> names_;               //!< of all that there were
  std::set<std::string> integers_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace tributary::detail::features
