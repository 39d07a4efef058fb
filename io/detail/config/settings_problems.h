// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Everything that is wrong with the settings of one file and its overrides, so that a user hears of all of it at once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/detail/config/settings_layer.h"
#include "io/detail/config/yaml_reader.h"

namespace tributary::detail::config {

class SettingsProblems {
 public:
  explicit SettingsProblems(std::string file) : file_(std::move(file)) {}

  /// "sweep.yaml:7:5", or "command line", where a place says nothing.
  [[nodiscard]] std::string where(Source source, Place place) const;

  /// About a place of the source; without one, about the source as a whole.
  void add(Source source, std::optional<Place> place, std::string text);
  /// Moves the complaints here, each with `suffix` behind it.
  void take(Source source, std::vector<Complaint>& complaints, const std::string& suffix = "");

  /// Throws UserError when there are any: those with a place in the file, in the file's order; those about the file as
  /// a whole; those of the command line.
  void check() const;

 private:
  struct Entry {
    Source source;
    std::optional<Place> place;
    std::string text;
  };
  std::string file_;
  std::vector<Entry> entries_;
};

}  // namespace tributary::detail::config
