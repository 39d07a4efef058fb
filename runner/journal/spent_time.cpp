// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/spent_time.h"

#include <cmath>

#include "common/errors.h"
#include "runner/journal/detail/journal_files.h"

namespace tributary {
namespace {

constexpr const char* file_name = "seconds.json";

}  // namespace

double spent_seconds(const std::filesystem::path& stage_folder) {
  const std::filesystem::path file = stage_folder / file_name;
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return 0;
  const detail::Json spent = detail::Json::parse(detail::read_journal_file(file), nullptr, /*allow_exceptions=*/false);
  if (!spent.is_object() || !spent.contains("seconds") || !spent["seconds"].is_number()) return 0;
  const double seconds = spent["seconds"].get<double>();
  return std::isfinite(seconds) && seconds >= 0 ? seconds : 0;
}

void keep_spent_seconds(const std::filesystem::path& stage_folder, double seconds) {
  try {
    detail::write_json_file(stage_folder / file_name, {{"seconds", seconds}});
  } catch (const RuntimeFailure&) {  // of a full disk the next block tells
  } catch (const UserError&) {
  }
}

}  // namespace tributary
