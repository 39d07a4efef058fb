// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/results/hdf5_attributes.h"

#include <type_traits>
#include <variant>
#include <vector>

namespace tributary::hdf5 {
namespace {

void write(hid_t object, const std::string& name, const Datatype& in_file, hid_t in_memory, const Shape& shape,
           const void* data) {
  const std::string doing = "write attribute '" + name + "'";
  const Dataspace space = dataspace(shape);
  const PropertyList creation = attribute_creation();
  const AttributeHandle attribute(
      H5Acreate2(object, name.c_str(), in_file.get(), space.get(), creation.get(), H5P_DEFAULT), doing);
  if (data != nullptr) check(H5Awrite(attribute.get(), in_memory, data), doing);
}

void write_texts(hid_t object, const std::string& name, const Shape& shape, std::vector<const char*> texts) {
  const Datatype type = variable_string();
  write(object, name, type, type.get(), shape, texts.empty() ? nullptr : static_cast<const void*>(texts.data()));
}

template <class T>
void write_numbers(hid_t object, const std::string& name, const Shape& shape, const T* data) {
  const Datatype in_file(H5Tcopy(Number<T>::in_file()), "copy a number type");
  write(object, name, in_file, Number<T>::in_memory(), shape, data);
}

struct Writer {
  hid_t object;
  const std::string& name;

  void operator()(const std::string& text) const { write_texts(object, name, {}, {text.c_str()}); }
  void operator()(const std::vector<std::string>& texts) const {
    std::vector<const char*> pointers;
    pointers.reserve(texts.size());
    for (const std::string& text : texts) pointers.push_back(text.c_str());
    write_texts(object, name, {texts.size()}, std::move(pointers));
  }
  template <class T>
  void operator()(const std::vector<T>& numbers) const {
    write_numbers(object, name, {numbers.size()}, numbers.empty() ? nullptr : numbers.data());
  }
  template <class T>
  void operator()(T number) const {
    write_numbers(object, name, {}, &number);
  }
};

template <class T>
std::vector<T> read_numbers(const AttributeHandle& attribute, std::size_t count, const std::string& doing) {
  std::vector<T> numbers(count);
  if (count > 0) check(H5Aread(attribute.get(), Number<T>::in_memory(), numbers.data()), doing);
  return numbers;
}

std::vector<std::string> read_texts(const AttributeHandle& attribute, const Dataspace& space, std::size_t count,
                                    const std::string& doing) {
  std::vector<std::string> texts(count);
  if (count == 0) return texts;
  std::vector<char*> pointers(count, nullptr);
  const Datatype type(H5Aget_type(attribute.get()), doing);
  check(H5Aread(attribute.get(), type.get(), pointers.data()), doing);
  for (std::size_t i = 0; i < count; ++i) {
    if (pointers[i] != nullptr) texts[i] = pointers[i];  // HDF5 gives no pointer for an empty text
  }
  check(H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, pointers.data()), doing);
  return texts;
}

template <class T>
Attribute scalar_or_list(H5S_class_t kind, std::vector<T> values) {
  if (kind == H5S_SCALAR) return std::move(values.at(0));
  return values;
}

}  // namespace

std::size_t bytes_in_header(const Attribute& value) {
  const auto bytes = [](const auto& held) -> std::size_t {
    using Held = std::decay_t<decltype(held)>;
    if constexpr (std::is_arithmetic_v<Held>)
      return sizeof held;
    else if constexpr (std::is_same_v<Held, std::string>)
      return kTextBytes;
    else if constexpr (std::is_same_v<Held, std::vector<std::string>>)
      return held.size() * kTextBytes;
    else
      return held.size() * sizeof held[0];
  };
  return std::visit(bytes, value);
}

void write_attribute(hid_t object, const std::string& name, const Attribute& value) {
  std::visit(Writer{object, name}, value);
}

Attribute read_attribute(hid_t object, const std::string& name) {
  const std::string doing = "read attribute '" + name + "'";
  const AttributeHandle attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT), doing);
  const Dataspace space(H5Aget_space(attribute.get()), doing);
  const H5S_class_t kind = H5Sget_simple_extent_type(space.get());
  const int rank = check(H5Sget_simple_extent_ndims(space.get()), doing);
  if (kind == H5S_NULL || rank > 1 || H5Aget_storage_size(attribute.get()) > kAttributeBytes) {
    throw Failure("cannot " + doing + " (it is not a single value or a short list)");
  }
  const auto count = static_cast<std::size_t>(check(H5Sget_simple_extent_npoints(space.get()), doing));
  const Datatype type(H5Aget_type(attribute.get()), doing);
  const auto is = [&](hid_t expected) { return check(H5Tequal(type.get(), expected), doing) > 0; };
  if (is(Number<std::int64_t>::in_file())) {
    return scalar_or_list(kind, read_numbers<std::int64_t>(attribute, count, doing));
  }
  if (is(Number<double>::in_file())) return scalar_or_list(kind, read_numbers<double>(attribute, count, doing));
  if (check(H5Tis_variable_str(type.get()), doing) > 0) {
    return scalar_or_list(kind, read_texts(attribute, space, count, doing));
  }
  throw Failure("cannot " + doing + " (it is neither text nor 64-bit numbers)");
}

std::vector<std::string> attribute_names(hid_t object) {
  H5O_info_t info;
  check(H5Oget_info2(object, &info, H5O_INFO_NUM_ATTRS), "count attributes");
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.num_attrs; ++i) {
    const AttributeHandle attribute(
        H5Aopen_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT), "open an attribute");
    const auto length = static_cast<std::size_t>(check(H5Aget_name(attribute.get(), 0, nullptr), "name an attribute"));
    std::string name(length + 1, '\0');
    check(H5Aget_name(attribute.get(), name.size(), name.data()), "name an attribute");
    name.resize(length);
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace tributary::hdf5
