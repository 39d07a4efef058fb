// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The folder a run writes to: made, checked before any work, and what it holds already.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace tributary {

/// What a results file says of the run that wrote it; empty where it does not say.
struct StoredRun {
  std::string results_identity, scores_identity;
  std::string configuration;  //!< as YAML
  std::string model_hash, train_hash;
  std::string imported_hash;  //!< of the scores of attribution.file; empty: none
};

/// Where results are kept that were set aside.
std::filesystem::path aside_path(const std::filesystem::path& folder);

/// Takes results out of the way that are to be computed again: a run that goes on must not find them. They are kept
/// until forget_replaced(), once the new ones are there. Throws UserError when they cannot be moved.
void set_replaced_aside(const std::filesystem::path& folder);
void forget_replaced(const std::filesystem::path& folder);

/// The run whose results a folder holds; nothing where there are none. Throws UserError when the folder cannot be
/// looked into, or the file is none that this program wrote; ResultsChanged when its bytes are not those written.
std::optional<StoredRun> stored_run(const std::filesystem::path& folder);

/// What the file system of a folder says that is free; quotas are not in it. The largest number where it does not say.
std::uint64_t free_disk_bytes(const std::filesystem::path& folder);

/// Takes so much of the disk and gives it back: a full or read-only disk is found before the work, not after. what: for
/// the message. Throws UserError.
void require_room(const std::filesystem::path& folder, std::uint64_t bytes, const std::string& what);

/// Makes `folder`, and tries to write there `bytes` worth of results. Throws UserError: it cannot be made or written,
/// or the disk has no room.
void claim_output(const std::filesystem::path& folder, std::uint64_t bytes);

}  // namespace tributary
