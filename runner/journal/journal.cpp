// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>
#include <utility>

#include "common/errors.h"
#include "common/hash.h"
#include "io/atomic_file.h"
#include "runner/cluster/fold.h"
#include "runner/journal/output_folder.h"

namespace tributary {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* whole_stage = "all.block";

std::string read_whole(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw RuntimeFailure(file.string() + ": cannot be read; check the disk and your permissions");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_json(const std::filesystem::path& file, const Json& json) { write_atomically(file, json.dump(1) + "\n"); }

/// <lane>.<first>.<n>.block. Blocks of a lane have no unit in common, so their first units differ.
std::string name_of(const BlockResult& result, const UnitTable& table) {
  std::int64_t lane = 0, first = std::numeric_limits<std::int64_t>::max(), count = 0;
  for (const Node& node : result.nodes) {
    const auto [from, to] = LaneFold::range(node, table.lane_size(node.lane));
    lane = node.lane;
    first = std::min(first, from);
    count += to - from;
  }
  return fmt::format("{}.{}.{}.block", lane, first, count);
}

}  // namespace

JournalGroup JournalGroup::of(std::vector<JournalledRun> runs) {
  std::string text;
  for (const JournalledRun& run : runs) text += run.folder + '\n' + run.identity + '\n';
  return {hash_of(text).substr(0, 16), std::move(runs)};
}

StageJournal::StageJournal(std::filesystem::path folder, std::string stage, std::string processor)
    : folder_(std::move(folder)), stage_(std::move(stage)), processor_(std::move(processor)) {}

void StageJournal::write(const BlockResult& result, const UnitTable& table) const {
  if (result.nodes.empty()) return;
  BlockResult done = result;
  done.failed.clear();  // they will be tried again
  done.unstarted.clear();
  write_atomically(folder_ / name_of(done, table), block_file({stage_, processor_}, done));
}

void StageJournal::begin(const std::string& name, const UnitTable& table) const {
  make_folder(folder_);
  write_json(folder_ / "plan.json", {{"stage", name}, {"units", table.size()}, {"lanes", table.lanes()}});
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
  write_json(file, list);
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
                                              const std::vector<std::string>& processors, const Warn& warn) const {
  try {
    StoredBlock stored = read_block_file(read_whole(file));
    if (stored.label.stage != stage_) {
      throw UserError(file.string(),
                      "belongs to other work than the folder it lies in (was it copied here?); move it away, or say "
                      "--fresh to compute everything again");
    }
    const bool known = std::find(processors.begin(), processors.end(), stored.label.processor) != processors.end();
    if (!processors.empty() && !known) {
      throw UserError(file.string(), "was computed on '" + stored.label.processor + "' and this is '" + processor_ +
                                         "': mixing them would make the last digits depend on who computed what; go on "
                                         "on the same kind, or say --fresh to compute everything again");
    }
    return std::move(stored.result);
  } catch (const DamagedBlock& damage) {
    std::filesystem::path aside = file;
    aside += ".damaged";
    std::error_code error;
    std::filesystem::rename(file, aside, error);
    warn(file.string() + " is damaged (" + damage.what() + "); " +
         (error ? "it cannot be set aside (" + error.message() + ")"
                : "it is set aside as " + aside.filename().string()) +
         " and what it held is computed again");
  } catch (const UserError& error) {
    const Problem& problem = error.problems().front();
    throw UserError(problem.where.empty() ? file.string() : problem.where, problem.text);
  }
  return std::nullopt;
}

void StageJournal::pack(const BlockResult& everything) const {
  write_atomically(folder_ / whole_stage, block_file({stage_, processor_}, everything));
  std::vector<std::filesystem::path> parts;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    if (entry.path().extension() == ".block" && entry.path().filename() != whole_stage) parts.push_back(entry.path());
  }
  std::error_code ignored;
  for (const std::filesystem::path& part : parts) std::filesystem::remove(part, ignored);
}

GroupJournal::GroupJournal(const std::filesystem::path& journal, JournalGroup group, std::string processor,
                           std::vector<std::string> processors)
    : folder_(journal / group.name),
      group_(std::move(group)),
      processor_(std::move(processor)),
      processors_(std::move(processors)) {}

void GroupJournal::begin() const {
  make_folder(folder_);
  Json runs = Json::array();
  for (const JournalledRun& run : group_.runs) runs.push_back({{"folder", run.folder}, {"identity", run.identity}});
  write_json(folder_ / "group.json", {{"runs", runs}});
}

void GroupJournal::keep_settings(std::size_t i, const std::string& yaml) const {
  write_atomically(settings_path(folder_.parent_path(), group_.name, i), yaml);
}

bool GroupJournal::visible() const {
  std::error_code error;
  return std::filesystem::exists(folder_ / "group.json", error);
}

StageJournal GroupJournal::stage(const std::string& name, const UnitTable& table) const {
  const std::string cut = fmt::format("{:016x}", table.fingerprint());
  std::string file_name = name;
  std::replace(file_name.begin(), file_name.end(), ' ', '-');
  return {folder_ / (file_name + "-" + cut.substr(0, 8)), group_.name + "/" + name + "/" + cut, processor_};
}

std::filesystem::path settings_path(const std::filesystem::path& journal, const std::string& group, std::size_t i) {
  return journal / group / ("run-" + std::to_string(i) + ".yaml");
}

std::filesystem::path journal_path(const std::filesystem::path& out) { return out / "journal"; }

std::vector<JournalGroup> journalled_groups(const std::filesystem::path& journal, const Warn& warn) {
  std::vector<JournalGroup> groups;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(journal, error)) {
    const std::filesystem::path file = entry.path() / "group.json";
    if (!std::filesystem::exists(file)) continue;
    try {
      JournalGroup group{entry.path().filename().string(), {}};
      const Json stored = Json::parse(read_whole(file));
      for (const Json& run : stored.at("runs")) {
        group.runs.push_back({run.at("folder").get<std::string>(), run.at("identity").get<std::string>()});
      }
      groups.push_back(std::move(group));
    } catch (const std::exception&) {
      warn(file.string() + " is damaged; what lies beside it is not used");
    }
  }
  std::sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return groups;
}

void forget_group(const std::filesystem::path& journal, const std::string& name) {
  std::error_code error;
  std::filesystem::remove_all(journal / name, error);
  if (error) throw UserError((journal / name).string(), "cannot be removed (" + error.message() + ")");
}

}  // namespace tributary
