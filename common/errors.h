// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The three ways things go wrong, and nothing else: contract violations (our bug), user errors
// (exit 2) and run-time failures (I/O, MPI, memory). Every message says the problem, why it is one,
// and what to do. Libraries throw these; only runner/ prints them and exits.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace tributary {

/// A broken promise inside the program: always our bug, never the user's.
class ContractViolation : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// One thing wrong with what the user gave us.
struct Problem {
  std::string where;  //!< "file:line:column", "file:line", "file" or empty
  std::string text;   //!< problem (why it is one), what to do
};

/// What the user gave cannot be used; carries every problem found, not only the first.
class UserError : public std::runtime_error {
 public:
  explicit UserError(std::vector<Problem> problems);
  UserError(std::string where, std::string text);

  [[nodiscard]] const std::vector<Problem>& problems() const { return problems_; }

 private:
  std::vector<Problem> problems_;
};

/// The machine failed us: I/O, MPI, memory.
class RuntimeFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws ContractViolation naming the place; called by TRIBUTARY_EXPECT.
[[noreturn]] void violate_contract(const char* file, int line, const char* condition, const std::string& why);

}  // namespace tributary

/// Checks a contract in every build; `why` is only evaluated on failure.
#define TRIBUTARY_EXPECT(condition, why)                                    \
  do {                                                                      \
    if (!(condition)) {                                                     \
      ::tributary::violate_contract(__FILE__, __LINE__, #condition, (why)); \
    }                                                                       \
  } while (false)
