// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Files behind a seal that fits, which are what HDF5 makes of them but not what we would write: the bytes choose
// groups, types, shapes, layouts, filters, links and attributes. So HDF5's own parser sees files that are whole: its
// faults are not ours to find.
#include <fuzzer/FuzzedDataProvider.h>
#include <hdf5.h>

#include <iterator>
#include <string>
#include <vector>

#include "io/detail/results/hdf5.h"
#include "io/detail/results/results_seal.h"
#include "io/results.h"
#include "tests/fuzz/targets.h"

namespace tributary::fuzz {
namespace {

/// Names that results files have, and others.
const std::vector<std::string>& names() {
  static const std::vector<std::string> all = {"a",
                                               "x",
                                               "i",
                                               "long_name",
                                               "units",
                                               "DIMENSION_LABELS",
                                               "DIMENSION_LIST",
                                               "REFERENCE_LIST",
                                               "CLASS",
                                               "NAME",
                                               "_Netcdf4Dimid",
                                               "missing_value"};
  return all;
}

class Forger {
 public:
  explicit Forger(Bytes bytes) : data_(bytes.data(), bytes.size()) {}

  std::string image() {
    const hdf5::Library library;
    hdf5::File file = hdf5::create_in_memory(detail::kSealBytes);
    objects_.push_back(file.get());
    for (int left = number(1, 6); left > 0; --left) add_object(file.get());
    for (int left = number(0, 8); left > 0; --left) add_attribute();
    std::string image = hdf5::image_of(file, detail::kSealBytes);
    for (std::size_t i = 1; i < objects_.size(); ++i) H5Oclose(objects_[i]);
    detail::seal(image);
    return image;
  }

 private:
  int number(int least, int most) { return data_.ConsumeIntegralInRange<int>(least, most); }
  template <class T>
  T one_of(const std::vector<T>& among) {
    return among[data_.ConsumeIntegralInRange<std::size_t>(0, among.size() - 1)];
  }
  std::string name() { return data_.ConsumeBool() ? one_of(names()) : data_.ConsumeRandomLengthString(8); }

  /// A type to close.
  hid_t type() {
    switch (number(0, 12)) {
      case 0:
        return H5Tcopy(H5T_IEEE_F32LE);
      case 1:
        return H5Tcopy(H5T_IEEE_F64LE);
      case 2:
        return H5Tcopy(H5T_STD_I64LE);
      case 3: {
        const hid_t text = H5Tcopy(H5T_C_S1);
        H5Tset_size(text, static_cast<std::size_t>(number(1, 40)));
        H5Tset_cset(text, H5T_CSET_UTF8);
        H5Tset_strpad(text, H5T_STR_NULLPAD);
        return text;
      }
      case 4: {
        const hid_t text = H5Tcopy(H5T_C_S1);
        H5Tset_size(text, H5T_VARIABLE);
        H5Tset_cset(text, data_.ConsumeBool() ? H5T_CSET_UTF8 : H5T_CSET_ASCII);
        return text;
      }
      case 5:
        return H5Tvlen_create(H5T_STD_I64LE);
      case 6: {
        const hsize_t dims[] = {3};
        return H5Tarray_create2(H5T_IEEE_F32LE, 1, dims);
      }
      case 7: {
        const hid_t compound = H5Tcreate(H5T_COMPOUND, 16);
        H5Tinsert(compound, "a", 0, H5T_STD_I64LE);
        H5Tinsert(compound, "b", 8, H5T_IEEE_F64LE);
        return compound;
      }
      case 8:
        return H5Tcreate(H5T_OPAQUE, static_cast<std::size_t>(number(1, 16)));
      case 9:
        return H5Tcopy(H5T_STD_REF_OBJ);
      case 10:
        return H5Tcopy(H5T_STD_U8BE);
      case 11:
        return H5Tcopy(H5T_IEEE_F64BE);
      default:
        return H5Tcopy(H5T_STD_I32LE);
    }
  }

  std::vector<hsize_t> shape() {
    std::vector<hsize_t> extents(static_cast<std::size_t>(number(0, 4)));
    for (hsize_t& extent : extents) {
      extent = one_of<hsize_t>({0, 1, 2, 3, 5, 64, hsize_t{1} << 20, hsize_t{1} << 33, hsize_t{1} << 62});
    }
    return extents;
  }

  hid_t space(const std::vector<hsize_t>& extents) {
    if (extents.empty()) return H5Screate(data_.ConsumeBool() ? H5S_SCALAR : H5S_NULL);
    return H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr);
  }

