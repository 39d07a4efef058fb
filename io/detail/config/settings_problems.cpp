// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/settings_problems.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "common/errors.h"

namespace tributary::detail::config {

std::string SettingsProblems::where(Source source, Place place) const {
  if (source == Source::command_line) return "command line";
  return file_ + ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
}

void SettingsProblems::add(Source source, std::optional<Place> place, std::string text) {
  // Overrides are not ordered by their places: each is a text of its own.
  if (source == Source::command_line) place.reset();
  entries_.push_back({source, place, std::move(text)});
}

void SettingsProblems::take(Source source, std::vector<Complaint>& complaints, const std::string& suffix) {
  for (Complaint& complaint : complaints) add(source, complaint.place, std::move(complaint.text) + suffix);
  complaints.clear();
}

void SettingsProblems::check() const {
  if (entries_.empty()) return;
  std::vector<Entry> sorted = entries_;
  const auto order = [](const Entry& entry) {
    return std::tuple(entry.source, !entry.place.has_value(), entry.place.value_or(Place{}));
  };
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Entry& a, const Entry& b) { return order(a) < order(b); });
  std::vector<Problem> problems;
  for (Entry& entry : sorted) {
    const bool whole_file = entry.source == Source::file && !entry.place;
    problems.push_back(
        {whole_file ? file_ : where(entry.source, entry.place.value_or(Place{})), std::move(entry.text)});
  }
  throw UserError(std::move(problems));
}

}  // namespace tributary::detail::config
