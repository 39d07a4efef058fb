// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One program at a time in an output folder. The operating system holds the lock (fcntl, on the open file), so a killed
// program cannot leave it behind. But many a cluster's file system has no locks, or grants them on each node by itself
// (BeeGFS, Lustre with localflock, NFS with local_lock): so there is a heartbeat file besides, and both are looked at.
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

  struct Times {
    std::chrono::milliseconds patience = std::chrono::seconds(10);    //!< for a holder that is about to end
    std::chrono::milliseconds dead_after = std::chrono::seconds(60);  //!< without a beat; network disks may stall
  };

  /// Takes `folder`/lock. Throws UserError naming the holder (host, process, since when), or when the file cannot be
  /// made.
  FolderLock(const std::filesystem::path& folder, Times times, Kind kind = Kind::automatic);
  explicit FolderLock(const std::filesystem::path& folder) : FolderLock(folder, Times()) {}
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// Who holds the folder's lock now, as its holder wrote it ("host n1, process 17, since …"); empty: nobody. Takes
  /// some seconds where only a heartbeat can tell. Writes nothing.
  static std::string holder(const std::filesystem::path& folder);

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] bool lock(Clock::time_point until) const;
  void begin_heart(Clock::time_point until, std::chrono::milliseconds dead_after, bool locked);
  void await_silence(Clock::time_point until, std::chrono::milliseconds dead_after, bool locked) const;
  void beat();

  std::filesystem::path file_;
  std::string own_;  // what a heartbeat of ours begins with
  int descriptor_ = -1;
  std::mutex mutex_;
  std::condition_variable ending_;
  bool ended_ = false;
  std::thread heart_;
};

}  // namespace tributary
