// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Runs as far as config.json, tokenizer.json and the pairs tell, without weights: what `validate` and `plan` work on,
// on a login node as well. Each model, tokenizer and file of pairs is read once a sweep, and so is what is wrong with
// it.
#pragma once

#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "common/errors.h"
#include "io/config.h"
#include "io/pairs.h"
#include "io/tokenizer.h"
#include "runner/job/dictionaries.h"
#include "runner/job/job.h"

namespace tributary {

/// What reading something gave, or what was wrong with it: kept, so that it is read once.
template <typename T>
class ReadOnce {
 public:
  template <typename Read>
  explicit ReadOnce(const Read& read) {
    try {
      result_.template emplace<T>(read());
    } catch (const UserError& error) {
      result_.template emplace<UserError>(error);
    }
  }
  /// Throws the UserError again.
  [[nodiscard]] const T& value() const {
    if (const auto* error = std::get_if<UserError>(&result_)) throw UserError(*error);
    return std::get<T>(result_);
  }

 private:
  std::variant<std::monostate, T, UserError> result_;
};

/// The models of a sweep without their weights.
class SketchShelf {
 public:
  /// What config.json says. Throws UserError.
  const Architecture& architecture(const std::filesystem::path& folder);
  /// Throws UserError.
  const Tokenizer& tokenizer(const std::filesystem::path& folder);
  /// Pairs for a tokenizer, with equal options read and checked once. Throws UserError.
  const PairSet& pairs(const std::filesystem::path& folder, const PairOptions& options);
  /// Throws UserError unless the weights that are stored are those that config.json describes: names, shapes and
  /// dtypes, from the headers of their files.
  void require_weights(const std::filesystem::path& folder);

  /// A run on this device, of which only its kind counts. Throws UserError for anything that can be known without
  /// weights. pairs.correct_only is not applied: that takes the model.
  Job job(const Settings& given, const at::Device& device);

 private:
  struct Described {
    Architecture architecture;
    std::optional<at::ScalarType> stored;
  };
  struct Model {
    std::optional<ReadOnce<Described>> described;
    std::optional<ReadOnce<Tokenizer>> tokenizer;
    std::optional<ReadOnce<bool>> weights;
    std::list<std::pair<PairOptions, ReadOnce<PairSet>>> pairs;
    std::map<std::pair<at::ScalarType, c10::DeviceType>, std::shared_ptr<const Transformer>> networks;
    std::shared_ptr<ModelMeasures> measures = std::make_shared<ModelMeasures>();
  };
  const Described& described(const std::filesystem::path& folder);
  const std::shared_ptr<const Transformer>& network(const std::filesystem::path& folder, at::ScalarType type,
                                                    const at::Device& device);

  std::map<std::filesystem::path, Model> models_;
  DictionaryShelf dictionaries_;
};

}  // namespace tributary
