// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>
#include <iterator>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/results/hdf5.h"
#include "io/detail/results/hdf5_attributes.h"
#include "io/detail/results/hdf5_values.h"
#include "io/detail/results/results_layout.h"
#include "io/detail/results/results_seal.h"
#include "io/results.h"

namespace tributary {
namespace {

using hdf5::check;

struct Objects {
  std::vector<std::string> groups;
  std::vector<std::string> datasets;
};

// Called by C code, so it must not throw.
herr_t note_object(hid_t /*root*/, const char* name, const H5O_info_t* info, void* objects_address) noexcept {
  try {
    auto& objects = *static_cast<Objects*>(objects_address);
    const std::string path = std::string(name) == "." ? "/" : std::string("/") + name;
    if (info->type == H5O_TYPE_GROUP) objects.groups.push_back(path);
    if (info->type == H5O_TYPE_DATASET) objects.datasets.push_back(path);
    return 0;
  } catch (const std::exception&) {
    return -1;
  }
}

template <class T>
T read_attribute_as(hid_t object, const std::string& name) {
  Attribute value = hdf5::read_attribute(object, name);
  if (!std::holds_alternative<T>(value)) throw hdf5::Failure("cannot use attribute '" + name + "' (unexpected type)");
  return std::get<T>(std::move(value));
}

std::map<std::string, Attribute> read_free_attributes(hid_t object) {
  std::map<std::string, Attribute> attributes;
  for (const std::string& name : hdf5::attribute_names(object)) {
    if (!detail::is_reserved_attribute(name)) attributes.emplace(name, hdf5::read_attribute(object, name));
  }
  return attributes;
}

Dataset read_dataset(const hdf5::File& file, const std::string& path, std::size_t file_bytes) {
  const std::string doing = "read dataset " + path;
  const hdf5::DatasetHandle handle(H5Dopen2(file.get(), path.c_str(), H5P_DEFAULT), doing);
  Dataset dataset;
  dataset.path = path;
  dataset.shape = hdf5::read_shape(handle, doing);
  dataset.values = hdf5::read_values(handle, dataset.shape, file_bytes, doing);
  if (!dataset.shape.empty()) {
    dataset.axes = read_attribute_as<std::vector<std::string>>(handle.get(), "DIMENSION_LABELS");
    if (dataset.axes.size() != dataset.shape.size()) throw hdf5::Failure("cannot " + doing + " (axes without a name)");
  }
  dataset.long_name = read_attribute_as<std::string>(handle.get(), "long_name");
  if (check(H5Aexists(handle.get(), "units"), doing) > 0) {
    dataset.units = read_attribute_as<std::string>(handle.get(), "units");
  }
  dataset.attributes = read_free_attributes(handle.get());
  return dataset;
}

ResultsFile read_image(const std::string& image, const std::function<bool(const std::string& path)>& wanted) {
  const hdf5::Library library;
  const hdf5::File file = hdf5::open_image(image);
  Objects objects;
  check(H5Ovisit2(file.get(), H5_INDEX_NAME, H5_ITER_INC, note_object, &objects, H5O_INFO_BASIC), "list its contents");
  ResultsFile contents;
  for (const std::string& path : objects.datasets) {
    if (wanted && !wanted(path)) continue;
    Dataset dataset = read_dataset(file, path, image.size());
    if (!detail::is_automatic_scale(dataset)) contents.datasets.push_back(std::move(dataset));
  }
  for (const std::string& path : objects.groups) {
    const hdf5::Group group(H5Gopen2(file.get(), path.c_str(), H5P_DEFAULT), "open group " + path);
    auto attributes = read_free_attributes(group.get());
    if (!attributes.empty()) contents.group_attributes.emplace(path, std::move(attributes));
  }
  const std::string misfit = detail::misfit_of(contents);
  if (!misfit.empty()) throw hdf5::Failure(misfit);
  return contents;
}

}  // namespace

std::filesystem::path results_path(const std::filesystem::path& folder) { return folder / "results.h5"; }

const Dataset* ResultsFile::find(const std::string& path) const {
  const auto found =
      std::find_if(datasets.begin(), datasets.end(), [&](const Dataset& dataset) { return dataset.path == path; });
  return found == datasets.end() ? nullptr : &*found;
}

ResultsFile read_results(const std::filesystem::path& file,
                         const std::function<bool(const std::string& path)>& wanted) {
  std::error_code unused;
  if (std::filesystem::exists(file, unused) && !std::filesystem::is_regular_file(file, unused)) {
    throw UserError(file.string(), "this is not a file with contents (a folder or a device); name a results.h5");
  }
  const std::string bytes = read_file(file.string());
  if (!detail::looks_like_results(bytes)) {
    throw UserError(file.string(),
                    "this is not a results file (it does not begin as one); name a results.h5 that this program wrote");
  }
  if (!detail::has_whole_seal(bytes)) {
    throw ResultsChanged(file.string(),
                         "the results file is damaged or was changed (its bytes do not match their hash; a program "
                         "that opens it for writing, as h5py does with 'r+', changes them at once); open files with "
                         "'r', copy it again, or have it written again");
  }
  try {
    return read_image(bytes, wanted);
  } catch (const hdf5::Failure& failure) {
    throw UserError(file.string(), std::string("this is not a results file as this program writes them: ") +
                                       failure.what() + "; have it written again");
  }
}

}  // namespace tributary
