// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// `tributary inspect MODEL`: what a checkpoint folder is, and what it answers to a prompt.
#pragma once

#include <filesystem>
#include <string>

namespace tributary {

struct InspectArguments {
  std::filesystem::path model;  //!< a folder or a repository in the Hub's cache (find_model)
  std::string revision;         //!< of a repository; empty: not given
  std::string dtype = "float32";
  std::string prompt;  //!< empty: only describe the model
  std::filesystem::path
      logits;  //!< write /ids [pos] and /logits [pos, vocabulary] float64 of the prompt to this HDF5 file
};

/// Prints the description, and the prompt's tokens and most likely next ones. Throws UserError.
void inspect_command(const InspectArguments& arguments);

}  // namespace tributary
