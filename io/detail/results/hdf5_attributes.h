// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Attributes of HDF5 groups and datasets to and from memory. Text is variable-length UTF-8, which h5py reads as str.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "io/detail/results/hdf5.h"
#include "io/results.h"

namespace tributary::hdf5 {

/// An attribute lies in its object's header, a message of which holds less than 64 KiB. A text counts
/// kTextBytes there, however long it is.
inline constexpr std::size_t kAttributeBytes = 60'000;
inline constexpr std::size_t kTextBytes = 16;

/// What an attribute takes in the header of its object.
std::size_t bytes_in_header(const Attribute& value);

void write_attribute(hid_t object, const std::string& name, const Attribute& value);

/// Throws Failure when there is no such attribute, or it is of a type that Attribute does not hold.
Attribute read_attribute(hid_t object, const std::string& name);

/// All names, in order.
std::vector<std::string> attribute_names(hid_t object);

}  // namespace tributary::hdf5
