// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Reads the keys and groups of one source of settings, the file or the command line, into a layer. The key `sweep` has
// a grammar of its own, which sweep_reader.h reads.
#pragma once

#include <string>

#include "io/detail/config/layer_source.h"
#include "io/detail/config/sweep_reader.h"

namespace tributary::detail::config {

/// What it reads goes to the source's layer; unknown keys, duplicates and bad values go to the source's complaints.
class LayerReader {
 public:
  /// The source must outlive it.
  explicit LayerReader(LayerSource& source) : source_(source), table_(source.table()), sweep_(source) {}

  /// The whole of a file.
  void read_root(const YamlNode& root);
  /// One `path=value`; it replaces what an earlier override said about `path`.
  void read_override(const std::string& path, const YamlNode& value);
  /// Checks what can be judged only when all of the source is read.
  void finish() { sweep_.require_equal_lengths(); }

 private:
  void read_group(const std::string& group, const YamlNode& node);
  void read_member(const std::string& group, const YamlEntry& entry);
  void read_known(const std::string& path, const YamlNode& node);

  LayerSource& source_;
  const KeyTable& table_;
  SweepReader sweep_;
};

}  // namespace tributary::detail::config
