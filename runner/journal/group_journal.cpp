// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/group_journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/errors.h"
#include "common/hash.h"
#include "common/text.h"
#include "io/atomic_file.h"
#include "runner/journal/detail/journal_files.h"

namespace tributary {
namespace {

/// A journal from elsewhere must not make us write results elsewhere.
void require_inside(const std::filesystem::path& file, const std::string& folder) {
  if (folder == "." || is_plain_name(folder)) return;
  throw UserError(file.string(), "names a run in '" + printable(folder, LineEnds::escape) +
                                     "', which is no folder beside journal/: this program wrote no such file; remove "
                                     "the group that it lies in, or name another folder");
}

}  // namespace

using detail::Json;
using detail::read_journal_file;
using detail::write_json_file;

JournalGroup JournalGroup::of(std::vector<JournalledRun> runs) {
  std::string text;
  for (const JournalledRun& run : runs) text += run.identity + '\n';
  return {hash_of(text).substr(0, 16), std::move(runs)};
}

GroupJournal::GroupJournal(const std::filesystem::path& journal, JournalGroup group, Processors processors)
    : folder_(journal / group.name), group_(std::move(group)), processors_(std::move(processors)) {}

void GroupJournal::begin() const {
  make_folder(folder_);
  remove_unfinished_files(folder_);
  Json runs = Json::array();
  for (const JournalledRun& run : group_.runs) runs.push_back({{"folder", run.folder}, {"identity", run.identity}});
  write_json_file(folder_ / "group.json", {{"runs", runs}});
}

void GroupJournal::keep_settings(std::size_t i, const std::string& yaml) const {
  write_atomically(settings_path(folder_.parent_path(), group_.name, i), yaml);
}

void GroupJournal::keep_record(std::size_t i, const std::string& json) const {
  write_atomically(record_path(folder_.parent_path(), group_.name, i), json);
}

bool GroupJournal::visible() const {
  std::error_code error;
  return std::filesystem::exists(folder_ / "group.json", error);
}

StageJournal GroupJournal::stage(const std::string& name, const UnitTable& table) const {
  const std::string cut = fmt::format("{:016x}", table.fingerprint());
  std::string file_name = name;
  std::replace(file_name.begin(), file_name.end(), ' ', '-');
  return {folder_ / (file_name + "-" + cut.substr(0, 8)), group_.name + "/" + name + "/" + cut, processors_.here};
}

std::filesystem::path settings_path(const std::filesystem::path& journal, const std::string& group, std::size_t i) {
  return journal / group / ("run-" + std::to_string(i) + ".yaml");
}

std::filesystem::path record_path(const std::filesystem::path& journal, const std::string& group, std::size_t i) {
  return journal / group / ("run-" + std::to_string(i) + ".json");
}

std::filesystem::path journal_path(const std::filesystem::path& out) { return out / "journal"; }

std::vector<JournalGroup> journalled_groups(const std::filesystem::path& journal, const Warn& warn) {
  std::vector<JournalGroup> groups;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(journal, error)) {
    const std::filesystem::path file = entry.path() / "group.json";
    if (!std::filesystem::exists(file, error)) continue;
    try {
      JournalGroup group{entry.path().filename().string(), {}};
      const Json stored = Json::parse(read_journal_file(file));
      for (const Json& run : stored.at("runs")) {
        group.runs.push_back({run.at("folder").get<std::string>(), run.at("identity").get<std::string>()});
        require_inside(file, group.runs.back().folder);
      }
      groups.push_back(std::move(group));
    } catch (const UserError&) {
      throw;
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
