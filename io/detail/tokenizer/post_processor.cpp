// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/post_processor.h"

#include <string>

namespace tributary::detail::tokenizer {
namespace {

void append_special_ids(const JsonView& piece, const JsonView& specials, std::vector<std::int64_t>& ids) {
  const std::string name = piece.at("id").text();
  const auto special = specials.find(name);
  if (!special) piece.refuse("'special_tokens' has no token '" + name + "'; correct the file");
  for (const JsonView& id : special->at("ids").elements()) ids.push_back(id.id());
}

PostProcessor read_template(const JsonView& description) {
  const JsonView single = description.at("single");
  const JsonView specials = description.at("special_tokens");
  PostProcessor processor;
  int texts = 0;
  for (const JsonView& piece : single.elements()) {
    if (const auto special = piece.find("SpecialToken")) {
      append_special_ids(*special, specials, texts == 0 ? processor.prefix : processor.suffix);
    } else if (piece.at("Sequence").at("id").text() == "A") {
      ++texts;
    } else {
      piece.refuse("a template for a single text holds only the sequence 'A'; correct the file");
    }
  }
  if (texts != 1) single.refuse("the template must hold the text exactly once; correct the file");
  return processor;
}

/// ["<s>", 0]
std::int64_t read_pair(const JsonView& pair) {
  const std::vector<JsonView> parts = pair.elements();
  if (parts.size() != 2) pair.refuse("expected a token and its id; correct the file");
  return parts[1].id();
}

/// One token before and one behind every text (BERT, RoBERTa).
PostProcessor read_surrounding(const JsonView& description) {
  return {{read_pair(description.at("cls"))}, {read_pair(description.at("sep"))}};
}

std::optional<PostProcessor> read(const JsonView& description);

std::optional<PostProcessor> read_sequence(const JsonView& description) {
  std::optional<PostProcessor> only;
  for (const JsonView& step : description.at("processors").elements()) {
    const auto processor = read(step);
    if (processor && only) step.refuse("a second template in one sequence is not supported; correct the file");
    if (processor) only = processor;
  }
  return only;
}

/// Nothing when ids stay as they are.
std::optional<PostProcessor> read(const JsonView& description) {
  const std::string type = description.at("type").text();
  if (type == "ByteLevel") return std::nullopt;  // it changes character offsets only, not ids
  if (type == "TemplateProcessing") return read_template(description);
  if (type == "RobertaProcessing" || type == "BertProcessing") return read_surrounding(description);
  if (type == "Sequence") return read_sequence(description);
  description.refuse_unknown("post-processor", type,
                             {"BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing"});
}

}  // namespace

PostProcessor read_post_processor(const std::optional<JsonView>& description) {
  if (!description) return {};
  return read(*description).value_or(PostProcessor{});
}

}  // namespace tributary::detail::tokenizer
