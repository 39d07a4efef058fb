// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What is fuzzed: readers of files that people get from elsewhere. A target is given any bytes; it may refuse them by a
// UserError. Another exception, a finding of a sanitizer, a broken promise or too much time or memory is a fault.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace tributary::fuzz {

using Bytes = std::span<const std::uint8_t>;

void read_results_file(Bytes bytes);
void read_and_use_tokenizer(Bytes bytes);
void read_safetensors_file(Bytes bytes);
void read_settings_file(Bytes bytes);
void read_and_judge_pairs(Bytes bytes);
void read_scores(Bytes bytes);

struct Target {
  const char* name;
  void (*run)(Bytes bytes);
};

inline constexpr Target targets[] = {{"results", read_results_file},         {"tokenizer", read_and_use_tokenizer},
                                     {"safetensors", read_safetensors_file}, {"settings", read_settings_file},
                                     {"pairs", read_and_judge_pairs},        {"scores", read_scores}};

/// A file of this process with these bytes; the next call overwrites it.
std::filesystem::path file_of(Bytes bytes);

/// Ends the process with the text unless the condition holds.
void require(bool condition, const char* text);

}  // namespace tributary::fuzz
