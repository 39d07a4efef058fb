// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/architecture_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/errors.h"
#include "common/text.h"

namespace tributary {
namespace {

constexpr double as_usual = 1e-12;  // how near a scale must be to d_head^-1/2 to go without saying

std::string text_of_norm(const NormSpec& norm) {
  if (norm.kind == NormKind::none) return "none";
  return fmt::format("{} (epsilon {}{})", norm.kind == NormKind::rms ? "RMS" : "layer", norm.epsilon,
                     norm.gain_offset != 0 ? fmt::format(", gain {} + weight", norm.gain_offset) : "");
}

/// "RMS (…)" where there is only one before, "none, after it RMS (…)" where there is one behind.
std::string text_of_norms(const NormSpec& before, const NormSpec& after) {
  return "norm " + text_of_norm(before) + (after.kind != NormKind::none ? ", after it " + text_of_norm(after) : "");
}

std::string text_of_scaling(const Rotary& rotary) {
  switch (rotary.scaling) {
    case RotaryScaling::none:
      return "";
    case RotaryScaling::linear:
      return fmt::format(", linear by {}", rotary.factor);
    case RotaryScaling::dynamic:
      return fmt::format(", dynamic by {} above {} positions", rotary.factor, rotary.original_positions);
    case RotaryScaling::yarn:
      return fmt::format(", yarn by {} from {} positions, of attention {:.4g}", rotary.factor,
                         rotary.original_positions, rotary.attention_factor);
    case RotaryScaling::longrope:
      return fmt::format(", longrope above {} positions, of attention {:.4g}", rotary.original_positions,
                         rotary.attention_factor);
    case RotaryScaling::llama3:
      return fmt::format(", llama3 by {} from {} positions", rotary.factor, rotary.original_positions);
  }
  throw ContractViolation("a rotary scaling outside the enumeration");
}

std::string text_of_rotary(const Architecture& a, const AttentionSpec& attention) {
  if (!attention.rotary) return "no rotary";
  const Rotary& rotary = a.rotaries.at(*attention.rotary);
  const bool part = rotary.dims != 0 && rotary.dims != a.d_head;
  return fmt::format("rotary base {}{}{}", rotary.theta,
                     part ? fmt::format(" on {} of {} dimensions", rotary.dims, a.d_head) : "",
                     text_of_scaling(rotary));
}

std::string text_of_attention(const Architecture& a, const AttentionSpec& attention) {
  std::vector<std::string> parts{attention.window ? fmt::format("window {}", *attention.window) : "full"};
  parts.push_back(text_of_rotary(a, attention));
  if (std::abs(attention.scale * std::sqrt(static_cast<double>(a.d_head)) - 1) > as_usual) {
    parts.push_back(fmt::format("scale {:.6g}", attention.scale));
  }
  if (attention.softcap) parts.push_back(fmt::format("soft-cap {}", *attention.softcap));
  if (attention.query_key_norm != QueryKeyNorm::none) {
    const bool full = attention.query_key_norm == QueryKeyNorm::full_width;
    parts.push_back(
        fmt::format("q/k norm {}, {}", full ? "of the full width" : "per head", text_of_norm(attention.query_key)));
  }
  return join(parts, ", ");
}

std::string text_of_activation(Activation activation) {
  switch (activation) {
    case Activation::silu:
      return "SiLU";
    case Activation::gelu_erf:
      return "GELU (erf)";
    case Activation::gelu_tanh:
      return "GELU (tanh)";
    case Activation::gelu_quick:
      return "GELU (quick)";
    case Activation::relu:
      return "ReLU";
  }
  throw ContractViolation("an activation outside the enumeration");
}

std::string text_of_block(const Architecture& a, const BlockSpec& block) {
  std::string text =
      fmt::format("attention {}; {} | MLP {}, {}; {}", text_of_attention(a, block.attention),
                  text_of_norms(block.attention_norm, block.attention_post_norm),
                  block.mlp.kind == MlpKind::gated ? "gated" : "plain", text_of_activation(block.mlp.activation),
                  text_of_norms(block.mlp_norm, block.mlp_post_norm));
  if (block.residual == Residual::parallel) text += " | parallel residual";
  if (block.multiplier != 1) text += fmt::format(" | adds {} times its outputs", block.multiplier);
  return text;
}

}  // namespace

std::vector<std::string> lines_of_blocks(const Architecture& a) {
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> kinds;
  for (std::int64_t layer = 0; layer < a.layers(); ++layer) {
    const std::string text = text_of_block(a, a.block(layer));
    auto known = std::find_if(kinds.begin(), kinds.end(), [&](const auto& kind) { return kind.first == text; });
    if (known == kinds.end()) known = kinds.insert(kinds.end(), {text, {}});
    known->second.push_back(layer);
  }
  std::vector<std::string> lines;
  for (const auto& [text, layers] : kinds) {
    lines.push_back(fmt::format("{} {}: {}", layers.size() == 1 ? "block" : "blocks", in_ranges(layers), text));
  }
  std::string input = a.learned_positions ? "tokens and learned positions" : "tokens";
  if (a.embedding_multiplier != 1) input += fmt::format(", tokens times {:.6g}", a.embedding_multiplier);
  lines.push_back("input: " + input);
  std::string output = fmt::format("norm {}, unembedding {}", text_of_norm(a.final_norm),
                                   a.tied_embeddings ? "tied to the embedding" : "of its own");
  if (a.logit_multiplier != 1) output += fmt::format(", logits times {:.6g}", a.logit_multiplier);
  if (a.logit_softcap) output += fmt::format(", soft-cap {}", *a.logit_softcap);
  lines.push_back("output: " + output);
  return lines;
}

}  // namespace tributary
