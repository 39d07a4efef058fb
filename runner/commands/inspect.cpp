// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/inspect.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include "attribution/model/largest.h"
#include "attribution/model/tensors.h"

#include <algorithm>
#include <iostream>
#include <set>

#include <nlohmann/json.hpp>

#include "attribution/model/families.h"
#include "common/errors.h"
#include "common/text.h"
#include "io/results.h"
#include "io/tokenizer.h"
#include "runner/commands/architecture_text.h"
#include "runner/commands/sweep_folder.h"
#include "runner/job/job_checks.h"
#include "runner/job/model.h"
#include "runner/job/notes.h"
#include "runner/machine/memory_limits.h"
#include "runner/stages/numbers.h"

namespace tributary {
namespace {

constexpr std::int64_t shown_tokens = 5;

/// Numbers that the description takes from the checkpoint, and bytes of them as they are stored.
struct StoredSize {
  std::int64_t parameters = 0, bytes = 0;
};

/// From the headers of the files alone. An unembedding that is the embedding counts once.
StoredSize size_of_model(const Architecture& a, const Checkpoint& checkpoint) {
  const Family& family = family_of(checkpoint.config(), checkpoint.folder().string());
  std::vector<std::string> prefixes = family.prefixes;
  prefixes.emplace_back();
  std::set<std::string> names;
  const auto add = [&](const TensorRow& row, const std::string& name) {
    if (row.slots.front() == Slot::unembedding && a.tied_embeddings) return;
    for (const std::string& prefix : prefixes) names.insert(prefix + name);
  };
  for (const TensorRow& row : family.tensors) {
    const std::size_t hole = row.name.find("{}");
    if (hole == std::string::npos) add(row, row.name);
    for (std::int64_t layer = 0; hole != std::string::npos && layer < a.layers(); ++layer) {
      add(row, std::string(row.name).replace(hole, 2, std::to_string(layer)));
    }
  }
  StoredSize size;
  for (const std::string& name : names) {
    const StoredTensor* stored = checkpoint.find(name);
    if (stored == nullptr) continue;
    size.parameters += static_cast<std::int64_t>(stored->bytes / size_of(stored->type));
    size.bytes += static_cast<std::int64_t>(stored->bytes);
  }
  return size;
}

std::string text_of_sizes(const StoredSize& size) {
  const auto as = [&](std::uint64_t bytes) {
    return text_of_bytes(static_cast<std::uint64_t>(size.parameters) * bytes);
  };
  return fmt::format("{} as stored; {} in float64, {} in float32, {} in bfloat16",
                     text_of_bytes(static_cast<std::uint64_t>(size.bytes)), as(8), as(4), as(2));
}

void describe_model(const ModelPlace& place, const Architecture& a, const Checkpoint& checkpoint) {
  const StoredSize size = size_of_model(a, checkpoint);
  std::cout << fmt::format(
      "{}\n  family      {}\n  layers      {}\n  d_model     {}\n  heads       {} ({} for keys and values) of {}\n  "
      "neurons     {} a layer, {} in all\n"
      "  vocabulary  {}\n  positions   {}\n  tensors     {}\n  parameters  {}\n  weights     {}\n",
      text_of(place), a.family, a.layers(), a.d_model, a.heads, a.kv_heads, a.d_head, a.neurons, a.layers() * a.neurons,
      a.vocabulary, a.max_positions, checkpoint.tensors().size(), size.parameters, text_of_sizes(size));
  for (const std::string& line : lines_of_blocks(a)) std::cout << "  " << line << '\n';
}

/// What can be read of a model that cannot be described.
void describe_config(const ModelPlace& place, const nlohmann::json& config) {
  std::cout << text_of(place) << '\n';
  for (const auto& [key, value] : config.items()) {
    if (value.is_primitive()) std::cout << fmt::format("  {}: {}\n", printable(key), printable(value.dump()));
  }
  std::cout << "unsupported:\n" << std::flush;
}

/// Throws UserError for a model that is not computed here, after saying what its config.json tells.
Checkpoint open_described(const ModelPlace& place) {
  const nlohmann::json config = read_model_config(place.folder);
  try {
    (void)describe_architecture(config, (place.folder / "config.json").string());
  } catch (const UserError&) {
    describe_config(place, config);
    throw;
  }
  Checkpoint checkpoint = Checkpoint::open(place.folder);
  check_weights(checkpoint);
  return checkpoint;
}

std::string shown_token(const Tokenizer& tokenizer, std::int64_t id) {
  return printable(tokenizer.text_of(id), LineEnds::escape);
}

/// What stands before every prompt, and what the model's owners should know.
void describe_tokenizer(const Tokenizer& tokenizer, std::int64_t vocabulary) {
  std::cout << fmt::format("  tokenizer   {} tokens{}\n", tokenizer.size(),
                           tokenizer.size() > vocabulary ? ", more than the embedding has rows for" : "");
  std::cout << fmt::format("  before text {}\n", text_of_prefix(tokenizer));
  for (const std::string& note : tokenizer.notes()) std::cout << "note: " << note << '\n';
}

}  // namespace

void inspect_command(const InspectArguments& arguments) {
  const at::NoGradGuard no_gradients;
  const ModelPlace place = find_model(arguments.model, arguments.revision);
  if (!arguments.logits.empty() && arguments.prompt.empty()) {
    throw UserError("--logits", "are those of a prompt; give it with --prompt");
  }
  const Checkpoint checkpoint = open_described(place);
  const Architecture architecture = architecture_of(checkpoint);
  describe_model(place, architecture, checkpoint);
  if (has_untied_head(checkpoint, architecture)) std::cout << "note: " << untied_head_note << '\n';
  // A folder without a tokenizer can be looked at, too.
  if (arguments.prompt.empty() && !has_tokenizer(place.folder)) return;
  const Tokenizer tokenizer = Tokenizer::of_model(place.folder);
  describe_tokenizer(tokenizer, architecture.vocabulary);
  if (arguments.prompt.empty()) return;

  const auto model =
      load_transformer(checkpoint, dtype_named(arguments.dtype), at::Device(at::kCPU), Communicator(), warn_user);
  std::cout << "  hash        " << checkpoint.hash() << '\n';

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
  if (!at::isfinite(logits).all().item<bool>()) {
    throw UserError("--prompt", "has logits that are not finite; `tributary doctor` says whether the weights are");
  }
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
