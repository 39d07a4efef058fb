// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/base/problem_list.h"

#include <utility>

#include <fmt/format.h>

namespace tributary::detail {
namespace {
constexpr std::size_t most_listed = 50;
}

void ProblemList::add(std::string where, std::string text) {
  if (problems_.size() < most_listed) {
    problems_.push_back({std::move(where), std::move(text)});
  } else {
    ++unlisted_;
  }
}

void ProblemList::add_all(const UserError& error) {
  for (const Problem& problem : error.problems()) add(problem.where, problem.text);
}

void ProblemList::throw_if_any() const {
  if (problems_.empty()) return;
  std::vector<Problem> listed = problems_;
  if (unlisted_ > 0) listed.push_back({"", fmt::format("… and {} more", unlisted_)});
  throw UserError(std::move(listed));
}

}  // namespace tributary::detail
