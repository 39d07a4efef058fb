// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/doctor_checks.h"

#include <fmt/format.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "runner/commands/doctor_units.h"
#include "runner/commands/sweep_folder.h"
#include "runner/job/job_checks.h"
#include "runner/job/memory_plan.h"
#include "runner/job/notes.h"
#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

constexpr double ranking_limit = 0.5;  // share of the first neurons that bfloat16 should find
constexpr std::int64_t compared_neurons = 100;
constexpr std::int64_t planned_rows = 512;

std::set<std::int64_t> first_neurons(const at::Tensor& scores) {
  const at::Tensor flat = scores.abs().flatten();
  const std::int64_t count = std::max<std::int64_t>(1, std::min(compared_neurons, flat.size(0) / 10));
  const at::Tensor best = std::get<1>(flat.topk(count));
  std::set<std::int64_t> found;
  for (std::int64_t i = 0; i < count; ++i) found.insert(best[i].item<std::int64_t>());
  return found;
}

}  // namespace

Finding check_weights_finite(LoadedModel& loaded, const Job& job) {
  const std::string limit = "no NaN, no infinity";
  try {
    loaded.require_finite(*job.working);
  } catch (const UserError& error) {
    return {Verdict::fail, error.what(), limit};
  }
  return {Verdict::ok, "all finite", limit};
}

Finding check_tokenizer(const nlohmann::json& config, const Job& job) {
  if (!job.tokenizer) return {Verdict::skipped, "the folder has no tokenizer.json", ""};
  const Tokenizer& tokenizer = *job.tokenizer;
  const std::int64_t vocabulary = job.architecture().vocabulary;
  const std::string limit = fmt::format("ids below {}", vocabulary);
  std::vector<std::string> texts{"The capital of France is Paris.", "fire and ice"};
  for (const TokenPair& pair : job.pairs.train) {
    if (!pair.text.clean_prefix.empty()) texts.push_back(pair.text.clean_prefix);
  }
  std::string not_read_back;
  for (const std::string& text : texts) {
    const std::vector<std::int64_t> ids = tokenizer.encode(text, SpecialTokens::omit);
    try {
      require_in_vocabulary(tokenizer.encode(text, SpecialTokens::add), tokenizer, vocabulary, "tokenizer.json");
    } catch (const UserError& error) {
      return {Verdict::fail, error.what(), limit};
    }
    std::string again;
    for (const std::int64_t id : ids) again += tokenizer.text_of(id);
    if (again != text && again != " " + text) not_read_back = again;
  }
  std::string said = "before text " + text_of_prefix(tokenizer);
  if (!not_read_back.empty()) {
    return {Verdict::warn, said + "; a prompt reads back as '" + not_read_back + "'", limit};
  }
  const auto bos = config.find("bos_token_id");
  const bool named = bos != config.end() && bos->is_number_integer() && !tokenizer.prefix_ids().empty();
  if (named && bos->get<std::int64_t>() != tokenizer.prefix_ids().front()) {
    return {Verdict::warn, fmt::format("{}; config.json's bos_token_id is {}", said, bos->get<std::int64_t>()), limit};
  }
  if (tokenizer.size() > vocabulary) {
    return {
        Verdict::warn,
        fmt::format("{}; {} tokens, of which no prompt may use those from {} on", said, tokenizer.size(), vocabulary),
        limit};
  }
  return {Verdict::ok, said, limit};
}

Finding compare_precisions(const UnitScores& fine, const UnitScores& rough) {
  const std::string limit = fmt::format("{:.0f} % of the nodes", 100 * ranking_limit);
  const auto finite = [](const UnitScores& unit) {
    return at::isfinite(unit.metric).all().item<bool>() && at::isfinite(unit.scores).all().item<bool>();
  };
  if (!finite(rough)) return {Verdict::warn, "numbers that are not finite in bfloat16", limit};
  const double off = (fine.metric - rough.metric).abs().max().item<double>();
  const std::set<std::int64_t> ours = first_neurons(fine.scores);
  const std::set<std::int64_t> theirs = first_neurons(rough.scores);
  const auto common = std::count_if(ours.begin(), ours.end(), [&](std::int64_t node) { return theirs.contains(node); });
  const bool alike = static_cast<double>(common) >= ranking_limit * static_cast<double>(ours.size());
  return {alike ? Verdict::ok : Verdict::warn,
          fmt::format("answers' difference off by {:.3g} logits; {} of the first {} nodes", off, common, ours.size()),
          limit};
}

Finding check_bfloat16(LoadedModel& loaded, const Job& job) {
  const auto coarse = loaded.network(at::kBFloat16, job.device, Communicator(), warn_user);
  const Prompts prompts = examined_prompts(job);
  const LayerRange layers = all_layers(job.architecture());
  return compare_precisions(unit_of(*job.working, "relp", prompts, layers), unit_of(*coarse, "relp", prompts, layers));
}

MemoryCheck::MemoryCheck(const Job& job) : job_(job) {
  if (job.checkpoint) job.checkpoint->release_pages();
  return_freed_memory();
  forget_peak();  // what other checks have held is no part of a run
  Job sized = job;
  sized.config.batch_rows = std::max(planned_rows, 2 * job.pairs.train.front().length());
  sized.config.method.quadrature = Quadrature::right;  // which fills its calls
  sized.config.method.steps = static_cast<int>(planned_rows);
  const MemoryPlan plan = plan_memory({&sized}, {});
  planned_ = plan.expected_peak;
  rows_ = plan.batch_rows;
}

Finding MemoryCheck::end() const {
  const Transformer& network = *job_.working;
  const at::Tensor one = network.embed(examined_prompts(job_).clean.narrow(0, 0, 1));
  const std::int64_t sequences = rows_ / one.size(1);
  ForwardOptions up;
  up.tape = ForwardOptions::Tape::keep;
  const Pass pass = network.forward(whole_batch(one.repeat({sequences, 1, 1})), up);
  network.backward(pass, {0, sequences}, pass.resid, {});  // any gradient will do
  return judge_peak(peak_resident_bytes(), planned_);
}

Finding judge_peak(std::uint64_t peak, std::uint64_t planned) {
  return {peak <= planned ? Verdict::ok : Verdict::fail, text_of_bytes(peak), text_of_bytes(planned) + " as planned"};
}

}  // namespace tributary
