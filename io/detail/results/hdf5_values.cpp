// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/results/hdf5_values.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "io/detail/results/results_layout.h"

namespace tributary::hdf5 {
namespace {

// Filters we do not use may live in plug-ins, and external storage in other files: neither is ours to open.
void check_storage(const DatasetHandle& handle, const std::string& doing) {
  const PropertyList creation(H5Dget_create_plist(handle.get()), doing);
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
  if (!ours) throw Failure("cannot " + doing + " (it is stored in a way results files do not use)");
}

// The size in memory, once it is plain that the file can hold that much: a forged shape must not ask for terabytes.
std::size_t plausible_count(const std::vector<std::int64_t>& shape, std::size_t element_bytes, std::size_t file_bytes,
                            const std::string& doing) {
  constexpr std::size_t kDeflateAtBest = 1100;
  const std::optional<std::int64_t> count = detail::element_count(shape);
  if (!count || static_cast<std::size_t>(*count) > file_bytes * kDeflateAtBest / element_bytes) {
    throw Failure("cannot " + doing + " (its shape asks for more values than the file can hold)");
  }
  return static_cast<std::size_t>(*count);
}

template <class T>
Values read_numbers(const DatasetHandle& handle, std::size_t count, const std::string& doing) {
  std::vector<T> numbers(count);
  if (count > 0) {
    check(H5Dread(handle.get(), Number<T>::in_memory(), H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers.data()), doing);
  }
  return numbers;
}

Values read_texts(const DatasetHandle& handle, std::size_t width, std::size_t count, const std::string& doing) {
  std::vector<std::string> texts;
  texts.reserve(count);
  std::string bytes(count * width, '\0');
  const Datatype type = fixed_string(width);
  if (count > 0) check(H5Dread(handle.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), doing);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view padded = std::string_view(bytes).substr(i * width, width);
    texts.emplace_back(padded.substr(0, padded.find('\0')));
  }
  return texts;
}

}  // namespace

std::vector<std::int64_t> read_shape(const DatasetHandle& handle, const std::string& doing) {
  const Dataspace space(H5Dget_space(handle.get()), doing);
  if (H5Sget_simple_extent_type(space.get()) == H5S_NULL) throw Failure("cannot " + doing + " (it has no shape)");
  Shape shape(static_cast<std::size_t>(check(H5Sget_simple_extent_ndims(space.get()), doing)));
  check(H5Sget_simple_extent_dims(space.get(), shape.data(), nullptr), doing);
  return {shape.begin(), shape.end()};
}

Values read_values(const DatasetHandle& handle, const std::vector<std::int64_t>& shape, std::size_t file_bytes,
                   const std::string& doing) {
  check_storage(handle, doing);
  const Datatype type(H5Dget_type(handle.get()), doing);
  const std::size_t element_bytes = std::max<std::size_t>(H5Tget_size(type.get()), 1);
  const std::size_t count = plausible_count(shape, element_bytes, file_bytes, doing);
  const auto is = [&](hid_t expected) { return check(H5Tequal(type.get(), expected), doing) > 0; };
  if (is(Number<float>::in_file())) return read_numbers<float>(handle, count, doing);
  if (is(Number<double>::in_file())) return read_numbers<double>(handle, count, doing);
  if (is(Number<std::int64_t>::in_file())) return read_numbers<std::int64_t>(handle, count, doing);
  if (is(fixed_string(element_bytes).get())) return read_texts(handle, element_bytes, count, doing);
  throw Failure("cannot " + doing + " (its values are of a type results files do not use)");
}

}  // namespace tributary::hdf5
