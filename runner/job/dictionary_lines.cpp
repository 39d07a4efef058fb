// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/dictionary_lines.h"

#include <fmt/format.h>

#include "attribution/nodes/dictionary.h"
#include "common/errors.h"
#include "common/text.h"

namespace tributary {
namespace {

std::string text_of_gate(const Dictionary& dictionary) {
  switch (dictionary.activation) {
    case FeatureGate::relu:
      return "relu";
    case FeatureGate::jump_relu:
      return "jumprelu";
    case FeatureGate::top_k:
    case FeatureGate::top_k_signed:
      return fmt::format("topk {}", dictionary.k);
  }
  throw ContractViolation("an activation outside the enumeration");
}

}  // namespace

std::vector<std::string> dictionary_lines(const Job& job) {
  std::vector<std::string> lines;
  if (!job.dictionaries) return lines;
  for (const Dictionary& dictionary : *job.dictionaries) {
    const std::size_t number = lines.size();
    lines.push_back(fmt::format("dictionary {}: {}, {} features, {}", number,
                                printable(job.dictionary_names.at(number), LineEnds::escape), dictionary.features(),
                                text_of_gate(dictionary)));
  }
  return lines;
}

}  // namespace tributary
