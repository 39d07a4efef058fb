// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "common/errors.h"

#include <utility>

namespace tributary {
namespace {

/// Exceptions hand on their text as a C string, which would end at a NUL.
void append(std::string& text, const std::string& more) {
  for (const char c : more) c == '\0' ? text += "\\x00" : text += c;
}

std::string join(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    if (!text.empty()) text += '\n';
    if (!problem.where.empty()) append(text, problem.where + ": ");
    append(text, problem.text);
  }
  return text;
}

}  // namespace

UserError::UserError(std::vector<Problem> problems)
    : std::runtime_error(join(problems)), problems_(std::move(problems)) {}

UserError::UserError(std::string where, std::string text)
    : UserError(std::vector<Problem>{{std::move(where), std::move(text)}}) {}

void violate_contract(const char* file, int line, const char* condition, const std::string& why) {
  throw ContractViolation(std::string(file) + ":" + std::to_string(line) + ": expected " + condition + " (" + why +
                          "); this is a bug in tributary, please report it");
}

}  // namespace tributary
