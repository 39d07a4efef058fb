// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/identity.h"

#include <fmt/format.h>

#include "common/hash.h"
#include "common/version.h"
#include "runner/job/keys.h"

namespace tributary {

std::string identity_of(const Job& job, const Settings& settings) {
  std::string everything = settings.identity_text() + "\nmodel " + job.model_hash + "\npairs " + job.pairs.hash +
                           "\ndevice " + c10::DeviceTypeName(job.device.type()) + "\nnumbers " + numbers_version;
  for (const std::vector<std::int64_t>& prompt : job.baseline_prompts) {
    everything += "\nbaseline";
    for (const std::int64_t id : prompt) everything += ' ' + std::to_string(id);
  }
  return hash_of(everything);
}

std::string group_of(const Job& job, const Settings& settings) {
  return settings.text_without(run_groups) + "model " + job.model_hash + "\npairs " + job.pairs.hash +
         (job.config.unpaired ? "\nunpaired" : "");
}

std::string truth_of(const Job& job) {
  const Method& method = job.config.method;
  return fmt::format("{} {} {}", name_of(method.baseline), name_of(method.direction),
                     job.config.baseline_file.string());
}

}  // namespace tributary
