// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Strict JSON for files that people or programs wrote: every error has file:line:column, duplicate
// keys and deep nesting are refused, nothing after the document is ignored.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace tributary::detail {

/// A text and where it came from, so that a byte can be named as people count: lines, characters.
struct JsonSource {
  std::string_view text;
  std::string file;            //!< for messages
  std::size_t first_line = 1;  //!< the line of the file on which `text` begins

  /// "file:line:column" of a byte; columns count characters from 1.
  [[nodiscard]] std::string where(std::size_t byte) const;
};

struct JsonDocument {
  std::string file;       //!< for messages
  std::string text_hash;  //!< of the file's bytes, where it was read as one
  nlohmann::json root;
  std::map<std::string, std::size_t> key_bytes;  //!< the root object's keys → byte of the opening quote
};

/// Parses one document. Throws UserError: invalid UTF-8, JSON errors, duplicate keys, nesting deeper than 64 levels, a
/// NUL byte.
JsonDocument parse_json(const JsonSource& source);

/// The same of a whole file, which must exist.
JsonDocument parse_json_file(const std::string& file);

}  // namespace tributary::detail
