// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// HDF5 files as lists of named arrays, each with named axes: written whole, under a temporary name, and
// renamed. Serial HDF5 only, one writer. What our results hold is runner's knowledge; how it lies in the file is ours.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "common/errors.h"

namespace tributary {

using Attribute = std::variant<std::string, std::int64_t, double, std::vector<std::int64_t>, std::vector<double>,
                               std::vector<std::string>>;

using Values =
    std::variant<std::vector<float>, std::vector<double>, std::vector<std::int64_t>, std::vector<std::string>>;

/// One dataset. Row-major values; strings are stored as fixed-length UTF-8 sized to the longest.
struct Dataset {
  std::string path;               //!< "/attribution/scores"
  std::vector<std::string> axes;  //!< one name a dimension: "layer", "position", …
  std::vector<std::int64_t> shape;
  Values values;
  std::string long_name;  //!< what it is, for people
  std::string units;      //!< "logits", "fraction", "1", …; empty: none
  std::map<std::string, Attribute> attributes;
};

/// A file in memory.
struct ResultsFile {
  std::vector<Dataset> datasets;
  std::map<std::string, std::map<std::string, Attribute>> group_attributes;  //!< by group path ("/attribution")

  /// Null when absent.
  [[nodiscard]] const Dataset* find(const std::string& path) const;
};

/// The results of a run that writes to this folder: folder / "results.h5".
std::filesystem::path results_path(const std::filesystem::path& folder);

/// Writes `contents` to `file`: built in memory, written to a temporary name in the same folder, fsynced, renamed, the
/// folder fsynced. Nothing is left behind on failure. Equal contents give equal bytes (no times, no paths).
/// Every dataset gets a `long_name` attribute, `units` unless empty, and on each axis a label and a dimension scale
/// <group>/<axis> (h5py: ds.dims[i].label, ds.dims[i][0]): 0 … n−1, or the dataset of that very path when `contents`
/// has one (1-D, along that axis). Arrays above 64 KiB are chunked (at most 1 MiB), shuffled, deflated (4), with
/// fletcher32. The first 512 bytes (an HDF5 user block) hold a hash of the rest.
/// Throws ContractViolation when axes of one name in one group differ in length, a long_name is empty, a text is not
/// UTF-8 or holds NUL, or a list in an attribute takes more than 60 000 bytes (make it a dataset).
/// Throws UserError when the folder cannot be written (read-only, no permission, disk full: says which and what to
/// do), RuntimeFailure otherwise.
void write_results(const std::filesystem::path& file, const ResultsFile& contents);

/// A file that write_results wrote, but whose bytes are not those that it wrote: damaged, or opened for writing by
/// another program, which is enough to change them.
class ResultsChanged : public UserError {
 public:
  using UserError::UserError;
};

/// Reads a file that write_results wrote: datasets in order of path (those that are `wanted`; empty: all), without
/// automatic scales, and groups that have attributes. Throws UserError when it is missing, not such a file, not byte
/// for byte as it was written (ResultsChanged), or holds what write_results would refuse, such as axes of one name that
/// differ in length.
ResultsFile read_results(const std::filesystem::path& file,
                         const std::function<bool(const std::string& path)>& wanted = {});

}  // namespace tributary
