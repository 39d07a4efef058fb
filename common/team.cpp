// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "common/team.h"

#include <algorithm>
#include <utility>

#include "common/errors.h"

namespace tributary {
namespace {

thread_local Team* own_team = nullptr;  // of this thread

/// Looks for a change this often before it sleeps: loops follow each other within microseconds.
constexpr int looks = 2000;

void wait_until_changed(const std::atomic<std::uint32_t>& value, std::uint32_t from) {
  for (int i = 0; i < looks; ++i) {
    if (value.load(std::memory_order_acquire) != from) return;
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
  }
  value.wait(from, std::memory_order_acquire);
}

}  // namespace

Team::Team(int size) {
  problems_.resize(static_cast<std::size_t>(std::max(size, 1)));
  TRIBUTARY_EXPECT(own_team == nullptr, "a thread has one team");
  try {
    for (int member = 1; member < size; ++member) helpers_.emplace_back([this, member] { help(member); });
  } catch (...) {
    dismiss();
    throw;
  }
  own_team = this;
}

Team::~Team() {
  dismiss();
  own_team = nullptr;
}

void Team::dismiss() {
  round_.fetch_or(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void Team::help(int member) {
  for (std::uint32_t seen = 0;;) {
    wait_until_changed(round_, seen);
    seen = round_.load(std::memory_order_acquire);
    if ((seen & 1U) != 0) return;
    run(member);
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
  }
}

void Team::run(int member) {
  const std::int64_t first = std::min(loop_.count, member * loop_.each);
  const std::int64_t end = std::min(loop_.count, first + loop_.each);
  if (first == end) return;
  try {
    (*loop_.piece)(first, end);
  } catch (...) {
    problems_[static_cast<std::size_t>(member)] = std::current_exception();
  }
}

void Team::share(std::int64_t count, std::int64_t grain, const LoopPiece& piece) {
  if (helpers_.empty() || count <= grain) {
    if (count > 0) piece(0, count);
    return;
  }
  const std::int64_t grains = (count + grain - 1) / grain;
  loop_ = {count, (grains + size() - 1) / size() * grain, &piece};
  pending_.store(static_cast<std::uint32_t>(helpers_.size()), std::memory_order_relaxed);
  round_.fetch_add(2, std::memory_order_release);
  round_.notify_all();
  run(0);
  for (std::uint32_t left = pending_.load(std::memory_order_acquire); left != 0;
       left = pending_.load(std::memory_order_acquire)) {
    wait_until_changed(pending_, left);
  }
  for (std::exception_ptr& problem : problems_) {
    if (problem) std::rethrow_exception(std::exchange(problem, nullptr));
  }
}

void share_loop(std::int64_t count, std::int64_t grain, const LoopPiece& piece) {
  if (own_team != nullptr) return own_team->share(count, grain, piece);
  if (count > 0) piece(0, count);
}

}  // namespace tributary
