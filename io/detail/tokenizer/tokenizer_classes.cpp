// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/tokenizer_classes.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace tributary::detail::tokenizer {
namespace {

/// Model types whose tokenizer.json transformers 5 takes as it is, whatever class a folder declares.
constexpr std::array<std::string_view, 5> taken_as_they_are = {"granite", "mistral", "olmo2", "olmo3", "phi3"};

/// The class that transformers 5 takes for a model type where a folder declares none.
constexpr std::pair<std::string_view, std::string_view> registered_classes[] = {
    {"gemma", "GemmaTokenizer"},       {"gemma2", "GemmaTokenizer"}, {"gemma3", "GemmaTokenizer"},
    {"gemma3_text", "GemmaTokenizer"}, {"gpt2", "GPT2Tokenizer"},    {"gpt_neox", "GPTNeoXTokenizer"},
    {"qwen2", "Qwen2Tokenizer"},       {"qwen3", "Qwen2Tokenizer"}};

/// Classes that it builds anew from the vocabulary and the merges, with a normaliser and a pre-tokeniser of their own.
constexpr std::array<std::string_view, 8> rebuilt_classes = {"CodeLlamaTokenizer", "CohereTokenizer",  "GemmaTokenizer",
                                                             "GPT2Tokenizer",      "GPTNeoXTokenizer", "LlamaTokenizer",
                                                             "Qwen2Tokenizer",     "Qwen3_5Tokenizer"};

struct Named {
  std::string_view tokenizer_class, key, content;
};
constexpr Named named_tokens[] = {{"GPT2Tokenizer", "", "<|endoftext|>"},
                                  {"Qwen2Tokenizer", "", "<|endoftext|>"},
                                  {"GPTNeoXTokenizer", "bos_token", "<|endoftext|>"},
                                  {"GPTNeoXTokenizer", "eos_token", "<|endoftext|>"},
                                  {"GPTNeoXTokenizer", "unk_token", "<|endoftext|>"},
                                  {"GPTNeoXTokenizer", "pad_token", "<|padding|>"},
                                  {"LlamaTokenizer", "bos_token", "<s>"},
                                  {"LlamaTokenizer", "eos_token", "</s>"},
                                  {"LlamaTokenizer", "unk_token", "<unk>"},
                                  {"GemmaTokenizer", "bos_token", "<bos>"},
                                  {"GemmaTokenizer", "eos_token", "<eos>"},
                                  {"GemmaTokenizer", "unk_token", "<unk>"},
                                  {"GemmaTokenizer", "pad_token", "<pad>"},
                                  {"GemmaTokenizer", "mask_token", "<mask>"}};

template <typename Table>
bool holds(const Table& table, std::string_view name) {
  return std::find(std::begin(table), std::end(table), name) != std::end(table);
}

}  // namespace

std::string rebuilt_class(const std::string& model_type, const std::string& declared, Words words) {
  if (holds(taken_as_they_are, model_type)) return "";
  std::string name = declared;
  for (const auto& [type, registered] : registered_classes) {
    // Qwen2's folders are known to declare other classes by mistake.
    if (type == model_type && (name.empty() || type == "qwen2")) name = registered;
  }
  // Llama 3's folders declare Llama 2's class, which cuts in another way.
  if (name == "LlamaTokenizer" && words == Words::bytes) return "";
  return holds(rebuilt_classes, name) ? name : "";
}

std::vector<ClassToken> tokens_of_class(std::string_view tokenizer_class) {
  std::vector<ClassToken> tokens;
  for (const auto& [name, key, content] : named_tokens) {
    if (name == tokenizer_class) tokens.push_back({std::string(key), std::string(content)});
  }
  return tokens;
}

}  // namespace tributary::detail::tokenizer
