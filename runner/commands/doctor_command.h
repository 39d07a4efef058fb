// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// `tributary doctor`: whether a model computes here what it should, as a table of checks.
#pragma once

#include <filesystem>
#include <string>

namespace tributary {

struct DoctorArguments {
  std::filesystem::path model;  //!< a folder or a repository in the Hub's cache (find_model)
  std::string revision;         //!< of a repository; empty: not given
  std::filesystem::path pairs;  //!< of which the first two that fit are taken; empty: built-in ones
};

/// Prints a row for each check; the exit code says whether one failed. Throws UserError for a model that is not there
/// or not known, and for pairs that do not fit it.
int doctor_command(const DoctorArguments& arguments);

}  // namespace tributary
