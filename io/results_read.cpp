// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>
#include <iterator>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/results/hdf5.h"
#include "io/detail/results/hdf5_attributes.h"
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

// Filters we do not use may live in plug-ins, and external storage in other files: neither is ours to open.
void check_storage(const hdf5::DatasetHandle& handle, const std::string& doing) {
  const hdf5::PropertyList creation(H5Dget_create_plist(handle.get()), doing);
  const H5D_layout_t layout = H5Pget_layout(creation.get());
  bool ours = (layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED) && H5Pget_external_count(creation.get()) == 0;
  const int filters = check(H5Pget_nfilters(creation.get()), doing);
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0;
    std::size_t no_values = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(creation.get(), static_cast<unsigned>(i), &flags, &no_values, nullptr, 0, nullptr, nullptr);
    ours = ours && (filter == H5Z_FILTER_SHUFFLE || filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_FLETCHER32);
  }
  if (!ours) throw hdf5::Failure("cannot " + doing + " (it is stored in a way results files do not use)");
}

std::vector<std::int64_t> read_shape(const hdf5::DatasetHandle& handle, const std::string& doing) {
  const hdf5::Dataspace space(H5Dget_space(handle.get()), doing);
  if (H5Sget_simple_extent_type(space.get()) == H5S_NULL) throw hdf5::Failure("cannot " + doing + " (it has no shape)");
  hdf5::Shape shape(static_cast<std::size_t>(check(H5Sget_simple_extent_ndims(space.get()), doing)));
  check(H5Sget_simple_extent_dims(space.get(), shape.data(), nullptr), doing);
  return {shape.begin(), shape.end()};
}

// The size in memory, once it is plain that the file can hold that much: a forged shape must not ask for terabytes.
std::size_t plausible_count(const std::vector<std::int64_t>& shape, std::size_t element_bytes, std::size_t file_bytes,
                            const std::string& doing) {
  constexpr std::size_t kDeflateAtBest = 1100;
  const std::optional<std::int64_t> count = detail::element_count(shape);
  if (!count || static_cast<std::size_t>(*count) > file_bytes * kDeflateAtBest / element_bytes) {
    throw hdf5::Failure("cannot " + doing + " (its shape asks for more values than the file can hold)");
  }
  return static_cast<std::size_t>(*count);
}

template <class T>
Values read_numbers(const hdf5::DatasetHandle& handle, std::size_t count, const std::string& doing) {
  std::vector<T> numbers(count);
  if (count > 0) {
    check(H5Dread(handle.get(), hdf5::Number<T>::in_memory(), H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers.data()), doing);
  }
  return numbers;
}

Values read_texts(const hdf5::DatasetHandle& handle, std::size_t width, std::size_t count, const std::string& doing) {
  std::vector<std::string> texts;
  texts.reserve(count);
  std::string bytes(count * width, '\0');
  const hdf5::Datatype type = hdf5::fixed_string(width);
  if (count > 0) check(H5Dread(handle.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), doing);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view padded = std::string_view(bytes).substr(i * width, width);
    texts.emplace_back(padded.substr(0, padded.find('\0')));
  }
  return texts;
}

Values read_values(const hdf5::DatasetHandle& handle, const std::vector<std::int64_t>& shape, std::size_t file_bytes,
                   const std::string& doing) {
  check_storage(handle, doing);
  const hdf5::Datatype type(H5Dget_type(handle.get()), doing);
  const std::size_t element_bytes = std::max<std::size_t>(H5Tget_size(type.get()), 1);
  const std::size_t count = plausible_count(shape, element_bytes, file_bytes, doing);
  const auto is = [&](hid_t expected) { return check(H5Tequal(type.get(), expected), doing) > 0; };
  if (is(hdf5::Number<float>::in_file())) return read_numbers<float>(handle, count, doing);
  if (is(hdf5::Number<double>::in_file())) return read_numbers<double>(handle, count, doing);
  if (is(hdf5::Number<std::int64_t>::in_file())) return read_numbers<std::int64_t>(handle, count, doing);
  if (is(hdf5::fixed_string(element_bytes).get())) return read_texts(handle, element_bytes, count, doing);
  throw hdf5::Failure("cannot " + doing + " (its values are of a type results files do not use)");
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
  dataset.shape = read_shape(handle, doing);
  dataset.values = read_values(handle, dataset.shape, file_bytes, doing);
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
