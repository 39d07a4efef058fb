// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/scores/hdf5_arrays.h"

#include <cstddef>
#include <utility>
#include <variant>

#include "common/errors.h"
#include "io/detail/results/hdf5.h"
#include "io/detail/results/hdf5_values.h"

namespace tributary::detail::scores {
namespace {

/// Whether the path leads to something in the file itself.
bool leads_inside(const hdf5::File& file, const std::string& path) {
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    const std::string part = path.substr(0, end);
    const std::string doing = "look for " + part;
    if (hdf5::check(H5Lexists(file.get(), part.c_str(), H5P_DEFAULT), doing) == 0) return false;
    H5L_info_t info;
    hdf5::check(H5Lget_info(file.get(), part.c_str(), &info, H5P_DEFAULT), doing);
    if (info.type != H5L_TYPE_HARD) throw hdf5::Failure("cannot use " + part + " (it is a link to something else)");
    H5O_info_t object;
    hdf5::check(H5Oget_info_by_name2(file.get(), part.c_str(), &object, H5O_INFO_BASIC, H5P_DEFAULT), doing);
    if (object.type != (end == std::string::npos ? H5O_TYPE_DATASET : H5O_TYPE_GROUP)) return false;
  }
  return true;
}

ScoreArray read_array(const hdf5::File& file, const std::string& path, std::size_t file_bytes) {
  const std::string doing = "read dataset " + path;
  const hdf5::DatasetHandle handle(H5Dopen2(file.get(), path.c_str(), H5P_DEFAULT), doing);
  ScoreArray array{path.substr(1), hdf5::read_shape(handle, doing), {}};
  const Values values = hdf5::read_values(handle, array.shape, file_bytes, doing);
  if (const auto* narrow = std::get_if<std::vector<float>>(&values)) {
    array.values.assign(narrow->begin(), narrow->end());
  } else if (const auto* wide = std::get_if<std::vector<double>>(&values)) {
    array.values = *wide;
  } else {
    throw hdf5::Failure("cannot " + doing + " (its values are neither float32 nor float64)");
  }
  return array;
}

}  // namespace

std::vector<ScoreArray> read_hdf5_arrays(const std::string& image, const std::vector<std::string>& paths,
                                         const std::string& file) {
  try {
    const hdf5::Library library;
    const hdf5::File opened = hdf5::open_image(image);
    std::vector<ScoreArray> arrays;
    for (const std::string& path : paths) {
      if (leads_inside(opened, path)) arrays.push_back(read_array(opened, path, image.size()));
    }
    return arrays;
  } catch (const hdf5::Failure& failure) {
    throw UserError(file, std::string(failure.what()) +
                              "; write it with h5py as little-endian float32 or float64, compressed with gzip or not "
                              "at all");
  }
}

}  // namespace tributary::detail::scores
