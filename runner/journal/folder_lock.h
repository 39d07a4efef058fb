// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One program at a time in an output folder. The operating system holds the lock (fcntl, on the open file), so a killed
// program cannot leave it behind; where a file system cannot lock, a heartbeat file stands in for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

namespace tributary {

class FolderLock {
 public:
  enum class Kind { automatic, heartbeat };  //!< heartbeat: as on a file system without locks

  /// Takes `folder`/lock; waits up to `patience` for a holder that is about to end. Throws UserError naming the holder
  /// (host, process, since when), or when the file cannot be made.
  explicit FolderLock(const std::filesystem::path& folder,
                      std::chrono::milliseconds patience = std::chrono::seconds(10), Kind kind = Kind::automatic);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// Who holds the folder's lock now, as its holder wrote it ("host n1, process 17, since …"); empty: nobody.
  static std::string holder(const std::filesystem::path& folder);

 private:
  void lock(std::chrono::milliseconds patience);
  void begin_heart(std::chrono::milliseconds patience);
  void beat();

  std::filesystem::path file_;
  int descriptor_ = -1;
  std::mutex mutex_;
  std::condition_variable ending_;
  bool ended_ = false;
  std::thread heart_;
};

}  // namespace tributary
