// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Dictionaries of features from their files to what the network computes with.
#pragma once

#include <c10/core/ScalarType.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "attribution/nodes/dictionary.h"
#include "runner/job/job.h"

namespace tributary {

/// Those of a run, ascending by the layer that they read, and of one layer as they are listed.
struct LoadedDictionaries {
  std::shared_ptr<const std::vector<Dictionary>> dictionaries;
  std::vector<std::string> names;  //!< "resid_post 12 layer_12"
  std::vector<std::string> notes;  //!< where they are not used as their files say, or as who saved them may mean
  std::string hash;                //!< of what they hold
  DictionaryBytes bytes;
};

/// Dictionaries that several runs of a sweep use are read once.
class DictionaryShelf {
 public:
  /// Whether what they hold is read: hashed, required to be finite, and converted. Without that they have shapes alone.
  enum class Numbers { read, skip };

  /// Binds them in a dtype; numbers that are stored so stay on the files' mappings. Throws UserError: a file that
  /// cannot be read, a hook or layer that is neither given nor known, widths that are not the model's.
  /// memory: what the run may take, 0: not said. Throws UserError where that is less than the dictionaries alone take.
  const LoadedDictionaries& get(const std::vector<FeatureSource>& sources, const Architecture& architecture,
                                at::ScalarType type, Numbers numbers, std::uint64_t memory);

 private:
  std::map<std::string, LoadedDictionaries> loaded_;
};

/// Gives a job the dictionaries that its nodes need, which so many threads read together.
void add_dictionaries(Job& job, DictionaryShelf& shelf, DictionaryShelf::Numbers numbers, int threads);

}  // namespace tributary
