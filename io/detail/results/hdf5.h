// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A thin layer on the HDF5 C API: handles that close themselves, failures as exceptions that carry HDF5's own
// error stack, and the property lists and types our files use. Knows nothing of what a results file holds.
#pragma once

#include <hdf5.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/errors.h"

namespace tributary::hdf5 {

/// HDF5 could not do it; the message ends with HDF5's error stack.
class Failure : public RuntimeFailure {
 public:
  using RuntimeFailure::RuntimeFailure;
};

/// The right to call HDF5, for one scope. Sites build HDF5 without thread safety, and its high-level part never
/// has any, so one thread at a time; meanwhile errors are collected for Failure and not printed.
class Library {
 public:
  Library();
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

 private:
  std::unique_lock<std::mutex> lock_;
  H5E_auto2_t printer_ = nullptr;
  void* printer_data_ = nullptr;
};

/// Throws Failure: "cannot <doing> (<HDF5's error stack>)".
[[noreturn]] void fail(const std::string& doing);

/// Passes on the result of an HDF5 call, or throws Failure when it is negative. `doing` completes "cannot …".
template <std::signed_integral Status>
Status check(Status status, const std::string& doing) {
  if (status < 0) fail(doing);
  return status;
}

/// Owns one HDF5 identifier.
template <herr_t (*Close)(hid_t)>
class Handle {
 public:
  Handle(hid_t id, const std::string& doing) : id_(check(id, doing)) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) Close(id_);
  }

  [[nodiscard]] hid_t get() const { return id_; }

 private:
  hid_t id_;
};

using File = Handle<H5Fclose>;
using Group = Handle<H5Gclose>;
using DatasetHandle = Handle<H5Dclose>;
using AttributeHandle = Handle<H5Aclose>;
using Dataspace = Handle<H5Sclose>;
using Datatype = Handle<H5Tclose>;
using PropertyList = Handle<H5Pclose>;

using Shape = std::vector<hsize_t>;

/// A new file that lives in memory only, with `user_block` bytes of room before HDF5's own: a power of two ≥ 512.
File create_in_memory(hsize_t user_block);

/// All bytes of a file of create_in_memory, its user block as zeros.
std::string image_of(const File& file, hsize_t user_block);

/// Opens bytes as a file, read-only. `image` must outlive the file.
File open_image(const std::string& image);

/// Names of links and of attributes are UTF-8.
PropertyList link_creation();
PropertyList attribute_creation();

/// Without times; above 64 KiB chunked (see chunk_shape), shuffled, deflated and with checksums.
PropertyList dataset_creation(const Shape& shape, std::size_t element_bytes);

/// At most 1 MiB a chunk: leading dimensions are cut first, so that a chunk holds whole rows of the later ones.
Shape chunk_shape(Shape shape, std::size_t element_bytes);

/// An empty shape is a scalar.
Dataspace dataspace(const Shape& shape);

/// Fixed-length UTF-8, padded with NUL. `bytes` ≥ 1.
Datatype fixed_string(std::size_t bytes);

/// Variable-length UTF-8.
Datatype variable_string();

/// How numbers lie in a file (on every machine alike) and in this machine's memory.
template <class T>
struct Number;

template <>
struct Number<float> {
  static hid_t in_file() { return H5T_IEEE_F32LE; }
  static hid_t in_memory() { return H5T_NATIVE_FLOAT; }
};

template <>
struct Number<double> {
  static hid_t in_file() { return H5T_IEEE_F64LE; }
  static hid_t in_memory() { return H5T_NATIVE_DOUBLE; }
};

template <>
struct Number<std::int64_t> {
  static hid_t in_file() { return H5T_STD_I64LE; }
  static hid_t in_memory() { return H5T_NATIVE_INT64; }
};

}  // namespace tributary::hdf5
