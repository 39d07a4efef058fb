// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a killed run leaves behind of one stage: every finished block as a file, written by the rank that computed it
// before it tells rank 0. So blocks are written in parallel, and what rank 0 has heard of is on the disk already.
//   <stage>/plan.json                what the stage consists of
//   <stage>/<lane>.<first>.<n>.block n units of a lane; all.block: the whole stage
//   <stage>/failed.json              units given up, with their texts
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/warn.h"
#include "runner/cluster/block_codec.h"
#include "runner/cluster/units.h"

namespace tributary {

/// One stage of a group. Its folder must exist before write().
class StageJournal {
 public:
  /// processor: that this process computes on; empty: it only reads, and leaves everything as it lies.
  StageJournal(std::filesystem::path folder, std::string stage, std::string processor);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  /// Stores what a block has computed; nothing where that is nothing. Any rank, any thread. Throws UserError or
  /// RuntimeFailure when the disk refuses.
  void write(const BlockResult& result, const UnitTable& table) const;

  /// Rank 0: makes the folder and says in it what the stage consists of.
  void begin(const std::string& name, const UnitTable& table) const;

  /// Rank 0, until it gives nothing: what an earlier start has stored. Damaged files are set aside with a warning;
  /// UserError where a block belongs to another stage, or to none of `processors` (empty: any will do).
  std::optional<BlockResult> next(const std::vector<std::string>& processors, const Warn& warn);
  /// The kinds of processor that computed what next() has given.
  [[nodiscard]] const std::set<std::string>& processors() const { return processors_; }

  /// Whether next() gave the whole stage at once.
  [[nodiscard]] bool packed() const { return packed_; }
  /// How many files of blocks there are.
  [[nodiscard]] std::int64_t files() const;
  /// Rank 0: the whole stage in one file instead of many.
  void pack(const BlockView& everything) const;
  void record_failed(const std::vector<FailedUnit>& failed) const;

 private:
  [[nodiscard]] std::vector<std::filesystem::path> parts() const;
  void write_file(const std::string& name, const BlockView& block) const;
  std::optional<BlockResult> read(const std::filesystem::path& file, const std::vector<std::string>& processors,
                                  const Warn& warn);
  void set_aside(const std::filesystem::path& file, const std::string& damage, const Warn& warn) const;

  std::filesystem::path folder_;
  std::string stage_, processor_;
  std::set<std::string> processors_;
  std::optional<std::vector<std::filesystem::path>> waiting_;  // files not read yet; none: not looked
  bool packed_ = false;
};

}  // namespace tributary
