// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/results/hdf5.h"

#include <algorithm>
#include <exception>

namespace tributary::hdf5 {
namespace {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;
constexpr std::size_t kChunkedAbove = std::size_t{64} << 10;
constexpr unsigned kDeflateLevel = 4;

// HDF5 looks for a file even of one in memory; nothing can lie below a device. One name does for all, since the
// lock of Library lets only one be open.
constexpr const char* kNameOfNoFile = "/dev/null/in-memory.h5";

std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

// Called by C code, so it must not throw.
herr_t append_entry(unsigned /*depth*/, const H5E_error2_t* entry, void* text_address) noexcept {
  try {
    auto& text = *static_cast<std::string*>(text_address);
    if (!text.empty()) text += "; ";
    text += std::string(entry->func_name) + ": " + entry->desc;
    return 0;
  } catch (const std::exception&) {
    return -1;
  }
}

// HDF5 copies an image twice unless these say otherwise. The bytes are lent: `buffer` is handed out wherever memory is
// asked for, and never copied, grown or freed.
void* lend(std::size_t, H5FD_file_image_op_t, void* buffer) { return buffer; }
void* stay(void* to, const void*, std::size_t, H5FD_file_image_op_t, void*) { return to; }
void* no_growth(void*, std::size_t, H5FD_file_image_op_t, void*) { return nullptr; }
herr_t keep(void*, H5FD_file_image_op_t, void*) { return 0; }
void* same_buffer(void* buffer) { return buffer; }
herr_t let_go(void*) { return 0; }

std::size_t byte_count(const Shape& shape, std::size_t element_bytes) {
  std::size_t bytes = element_bytes;
  for (const hsize_t length : shape) bytes *= length;
  return bytes;
}

Datatype string_type(std::size_t bytes, H5T_str_t padding) {
  Datatype type(H5Tcopy(H5T_C_S1), "make a string type");
  check(H5Tset_size(type.get(), bytes), "size a string type");
  check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "choose UTF-8 for a string type");
  check(H5Tset_strpad(type.get(), padding), "choose the padding of a string type");
  return type;
}

}  // namespace

Library::Library() : lock_(library_mutex()) {
  H5Eget_auto2(H5E_DEFAULT, &printer_, &printer_data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Library::~Library() { H5Eset_auto2(H5E_DEFAULT, printer_, printer_data_); }

void fail(const std::string& doing) {
  std::string stack;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, append_entry, &stack);
  throw Failure("cannot " + doing + " (" + (stack.empty() ? "HDF5 gives no reason" : "HDF5: " + stack) + ")");
}

File create_in_memory(hsize_t user_block) {
  const PropertyList creation(H5Pcreate(H5P_FILE_CREATE), "make a file creation list");
  check(H5Pset_userblock(creation.get(), user_block), "reserve a user block");
  check(H5Pset_obj_track_times(creation.get(), false), "turn off times");
  const PropertyList access(H5Pcreate(H5P_FILE_ACCESS), "make a file access list");
  check(H5Pset_fapl_core(access.get(), kMebibyte, false), "choose a file in memory");
  check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_EARLIEST, H5F_LIBVER_V110), "choose the file format");
  // Should HDF5's own code leave something open after a failure, the file must still go away.
  check(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), "choose how the file closes");
  return {H5Fcreate(kNameOfNoFile, H5F_ACC_TRUNC, creation.get(), access.get()), "create a file in memory"};
}

std::string image_of(const File& file, hsize_t user_block) {
  check(H5Fflush(file.get(), H5F_SCOPE_GLOBAL), "flush the file in memory");
  const auto size = static_cast<std::size_t>(check(H5Fget_file_image(file.get(), nullptr, 0), "measure the file"));
  std::string image(user_block + size, '\0');
  check(H5Fget_file_image(file.get(), image.data() + user_block, size), "copy the file out of memory");
  return image;
}

File open_image(const std::string& image) {
  const PropertyList access(H5Pcreate(H5P_FILE_ACCESS), "make a file access list");
  check(H5Pset_fapl_core(access.get(), kMebibyte, false), "choose a file in memory");
  check(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), "choose how the file closes");
  // Opened read-only, so nothing writes to it.
  auto* bytes = const_cast<char*>(image.data());
  H5FD_file_image_callbacks_t callbacks{lend, stay, no_growth, keep, same_buffer, let_go, bytes};
  check(H5Pset_file_image_callbacks(access.get(), &callbacks), "lend a file in memory");
  check(H5Pset_file_image(access.get(), bytes, image.size()), "lend a file in memory");
  return {H5Fopen(kNameOfNoFile, H5F_ACC_RDONLY, access.get()), "open it as an HDF5 file"};
}

PropertyList link_creation() {
  PropertyList list(H5Pcreate(H5P_LINK_CREATE), "make a link creation list");
  check(H5Pset_char_encoding(list.get(), H5T_CSET_UTF8), "choose UTF-8 for names of links");
  return list;
}

PropertyList attribute_creation() {
  PropertyList list(H5Pcreate(H5P_ATTRIBUTE_CREATE), "make an attribute creation list");
  check(H5Pset_char_encoding(list.get(), H5T_CSET_UTF8), "choose UTF-8 for names of attributes");
  return list;
}

PropertyList dataset_creation(const Shape& shape, std::size_t element_bytes) {
  PropertyList list(H5Pcreate(H5P_DATASET_CREATE), "make a dataset creation list");
  check(H5Pset_obj_track_times(list.get(), false), "turn off times");
  if (shape.empty() || byte_count(shape, element_bytes) <= kChunkedAbove) return list;
  const Shape chunk = chunk_shape(shape, element_bytes);
  check(H5Pset_chunk(list.get(), static_cast<int>(chunk.size()), chunk.data()), "set chunks");
  check(H5Pset_shuffle(list.get()), "set the shuffle filter");
  check(H5Pset_deflate(list.get(), kDeflateLevel), "set the deflate filter");
  check(H5Pset_fletcher32(list.get()), "set the checksum filter");
  return list;
}

Shape chunk_shape(Shape shape, std::size_t element_bytes) {
  const auto divide_up = [](hsize_t a, hsize_t b) { return (a + b - 1) / b; };
  std::size_t bytes = byte_count(shape, element_bytes);
  for (hsize_t& length : shape) {
    if (bytes <= kMebibyte) break;
    const std::size_t slice = bytes / length;
    const hsize_t most = std::max<hsize_t>(1, kMebibyte / slice);
    // Equal pieces: the last chunk is stored whole, however little of it is used.
    length = divide_up(length, divide_up(length, most));
    bytes = slice * length;
  }
  return shape;
}

Dataspace dataspace(const Shape& shape) {
  if (shape.empty()) return {H5Screate(H5S_SCALAR), "make a scalar dataspace"};
  return {H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), "make a dataspace"};
}

Datatype fixed_string(std::size_t bytes) { return string_type(bytes, H5T_STR_NULLPAD); }

Datatype variable_string() { return string_type(H5T_VARIABLE, H5T_STR_NULLTERM); }

}  // namespace tributary::hdf5