  /// How a dataset is stored: as we do, compact, chunked with any filters, in another file.
  hid_t creation(std::size_t rank) {
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    const int layout = number(0, 4);
    if (layout == 1) H5Pset_layout(list, H5D_COMPACT);
    if (layout == 2 && rank > 0) {
      const std::vector<hsize_t> chunk(rank, static_cast<hsize_t>(number(1, 9)));
      H5Pset_chunk(list, static_cast<int>(rank), chunk.data());
      // First and alone of its kind: HDF5 1.10 writes beyond the chunk where another filter has made it shorter before.
      const int packing = number(0, 3);
      if (packing == 1) H5Pset_nbit(list);
      if (packing == 2) H5Pset_scaleoffset(list, H5Z_SO_INT, 0);
      if (data_.ConsumeBool()) H5Pset_shuffle(list);
      if (data_.ConsumeBool()) H5Pset_deflate(list, 1);
      if (data_.ConsumeBool()) H5Pset_fletcher32(list);
    }
    if (layout == 3) H5Pset_external(list, "/dev/zero", 0, 4096);
    if (layout == 4) H5Pset_virtual(list, H5S_ALL, "elsewhere.h5", "x", H5S_ALL);
    H5Pset_alloc_time(list, data_.ConsumeBool() ? H5D_ALLOC_TIME_LATE : H5D_ALLOC_TIME_INCR);
    return list;
  }

  void add_object(hid_t file) {
    const hid_t where = one_of(objects_);
    const std::string called = name();
    switch (number(0, 7)) {
      case 0:
        keep(H5Gcreate2(where, called.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        break;
      case 1:
        H5Lcreate_soft("/a/x", where, called.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        break;
      case 2:
        H5Lcreate_external("elsewhere.h5", "/x", where, called.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        break;
      case 3:
        H5Lcreate_hard(one_of(objects_), ".", where, called.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        break;
      case 4: {
        const hid_t committed = type();
        H5Tcommit2(file, called.c_str(), committed, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Tclose(committed);
        break;
      }
      default:
        add_dataset(where, called);
    }
  }

  void add_dataset(hid_t where, const std::string& called) {
    const hid_t element = type();
    const std::vector<hsize_t> extents = shape();
    const hid_t extent = space(extents);
    const hid_t list = creation(extents.size());
    hsize_t count = 1;
    for (const hsize_t one : extents) count = one > 64 || count > 4096 ? 8192 : count * one;
    // Where space is taken for huge shapes HDF5 would take it.
    if (count > 4096) H5Pset_alloc_time(list, H5D_ALLOC_TIME_LATE);
    const hid_t dataset = H5Dcreate2(where, called.c_str(), element, extent, H5P_DEFAULT, list, H5P_DEFAULT);
    if (dataset >= 0 && count <= 4096 && is_flat(element)) {
      std::vector<std::uint8_t> values = data_.ConsumeBytes<std::uint8_t>(64);
      values.resize(count * H5Tget_size(element));
      if (!values.empty()) H5Dwrite(dataset, element, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    }
    H5Pclose(list);
    H5Sclose(extent);
    H5Tclose(element);
    keep(dataset);
  }

  static bool is_flat(hid_t element) {
    return H5Tdetect_class(element, H5T_VLEN) <= 0 && H5Tis_variable_str(element) <= 0 &&
           H5Tdetect_class(element, H5T_REFERENCE) <= 0;
  }

  void add_attribute() {
    const hid_t element = type();
    std::vector<hsize_t> extents = shape();
    for (hsize_t& extent : extents) extent = extent > 64 ? 3 : extent;
    const hid_t extent = space(extents);
    const std::string called = name();
    const hid_t attribute = H5Acreate2(one_of(objects_), called.c_str(), element, extent, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0 && H5Sget_simple_extent_type(extent) != H5S_NULL) {
      std::size_t count = 1;
      for (const hsize_t one : extents) count *= one;
      if (is_flat(element)) {
        std::vector<std::uint8_t> values = data_.ConsumeBytes<std::uint8_t>(16);
        values.resize(count * H5Tget_size(element));
        if (!values.empty()) H5Awrite(attribute, element, values.data());
      } else if (H5Tis_variable_str(element) > 0) {
        const std::string text = data_.ConsumeRandomLengthString(12);
        const std::vector<const char*> texts(count, text.c_str());
        if (!texts.empty()) H5Awrite(attribute, element, texts.data());
      }
    }
    if (attribute >= 0) H5Aclose(attribute);
    H5Sclose(extent);
    H5Tclose(element);
  }

  void keep(hid_t object) {
    if (object >= 0) objects_.push_back(object);
  }

  FuzzedDataProvider data_;
  std::vector<hid_t> objects_;  // the file, and what was made in it; datasets have no members, which HDF5 says itself
};

std::size_t size_of(const Values& values) {
  return std::visit([](const auto& held) { return held.size(); }, values);
}

}  // namespace

void read_results_file(Bytes bytes) {
  // HDF5 keeps memory for itself, where the sanitizer does not see what it does with it.
  static const bool none_kept = H5set_free_list_limits(0, 0, 0, 0, 0, 0) >= 0;
  require(none_kept, "HDF5 keeps no memory");
  const std::string image = Forger(bytes).image();
  const auto file = file_of({reinterpret_cast<const std::uint8_t*>(image.data()), image.size()});
  for (const Dataset& dataset : read_results(file).datasets) {
    require(dataset.axes.size() == dataset.shape.size(), "every axis has a name");
    std::size_t count = 1;
    for (const std::int64_t extent : dataset.shape) count *= static_cast<std::size_t>(extent);
    require(count == size_of(dataset.values), "as many values as the shape says");
    require(!dataset.long_name.empty(), "every dataset says what it is");
  }
}

}  // namespace tributary::fuzz
