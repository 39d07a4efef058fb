// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/base/repository_name.h"

#include <algorithm>

namespace tributary::detail {
namespace {

constexpr std::string_view cache_prefix = "models--";
constexpr std::string_view between = "--";
constexpr std::size_t longest = 96;

bool is_word(std::string_view word) {
  const auto may_stand_inside = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  const auto may_not_end = [](char c) { return c == '-' || c == '.'; };
  return !word.empty() && word.size() <= longest && std::all_of(word.begin(), word.end(), may_stand_inside) &&
         !may_not_end(word.front()) && !may_not_end(word.back()) && word.find("--") == std::string_view::npos &&
         word.find("..") == std::string_view::npos;
}

}  // namespace

bool is_repository_name(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return is_word(text);
  return is_word(text.substr(0, slash)) && is_word(text.substr(slash + 1));
}

std::string cache_folder_of(std::string_view repository) {
  std::string folder(cache_prefix);
  folder += repository;
  if (const std::size_t slash = folder.find('/'); slash != std::string::npos) folder.replace(slash, 1, between);
  return folder;
}

std::string repository_of(std::string_view cache_folder) {
  if (!cache_folder.starts_with(cache_prefix)) return {};
  std::string repository(cache_folder.substr(cache_prefix.size()));
  if (const std::size_t dashes = repository.find(between); dashes != std::string::npos) {
    repository.replace(dashes, between.size(), "/");
  }
  return repository;
}

}  // namespace tributary::detail
