// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/run_record.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>
#include <vector>

#include "common/errors.h"
#include "common/text.h"
#include "runner/job/imported_scores.h"

namespace tributary {
namespace {

using RecordJson = nlohmann::ordered_json;

/// What the two directions share: a name for every text of a record.
std::vector<std::pair<const char*, std::string*>> texts_of(RunRecord& record) {
  Identities& identities = record.identities;
  return {{"results", &identities.results},
          {"scores", &identities.scores},
          {"performance", &identities.performance},
          {"agreement", &identities.agreement},
          {"circuit", &identities.circuit},
          {"steering", &identities.steering},
          {"top", &identities.top},
          {"configuration", &record.configuration},
          {"model", &record.model_hash},
          {"pairs", &record.pairs_hash},
          {"training_pairs", &record.training_pairs_hash}};
}

/// Lists are of texts, as all of computing_facts are; an empty one could not be told from others.
Attribute attribute_of(const RecordJson& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  return value.get<std::vector<std::string>>();
}

bool has_other_scores(const Job& job, const RunRecord& record) {
  const auto hash = record.computing.find("imported_hash");
  return hash != record.computing.end() && hash->second != Attribute(hash_of_scores(job.imported));
}

}  // namespace

RunRecord record_of(const Job& job, const Provenance& computing) {
  return {job.identities, job.resolved, job.model_hash, job.pairs.hash, job.pairs.train_hash, computing};
}

std::string json_of(const RunRecord& record) {
  RunRecord copy = record;
  RecordJson json;
  for (const auto& [name, text] : texts_of(copy)) json[name] = *text;
  for (const auto& [name, value] : record.computing) {
    std::visit([&json, &name = name](const auto& held) { json["computing"][name] = held; }, value);
  }
  return json.dump(1) + "\n";
}

std::optional<RunRecord> read_record(const std::filesystem::path& file) {
  const std::string again = "the command that began the run writes it again";
  if (!std::filesystem::exists(file)) return std::nullopt;
  try {
    const RecordJson json = RecordJson::parse(read_file(file.string()));
    RunRecord record;
    for (const auto& [name, text] : texts_of(record)) *text = json.at(name).get<std::string>();
    for (const auto& [name, value] : json.at("computing").get_ref<const RecordJson::object_t&>()) {
      const bool list = name == "hosts" || name == "devices";  // which become datasets
      if (name.empty() || (list && !value.is_array()))
        throw UserError(file.string(), fmt::format("is damaged ('{}'); {}", name, again));
      record.computing[name] = attribute_of(value);
    }
    return record;
  } catch (const RecordJson::exception& error) {
    throw UserError(file.string(), std::string("is damaged (") + error.what() + "); " + again);
  }
}

void take_over(Job& job, const RunRecord& record, const std::filesystem::path& where) {
  const std::string other = record.model_hash != job.model_hash ? "another model"
                            : record.training_pairs_hash != job.pairs.train_hash || record.pairs_hash != job.pairs.hash
                                ? "other pairs"
                            : has_other_scores(job, record) ? "other scores of attribution.file"
                                                            : "";
  if (!other.empty()) {
    throw UserError(where.string(), "was computed with " + other +
                                        " than its settings lead to here; put back what was there, or finalize it "
                                        "where it was computed");
  }
  job.identities = record.identities;
  job.resolved = record.configuration;
}

}  // namespace tributary
