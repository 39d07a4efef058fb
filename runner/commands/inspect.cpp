// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/inspect.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include "attribution/model/largest.h"
#include "attribution/model/tensors.h"

#include <algorithm>
#include <iostream>

#include "common/errors.h"
#include "common/text.h"
#include "io/results.h"
#include "io/tokenizer.h"
#include "runner/commands/sweep_folder.h"
#include "runner/job/job_checks.h"
#include "runner/job/model.h"
#include "runner/job/notes.h"
#include "runner/stages/numbers.h"

namespace tributary {
namespace {

constexpr std::int64_t shown_tokens = 5;

void describe_model(const ModelPlace& place, const Architecture& a, const Checkpoint& checkpoint) {
  std::cout << fmt::format(
      "{}\n  family      {}\n  layers      {}\n  d_model     {}\n  heads       {} ({} for keys and values) of {}\n  "
      "neurons     {} a layer, {} in all\n"
      "  vocabulary  {}\n  positions   {}\n  tensors     {}\n  hash        {}\n",
      text_of(place), a.family, a.layers(), a.d_model, a.heads, a.kv_heads, a.d_head, a.neurons, a.layers() * a.neurons,
      a.vocabulary, a.max_positions, checkpoint.tensors().size(), checkpoint.hash());
}

std::string shown_token(const Tokenizer& tokenizer, std::int64_t id) {
  return printable(tokenizer.text_of(id), LineEnds::escape);
}

/// What stands before every prompt, and what the model's owners should know.
void describe_tokenizer(const Tokenizer& tokenizer) {
  std::cout << fmt::format("  before text {}\n", text_of_prefix(tokenizer));
  for (const std::string& note : tokenizer.notes()) std::cout << "note: " << note << '\n';
}

}  // namespace

void inspect_command(const InspectArguments& arguments) {
  const at::NoGradGuard no_gradients;
  const ModelPlace place = find_model(arguments.model, arguments.revision);
  const Checkpoint checkpoint = Checkpoint::open(place.folder);
  const auto model =
      load_transformer(checkpoint, dtype_named(arguments.dtype), at::Device(at::kCPU), Communicator(), warn_user);
  describe_model(place, model->architecture(), checkpoint);
  if (has_untied_head(checkpoint, model->architecture())) std::cout << "note: " << untied_head_note << '\n';
  // A folder without a tokenizer can be looked at, too.
  if (arguments.prompt.empty() && !std::filesystem::exists(place.folder / "tokenizer.json")) return;
  const Tokenizer tokenizer = Tokenizer::of_model(place.folder);
  describe_tokenizer(tokenizer);
  if (arguments.prompt.empty()) return;

  const std::vector<std::int64_t> ids = tokenizer.encode(arguments.prompt, SpecialTokens::add);
  const auto length = static_cast<std::int64_t>(ids.size());
  if (length == 0 || length > model->architecture().max_positions) {
    throw UserError("--prompt", fmt::format("has {} tokens (the model takes 1 to {})", length,
                                            model->architecture().max_positions));
  }
  require_in_vocabulary(ids, tokenizer, model->architecture().vocabulary, "--prompt");
  ForwardOptions options;
  options.last_block = LastBlock::all_positions;
  const Pass pass = model->forward(whole_batch(model->embed(at::tensor(ids).unsqueeze(0))), options);
  const at::Tensor logits = model->logits(pass.resid)[0];  // [pos, vocabulary]
  checkpoint.require_unchanged();
  std::cout << "  prompt     ";
  for (const std::int64_t id : ids) std::cout << fmt::format(" {}:'{}'", id, shown_token(tokenizer, id));
  const std::int64_t shown = std::min(shown_tokens, logits.size(1));
  const auto [best, best_ids] = largest(logits.narrow(0, length - 1, 1).to(at::kDouble), shown);
  std::cout << "\n  next token\n";
  for (std::int64_t i = 0; i < shown; ++i) {
    const auto id = best_ids[0][i].item<std::int64_t>();
    std::cout << fmt::format("    {:>8.4f}  {}:'{}'\n", best[0][i].item<double>(), id, shown_token(tokenizer, id));
  }
  if (!arguments.logits.empty()) {
    ResultsFile file;
    file.datasets.push_back({"/ids", {"pos"}, {length}, ids, "token ids of the prompt", "", {}});
    file.datasets.push_back({"/logits",
                             {"pos", "vocabulary"},
                             {length, logits.size(1)},
                             numbers_of(logits),
                             "logits of the next token",
                             "logits",
                             {}});
    write_results(arguments.logits, file);
  }
}

}  // namespace tributary
