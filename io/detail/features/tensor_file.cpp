// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/features/tensor_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/checkpoint/safetensors.h"

namespace tributary::detail::features {

std::string shape_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

TensorFile::TensorFile(const std::filesystem::path& path, std::vector<MappedFile>& mappings) : name_(path.string()) {
  const MappedFile& file = mappings.emplace_back(path);
  checkpoint::SafetensorsContent content = checkpoint::read_safetensors(file.bytes(), name_);
  tensors_ = std::move(content.tensors);
  for (const auto& [tensor, stored] : tensors_) names_.push_back(tensor);
  integers_ = std::move(content.skipped);
  metadata_ = std::move(content.metadata);
}

void TensorFile::require(const std::vector<std::string>& tensors) const {
  std::vector<std::string> missing;
  for (const std::string& tensor : tensors) {
    if (!has(tensor)) missing.push_back(tensor);
  }
  if (missing.empty()) return;
  std::vector<std::string> held = names_;
  if (held.size() > 12) {
    held.resize(12);
    held.emplace_back("…");
  }
  throw UserError(name_, fmt::format("lacks {} (it holds {}); save the dictionary with SAELens, or under these names",
                                     join(missing), held.empty() ? "no floating-point tensor" : join(held)));
}

std::int64_t TensorFile::length(const std::string& tensor) const {
  const Shape& its = shape(tensor);
  if (its.size() != 1 || its[0] == 0) refuse(tensor, "has shape " + shape_text(its) + " (it must be a vector)");
  return its[0];
}

StoredTensor TensorFile::take(const std::string& tensor, const Shape& wanted, const std::string& meaning) {
  StoredTensor& stored = tensors_.at(tensor);
  if (stored.shape != wanted) {
    const bool turned = wanted.size() == 2 && stored.shape == Shape{wanted[1], wanted[0]};
    refuse(tensor, fmt::format("has shape {}{}, not {} = {}", shape_text(stored.shape),
                               turned ? " (it is transposed)" : "", meaning, shape_text(wanted)));
  }
  StoredTensor taken = std::move(stored);
  tensors_.erase(tensor);
  return taken;
}

void TensorFile::refuse_rest() const {
  if (tensors_.empty()) return;
  refuse(tensors_.begin()->first,
         "is not known for what this dictionary is said to be (leaving it out could change what it computes)");
}

void TensorFile::refuse(const std::string& tensor, const std::string& problem) const {
  throw UserError(name_, fmt::format("tensor '{}' {}; fetch or save the dictionary again, or correct what its folder "
                                     "says of it",
                                     printable(tensor, LineEnds::escape), problem));
}

}  // namespace tributary::detail::features
