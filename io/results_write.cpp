// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <hdf5_hl.h>

#include <algorithm>
#include <type_traits>

#include "common/errors.h"
#include "io/atomic_file.h"
#include "io/detail/results/hdf5.h"
#include "io/detail/results/hdf5_attributes.h"
#include "io/detail/results/results_layout.h"
#include "io/detail/results/results_seal.h"
#include "io/results.h"

namespace tributary {
namespace {

using hdf5::check;

struct Blob {
  hdf5::Datatype in_file;
  hdf5::Datatype in_memory;
  const void* data;
};

// Texts side by side, each padded with NUL to `width`.
std::string padded(const std::vector<std::string>& texts, std::size_t width) {
  std::string bytes(texts.size() * width, '\0');
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i].copy(bytes.data() + i * width, width);
  return bytes;
}

std::size_t widest(const std::vector<std::string>& texts) {
  std::size_t width = 1;  // HDF5 knows no strings of no bytes
  for (const std::string& text : texts) width = std::max(width, text.size());
  return width;
}

void write_elements(const hdf5::File& file, const Dataset& dataset, const hdf5::Datatype& in_file, hid_t in_memory,
                    const void* data) {
  const std::string doing = "write dataset " + dataset.path;
  const hdf5::Shape shape(dataset.shape.begin(), dataset.shape.end());
  const hdf5::Dataspace space = hdf5::dataspace(shape);
  const hdf5::PropertyList link = hdf5::link_creation();
  const hdf5::PropertyList creation = hdf5::dataset_creation(shape, H5Tget_size(in_file.get()));
  const hdf5::DatasetHandle handle(
      H5Dcreate2(file.get(), dataset.path.c_str(), in_file.get(), space.get(), link.get(), creation.get(), H5P_DEFAULT),
      doing);
  if (detail::element_count(dataset.shape) != 0) {
    check(H5Dwrite(handle.get(), in_memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), doing);
  }
  hdf5::write_attribute(handle.get(), "long_name", dataset.long_name);
  if (!dataset.units.empty()) hdf5::write_attribute(handle.get(), "units", dataset.units);
  for (const auto& [name, value] : dataset.attributes) hdf5::write_attribute(handle.get(), name, value);
  for (std::size_t d = 0; d < dataset.axes.size(); ++d) {
    check(H5DSset_label(handle.get(), static_cast<unsigned>(d), dataset.axes[d].c_str()), "label an axis");
  }
  if (detail::is_scale(dataset)) check(H5DSset_scale(handle.get(), dataset.axes[0].c_str()), "make a scale");
}

struct ValuesWriter {
  const hdf5::File& file;
  const Dataset& dataset;

  void operator()(const std::vector<std::string>& texts) const {
    const std::size_t width = widest(texts);
    const hdf5::Datatype type = hdf5::fixed_string(width);
    write_elements(file, dataset, type, type.get(), padded(texts, width).data());
  }
  template <class T>
  void operator()(const std::vector<T>& numbers) const {
    const hdf5::Datatype in_file(H5Tcopy(hdf5::Number<T>::in_file()), "copy a number type");
    write_elements(file, dataset, in_file, hdf5::Number<T>::in_memory(), numbers.data());
  }
};

void write_dataset(const hdf5::File& file, const Dataset& dataset) {
  std::visit(ValuesWriter{file, dataset}, dataset.values);
}

void write_group(const hdf5::File& file, const std::string& path) {
  const hdf5::PropertyList link = hdf5::link_creation();
  const hdf5::Group group(H5Gcreate2(file.get(), path.c_str(), link.get(), H5P_DEFAULT, H5P_DEFAULT),
                          "make group " + path);
}

void write_group_attributes(const hdf5::File& file, const std::string& path,
                            const std::map<std::string, Attribute>& attributes) {
  const hdf5::Group group(H5Gopen2(file.get(), path.c_str(), H5P_DEFAULT), "open group " + path);
  for (const auto& [name, value] : attributes) hdf5::write_attribute(group.get(), name, value);
}

void attach_scales(const hdf5::File& file, const Dataset& dataset) {
  if (detail::is_scale(dataset)) return;  // a scale has no scale
  const hdf5::DatasetHandle handle(H5Dopen2(file.get(), dataset.path.c_str(), H5P_DEFAULT), "open " + dataset.path);
  for (std::size_t d = 0; d < dataset.axes.size(); ++d) {
    const std::string path = detail::scale_path(dataset, dataset.axes[d]);
    const hdf5::DatasetHandle scale(H5Dopen2(file.get(), path.c_str(), H5P_DEFAULT), "open " + path);
    check(H5DSattach_scale(handle.get(), scale.get(), static_cast<unsigned>(d)), "attach scale " + path);
  }
}

std::string file_image(const ResultsFile& contents) {
  const hdf5::Library library;
  const hdf5::File file = hdf5::create_in_memory(detail::kSealBytes);
  for (const std::string& group : detail::groups_of(contents)) write_group(file, group);
  for (const auto& [group, attributes] : contents.group_attributes) write_group_attributes(file, group, attributes);
  for (const Dataset& dataset : contents.datasets) write_dataset(file, dataset);
  for (const Dataset& scale : detail::missing_scales(contents)) write_dataset(file, scale);
  for (const Dataset& dataset : contents.datasets) attach_scales(file, dataset);
  return hdf5::image_of(file, detail::kSealBytes);
}

}  // namespace

void write_results(const std::filesystem::path& file, const ResultsFile& contents) {
  const std::string misfit = detail::misfit_of(contents);
  TRIBUTARY_EXPECT(misfit.empty(), misfit);
  std::string image = file_image(contents);
  detail::seal(image);
  write_atomically(file, image);
}

}  // namespace tributary
