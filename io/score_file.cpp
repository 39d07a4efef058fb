// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/score_file.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/checkpoint/safetensors.h"
#include "io/detail/results/results_seal.h"
#include "io/detail/scores/hdf5_arrays.h"
#include "io/detail/scores/importances.h"
#include "io/detail/scores/npy.h"
#include "io/detail/scores/numbers.h"
#include "io/detail/scores/score_list.h"
#include "io/results.h"

namespace tributary {
namespace {

namespace scores = detail::scores;

/// What an array of each kind is called, alone in a file and in our results.
struct ArrayNames {
  const char* kind;
  const char* alone;
  const char* in_results;
};

constexpr std::array<ArrayNames, 4> array_names = {{{"neurons", "scores", "/attribution/scores"},
                                                    {"heads", "heads", "/nodes/heads/scores"},
                                                    {"mlps", "mlps", "/nodes/mlps/scores"},
                                                    {"embeddings", "embeddings", "/nodes/embeddings/scores"}}};

void require_any(const ScoreFile& scores, const std::string& file) {
  if (!scores.arrays.empty()) return;
  throw UserError(file, "holds no array of scores (called scores for neurons, heads, mlps or embeddings); write one");
}

ScoreFile read_score_tensors(const std::string& file) {
  const std::string bytes = read_file(file);
  const auto content = detail::checkpoint::read_safetensors(std::as_bytes(std::span(bytes)), file);
  ScoreFile scores;
  for (const ArrayNames& names : array_names) {
    const auto found = content.tensors.find(names.alone);
    if (found == content.tensors.end()) continue;
    const StoredTensor& tensor = found->second;
    const std::string_view data(reinterpret_cast<const char*>(tensor.data), tensor.bytes);
    if (tensor.type != StoredType::float32 && tensor.type != StoredType::float64) {
      throw UserError(file, std::string("'") + names.alone + "' is " + name_of(tensor.type) +
                                " (float32 and float64 can be read); save tensor.float()");
    }
    const bool wide = tensor.type == StoredType::float64;
    scores.arrays[names.kind] = {names.alone, tensor.shape,
                                 wide ? scores::numbers_in<double>(data) : scores::numbers_in<float>(data)};
  }
  require_any(scores, file);
  return scores;
}

/// Of our own results, whose bytes are held against their hash first.
std::vector<ScoreArray> read_results_arrays(const std::string& file, const std::vector<std::string>& paths) {
  const auto wanted = [&paths](const std::string& path) {
    return std::find(paths.begin(), paths.end(), path) != paths.end();
  };
  std::vector<ScoreArray> arrays;
  for (Dataset& dataset : read_results(file, wanted).datasets) {
    const auto* const values = std::get_if<std::vector<float>>(&dataset.values);
    if (values == nullptr) throw UserError(file, dataset.path + " is not float32; have it written again");
    arrays.push_back({dataset.path.substr(1), std::move(dataset.shape), {values->begin(), values->end()}});
  }
  return arrays;
}

ScoreFile read_score_datasets(const std::string& file) {
  std::vector<std::string> paths;
  for (const ArrayNames& names : array_names) {
    paths.push_back(std::string("/") + names.alone);
    paths.emplace_back(names.in_results);
  }
  const std::string image = read_file(file);
  ScoreFile scores;
  for (ScoreArray& array : detail::looks_like_results(image) ? read_results_arrays(file, paths)
                                                             : scores::read_hdf5_arrays(image, paths, file)) {
    const auto is_it = [&array](const ArrayNames& names) {
      return "/" + array.name == names.in_results || array.name == names.alone;
    };
    const std::string kind = std::find_if(array_names.begin(), array_names.end(), is_it)->kind;
    if (scores.arrays.contains(kind)) {
      throw UserError(file, "has scores of " + kind + " twice, as " + scores.arrays[kind].name + " and as " +
                                array.name + "; remove one of the two");
    }
    scores.arrays[kind] = std::move(array);
  }
  require_any(scores, file);
  return scores;
}

ScoreFile read_score_array(const std::string& file) {
  ScoreFile scores;
  scores.arrays[""] = scores::read_npy(read_file(file), file);
  return scores;
}

ScoreFile read_score_table(const std::string& file) {
  ScoreFile scores;
  scores.list = scores::read_score_list(read_file(file), file);
  return scores;
}

}  // namespace

ScoreFile read_score_file(const std::filesystem::path& file) {
  static const std::array<std::pair<std::string_view, ScoreFile (*)(const std::string&)>, 5> forms = {
      {{".npy", read_score_array},
       {".safetensors", read_score_tensors},
       {".h5", read_score_datasets},
       {".json", scores::read_importances},
       {".csv", read_score_table}}};
  for (const auto& [ending, read] : forms) {
    if (file.extension() == ending) return read(file.string());
  }
  throw UserError(file.string(),
                  "does not end in .npy, .safetensors, .h5, .json or .csv (the ending says how scores are read); write "
                  "one of these");
}

}  // namespace tributary
