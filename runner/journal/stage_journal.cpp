// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/stage_journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <system_error>
#include <utility>

#include "common/errors.h"
#include "io/atomic_file.h"
#include "runner/cluster/fold.h"
#include "runner/journal/block_file.h"
#include "runner/journal/detail/journal_files.h"

namespace tributary {

using detail::Json;
using detail::read_journal_file;
using detail::write_json_file;

namespace {

constexpr const char* whole_stage = "all.block";

/// <lane>.<first>.<n>.block. Blocks of a lane have no unit in common, so their first units differ.
std::string name_of(const BlockResult& result, const UnitTable& table) {
  std::int64_t lane = 0, first = std::numeric_limits<std::int64_t>::max(), count = 0;
  for (const TreeNode& node : result.nodes) {
    const auto [from, to] = LaneFold::range(node, table.lane_size(node.lane));
    lane = node.lane;
    first = std::min(first, from);
    count += to - from;
  }
  return fmt::format("{}.{}.{}.block", lane, first, count);
}

}  // namespace

StageJournal::StageJournal(std::filesystem::path folder, std::string stage, std::string processor)
    : folder_(std::move(folder)), stage_(std::move(stage)), processor_(std::move(processor)) {}

void StageJournal::write(const BlockResult& result, const UnitTable& table) const {
  if (result.nodes.empty()) return;
  BlockView done = view_of(result);
  done.failed = {};  // they will be tried again
  done.unstarted = {};
  write_file(name_of(result, table), done);
}

void StageJournal::begin(const std::string& name, const UnitTable& table) const {
  make_folder(folder_);
  remove_unfinished_files(folder_);  // of ranks that were killed
  write_json_file(folder_ / "plan.json", {{"stage", name}, {"units", table.size()}, {"lanes", table.lanes()}});
  record_failed({});  // they are tried again
}

void StageJournal::record_failed(const std::vector<FailedUnit>& failed) const {
  const std::filesystem::path file = folder_ / "failed.json";
  if (failed.empty()) {
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
    return;
  }
  Json list = Json::array();
  for (const FailedUnit& unit : failed) list.push_back({{"unit", unit.unit}, {"rank", unit.rank}, {"text", unit.text}});
  write_json_file(file, list);
}

std::optional<BlockResult> StageJournal::next(const std::vector<std::string>& processors, const Warn& warn) {
  if (!waiting_) {
    waiting_.emplace();
    if (std::filesystem::exists(folder_ / whole_stage)) {
      if (std::optional<BlockResult> all = read(folder_ / whole_stage, processors, warn)) {
        packed_ = true;
        return all;
      }
    }
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (entry.path().extension() == ".block") waiting_->push_back(entry.path());
    }
    std::sort(waiting_->begin(), waiting_->end());
  }
  while (!waiting_->empty()) {
    const std::filesystem::path file = std::move(waiting_->back());
    waiting_->pop_back();
    if (std::optional<BlockResult> result = read(file, processors, warn)) return result;
  }
  return std::nullopt;
}

std::optional<BlockResult> StageJournal::read(const std::filesystem::path& file,
                                              const std::vector<std::string>& processors, const Warn& warn) {
  try {
    StoredBlock stored = read_block_file(read_journal_file(file));
    if (stored.label.stage != stage_) {
      throw UserError(file.string(),
                      "belongs to other work than the folder it lies in (was it copied here?); move it away, or say "
                      "--fresh to compute everything again");
    }
    const bool known = std::find(processors.begin(), processors.end(), stored.label.processor) != processors.end();
    if (!processors.empty() && !known) {
      throw UserError(file.string(), "was computed on '" + stored.label.processor + "' and this is '" + processor_ +
                                         "': mixing them would make the last digits depend on who computed what, and "
                                         "processors: one forbids it; go on on the same kind, allow it with "
                                         "processors=mixed, or say --fresh to compute everything again");
    }
    processors_.insert(stored.label.processor);
    return std::move(stored.result);
  } catch (const DamagedBlock& damage) {
    set_aside(file, damage.what(), warn);
  } catch (const UserError& error) {
    const Problem& problem = error.problems().front();
    throw UserError(problem.where.empty() ? file.string() : problem.where, problem.text);
  }
  return std::nullopt;
}

/// Who only reads leaves a damaged file where it is: whoever computes will find it.
void StageJournal::set_aside(const std::filesystem::path& file, const std::string& damage, const Warn& warn) const {
  std::string what = "what it held is to be computed again";
  if (!processor_.empty()) {
    std::filesystem::path aside = file;
    aside += ".damaged";
    std::error_code error;
    std::filesystem::rename(file, aside, error);
    what = (error ? "it cannot be set aside (" + error.message() + ")"
                  : "it is set aside as " + aside.filename().string()) +
           " and what it held is computed again";
  }
  warn(file.string() + " is damaged (" + damage + "); " + what);
}

void StageJournal::write_file(const std::string& name, const BlockView& block) const {
  write_atomically(folder_ / name, [&](const PutBytes& put) { put_block_file({stage_, processor_}, block, put); });
}

std::vector<std::filesystem::path> StageJournal::parts() const {
  std::vector<std::filesystem::path> parts;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    if (entry.path().extension() == ".block" && entry.path().filename() != whole_stage) parts.push_back(entry.path());
  }
  return parts;
}

std::int64_t StageJournal::files() const { return std::ssize(parts()); }

void StageJournal::pack(const BlockView& everything) const {
  write_file(whole_stage, everything);
  const std::vector<std::filesystem::path> packed = parts();
  std::error_code ignored;
  for (const std::filesystem::path& part : packed) std::filesystem::remove(part, ignored);
}

}  // namespace tributary
