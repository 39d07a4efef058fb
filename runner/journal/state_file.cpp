// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/state_file.h"

#include <unistd.h>

#include <ctime>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/text.h"
#include "io/atomic_file.h"
#include "runner/machine/host.h"

namespace tributary {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds write_every{2};

std::filesystem::path path_of(const std::filesystem::path& journal) { return journal / "state.json"; }

Json json_of(const RunState& state) {
  Json busy = Json::array();
  for (const RankActivity& a : state.progress.busy) {
    busy.push_back({{"rank", a.rank}, {"lane", a.lane}, {"first", a.first}, {"count", a.count}, {"silent", a.silent}});
  }
  const Progress& p = state.progress;
  return {{"host", state.host},
          {"process", state.process},
          {"written", state.written},
          {"hosts", state.hosts},
          {"runs", state.folders},
          {"ending", state.ending},
          {"units_per_second", state.units_per_second},
          {"seconds_left", state.left ? Json(*state.left) : Json()},
          {"stage", p.stage},
          {"done", p.done},
          {"restored", p.restored},
          {"failed", p.failed},
          {"total", p.total},
          {"busy", busy}};
}

}  // namespace

std::optional<RunState> read_state(const std::filesystem::path& journal) {
  try {
    const Json json = Json::parse(read_file(path_of(journal).string()));
    RunState state;
    state.host = json.at("host").get<std::string>();
    state.process = json.at("process").get<std::int64_t>();
    state.written = json.at("written").get<std::int64_t>();
    state.hosts = json.at("hosts").get<std::vector<std::string>>();
    state.folders = json.at("runs").get<std::vector<std::string>>();
    state.ending = json.at("ending").get<std::string>();
    state.units_per_second = json.at("units_per_second").get<double>();
    if (!json.at("seconds_left").is_null()) state.left = json.at("seconds_left").get<double>();
    Progress& p = state.progress;
    p.stage = json.at("stage").get<std::string>();
    p.done = json.at("done").get<std::int64_t>();
    p.restored = json.at("restored").get<std::int64_t>();
    p.failed = json.at("failed").get<std::int64_t>();
    p.total = json.at("total").get<std::int64_t>();
    for (const Json& a : json.at("busy")) {
      p.busy.push_back({a.at("rank").get<int>(), a.at("lane").get<std::int64_t>(), a.at("first").get<std::int64_t>(),
                        a.at("count").get<std::int64_t>(), a.at("silent").get<double>()});
    }
    return state;
  } catch (const std::exception&) {  // it is not there, or not whole
    return std::nullopt;
  }
}

StateFile::StateFile(const std::filesystem::path& journal, std::vector<std::string> hosts) : file_(path_of(journal)) {
  state_.host = host_name();
  state_.process = ::getpid();
  state_.hosts = std::move(hosts);
}

void StateFile::begin_runs(std::vector<std::string> folders) {
  state_.folders = std::move(folders);
  state_.progress = {};
}

void StateFile::update(const Progress& progress) {
  const Clock::time_point now = Clock::now();
  const bool new_stage = progress.stage != state_.progress.stage || progress.done < state_.progress.done;
  if (new_stage) {
    rate_ = {};
    begun_ = now;
  }
  state_.progress = progress;
  const double seconds = std::chrono::duration<double>(now - begun_).count();
  rate_.add(seconds, static_cast<double>(progress.done), progress.cost_done);
  state_.units_per_second = rate_.units_per_second();
  state_.left.reset();
  if (rate_.cost_per_second() > 0) state_.left = (progress.cost_total - progress.cost_done) / rate_.cost_per_second();
  if (new_stage || now >= next_) write();
}

void StateFile::end(const std::string& how) {
  state_.ending = how;
  state_.progress.busy.clear();
  write();
}

void StateFile::write() {
  next_ = Clock::now() + write_every;
  state_.written = std::time(nullptr);
  try {
    replace_file(file_, json_of(state_).dump(1) + "\n");  // by the thread that all ranks wait for
  } catch (const std::exception&) {
    // The journal reports the same disk with more right.
  }
}

}  // namespace tributary
