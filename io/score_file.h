// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Scores of nodes that other programs wrote (docs/imported.md has the forms). Knows names, shapes and numbers; which
// nodes a model has, and which scores make sense, is the caller's knowledge.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tributary {

/// An array of numbers, row-major.
struct ScoreArray {
  std::string name;  //!< in the file, for messages; empty: the file is this array
  std::vector<std::int64_t> shape;
  std::vector<double> values;  //!< as many as the shape says; float32 as it is
};

/// The score of one node.
struct ListedScore {
  std::string kind;            //!< "heads"; any text, as the file has it
  std::int64_t layer = 0;      //!< -1: the dictionary says it
  std::int64_t position = -1;  //!< -1: none, or all of them
  std::int64_t index = 0;
  double score = 0;
  std::string where;             //!< "ranking.csv:7", "importances.json: a0.h1"
  std::int64_t dictionary = -1;  //!< of features and errors; -1: none, or the layer says it
};

/// What a file holds: arrays, or a list of single nodes.
struct ScoreFile {
  /// By kind of nodes ("neurons", "heads", "mlps", "embeddings"); an .npy file names none: "".
  std::map<std::string, ScoreArray> arrays{};
  std::optional<std::vector<ListedScore>> list{};
  std::optional<std::int64_t> layers{}, heads{};  //!< of the model, where the file tells
};

/// Reads a file by its ending: .npy, .safetensors, .h5 (ours, or one with the datasets `scores`, `heads`, …), .json (as
/// MIB's code writes and reads it), .csv. Throws UserError: missing, another ending, damaged, numbers of another type
/// than float32 and float64, an array in Fortran's order, names, columns or rows that are not of the form.
ScoreFile read_score_file(const std::filesystem::path& file);

}  // namespace tributary
