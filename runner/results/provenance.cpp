// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/results/provenance.h"

#include <ATen/Version.h>
#include <ATen/cpu/Utils.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "common/version.h"
#include "runner/job/imported_scores.h"
#include "runner/job/notes.h"
#include "runner/machine/host.h"
#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

/// Numbers by stage as a JSON object.
std::string json_of(const std::map<std::string, double>& numbers) { return nlohmann::json(numbers).dump(); }

/// The names of the files that pairs come from, without their folders.
std::string pair_files(const PairOptions& pairs) {
  std::string names;
  for (const std::filesystem::path& file : {pairs.file, pairs.train_file, pairs.test_file}) {
    if (!file.empty()) names += (names.empty() ? "" : ", ") + file.filename().string();
  }
  return names;
}

/// "NAME=value" of the variables that are set.
std::vector<std::string> environment() {
  std::vector<std::string> found;
  for (const char* const name : environment_variables) {
    if (const char* const value = std::getenv(name)) found.push_back(std::string(name) + "=" + value);
  }
  return found;
}

/// The first line of what the driver of NVIDIA's cards says of itself; empty where there is none.
std::string card_driver() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line;
  std::getline(file, line);
  return line;
}

/// What the tokenizer puts before every prompt, as text.
std::vector<std::string> prefix_texts(const Job& job) {
  std::vector<std::string> texts;
  for (const std::int64_t id : job.tokenizer->prefix_ids()) texts.push_back(job.token_text(id));
  return texts;
}

/// "name hash" of the files beside tokenizer.json that say which tokens there are.
std::vector<std::string> tokenizer_files(const Job& job) {
  std::vector<std::string> files;
  for (const TokenizerFile& file : job.tokenizer->companion_files()) files.push_back(file.name + " " + file.hash);
  return files;
}

/// Who multiplies matrices, and where that is no matter of course in which dtype.
std::string products_of(const Job& job) {
  if (!job.device.is_cpu() || !has_own_products(*job.working)) return "LibTorch";
  return job.config.dtype == "bfloat16" ? "tributary, widened to float32" : "tributary";
}

}  // namespace

double seconds_since_process_start() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream fields(line.substr(line.rfind(')') + 2));  // the name before may hold spaces
  std::string field;
  constexpr int before_start = 19;  // fields between the name and the start time (proc(5): field 22)
  for (int i = 0; i < before_start; ++i) fields >> field;
  timespec since_boot{};
  clock_gettime(CLOCK_BOOTTIME, &since_boot);
  const double now = static_cast<double>(since_boot.tv_sec) + 1e-9 * static_cast<double>(since_boot.tv_nsec);
  double started = 0;
  fields >> started;
  return now - started / static_cast<double>(sysconf(_SC_CLK_TCK));
}

Provenance computing_facts(const Job& job, const Communicator& comm, const ComputingFacts& facts) {
  const std::vector<std::string> hosts = comm.gather(host_name());
  const std::vector<std::string> devices = comm.gather(job.device.str());
  Provenance all = {
      {"version", std::string(version)},
      {"numbers_version", std::string(numbers_version)},
      {"commit", std::string(commit)},
      {"build_type", std::string(build_type)},
      {"compiler", std::string(__VERSION__)},
      {"torch", std::string(TORCH_VERSION)},
      {"blas", at::get_mkl_version()},
      {"onednn", at::get_mkldnn_version()},
      {"environment", environment()},
      {"card_driver", card_driver()},
      {"cpu", cpu_model()},
      {"cpu_capability", at::get_cpu_capability()},
      {"hosts", hosts},
      {"devices", devices},
      {"ranks", static_cast<std::int64_t>(comm.size())},
      {"threads", static_cast<std::int64_t>(facts.threads)},
      {"products", products_of(job)},
      {"bits_hold", static_cast<std::int64_t>(facts.bits_hold ? 1 : 0)},
      {"batch_rows", facts.rows.get()},
      {"batch_rows_halved", facts.rows.halvings()},
      {"expected_peak_bytes", static_cast<std::int64_t>(facts.memory.expected_peak)},
      {"overrides", facts.overrides},
  };
  if (!job.imported.empty()) all.emplace("imported_hash", hash_of_scores(job.imported));
  return all;
}

Provenance provenance_of(const Job& job, const RunFacts& facts, Provenance computing) {
  const ModelPlace& place = job.config.model;
  Provenance all = {
      {"identity", job.identities.results},
      {"scores_identity", job.identities.scores},
      {"configuration", job.resolved},
      {"model", place.repository.empty() ? place.folder.filename().string() : place.repository},
      {"model_hash", job.model_hash},
      {"config_json", job.checkpoint->config().dump()},
      {"tokenizer_hash", job.tokenizer->file_hash()},
      {"tokenizer_files", tokenizer_files(job)},
      {"model_notes", notes_on_model(job)},
      {"prefix_ids", job.tokenizer->prefix_ids()},
      {"prefix_tokens", prefix_texts(job)},
      {"dtype", job.config.dtype},
      {"pairs", pair_files(job.config.pairs)},
      {"pairs_hash", job.pairs.hash},
      {"training_pairs_hash", job.pairs.train_hash},
      {"processors", facts.processors},
      {"started", facts.started},
      {"finished", facts.finished},
      {"seconds", json_of(facts.timings.seconds())},
      {"seconds_earlier", json_of(facts.timings.earlier())},
      {"seconds_shared", json_of(facts.shared.seconds())},
      {"worker_seconds", json_of(facts.timings.computing())},
      {"units_computed", facts.timings.units_computed()},
      {"units_restored", facts.timings.units_restored()},
      {"flops", json_of(facts.timings.flops())},
      {"peak_bytes", static_cast<std::int64_t>(peak_resident_bytes())},
      {"runs_computed_together", static_cast<std::int64_t>(facts.shared_with)},
  };
  if (!place.commit.empty()) all.emplace("model_revision", place.commit);
  all.merge(std::move(computing));
  return all;
}

}  // namespace tributary
