// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Threads that help one thread with its loops: for work whose pieces are independent, bit for bit, so that how many
// help changes nothing but the time it takes.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

namespace tributary {

/// A piece of a loop: first … end - 1.
using LoopPiece = std::function<void(std::int64_t first, std::int64_t end)>;

/// The helpers of the thread that makes it, while it lives: one team a thread at a time.
class Team {
 public:
  /// size: threads together, the caller included; 1 helps nobody and starts none. Throws std::system_error where a
  /// thread cannot be started.
  explicit Team(int size);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  [[nodiscard]] int size() const { return static_cast<int>(helpers_.size()) + 1; }
  /// Cuts 0 … count - 1 into a piece for each thread, at multiples of `grain`, and returns when all are done. What one
  /// of them throws is thrown here.
  void share(std::int64_t count, std::int64_t grain, const LoopPiece& piece);

 private:
  void help(int member);
  void run(int member);
  void dismiss();

  struct Loop {
    std::int64_t count = 0, each = 0;
    const LoopPiece* piece = nullptr;
  };
  Loop loop_;                               // of the round
  std::atomic<std::uint32_t> round_ = 0;    // odd ones end the helpers
  std::atomic<std::uint32_t> pending_ = 0;  // helpers that have not finished their piece
  std::vector<std::exception_ptr> problems_;
  std::vector<std::thread> helpers_;
};

/// The same with the calling thread's team; in one piece where it has none, or is a helper itself.
void share_loop(std::int64_t count, std::int64_t grain, const LoopPiece& piece);

}  // namespace tributary
