// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/detail/coordinator.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/errors.h"
#include "runner/cluster/block_codec.h"

namespace tributary::detail {
namespace {

constexpr std::chrono::milliseconds kReportEvery{100};
constexpr std::chrono::microseconds kSleepAlone{20'000};  // results wake it; this is for stops and the display

SchedulerOptions scheduler_options(const StageOptions& options, const std::vector<std::int64_t>& threads_by_rank) {
  SchedulerOptions scheduling;
  scheduling.ranks = static_cast<int>(threads_by_rank.size());
  scheduling.workers = std::accumulate(threads_by_rank.begin(), threads_by_rank.end(), std::int64_t{0});
  scheduling.order = options.order;
  scheduling.seed = options.seed;
  scheduling.block_seconds = options.block_seconds;
  return scheduling;
}

}  // namespace

Coordinator::Coordinator(const StageContext& context, const std::vector<std::int64_t>& threads_by_rank)
    : context_(context), scheduler_(context.table, scheduler_options(context.options, threads_by_rank)) {
  for (const std::int64_t threads : threads_by_rank) ranks_.push_back({threads, {}, Clock::now(), -1, {}, {}});
  for (std::int64_t lane = 0; lane < context.table.lanes(); ++lane) {
    folds_.emplace_back(lane, context.table.lane_size(lane));
  }
  result_.rows.resize(context.table.size());
  if (ranks() > 1) mailbox_.emplace(context.comm);
}

StageResult Coordinator::run() {
  try {
    restore();
    report_progress();
    while (!scheduler_.finished()) step();
    report_progress();
  } catch (const RankFailed&) {
    throw;  // it will not answer, so there is nothing to wait for
  } catch (...) {
    give_up();
    throw;
  }
  result_.restored = restored_.units;
  result_.any_failed = !result_.failed.empty();
  result_.stopped = scheduler_.units_left() > 0;
  finish({result_.any_failed, result_.stopped, false});
  return take_results();
}

void Coordinator::restore() {
  if (!context_.options.restore) return;
  while (std::optional<BlockResult> result = context_.options.restore()) {
    const auto range_of = [this](const Node& node) {
      TRIBUTARY_EXPECT(node.lane >= 0 && node.lane < context_.table.lanes(), "a restored block of another stage");
      return LaneFold::range(node, context_.table.lane_size(node.lane));
    };
    const bool known = std::any_of(result->nodes.begin(), result->nodes.end(), [&](const Node& node) {
      const auto [first, last] = range_of(node);
      return scheduler_.any_done(node.lane, first, last);
    });
    if (known) continue;  // ranks that outlived rank 0 for a moment computed what a later start had cut differently
    for (const Node& node : result->nodes) {
      const auto [first, last] = range_of(node);
      scheduler_.mark_done(node.lane, first, last);
    }
    const Amount amount = amount_in(*result);
    restored_.units += amount.units;
    restored_.cost += amount.cost;
    keep(std::move(*result));
  }
}

void Coordinator::step() {
  context_.comm.require_no_trouble();
  if (context_.stop_requested()) begin_stop();
  hand_out();
  if (receive()) {
    poll_interval_.reset();
  } else {
    context_.workers.wait(mailbox_ ? poll_interval_.next() : kSleepAlone);
  }
  if (Clock::now() >= next_report_) {
    report_progress();
    warn_of_silence();
  }
}

void Coordinator::hear(int rank) {
  ranks_[rank].heard = Clock::now();
  ranks_[rank].warned = -1;
}

std::vector<RankActivity> Coordinator::busy_ranks() const {
  std::vector<RankActivity> busy;
  for (int rank = 0; rank < ranks(); ++rank) {
    const Rank& of = ranks_[rank];
    if (of.held.empty()) continue;
    const Block& block = of.held.begin()->second;
    const std::chrono::duration<double> silent = Clock::now() - of.heard;
    busy.push_back({rank, block.lane, block.first, block.count, silent.count()});
  }
  return busy;
}

void Coordinator::warn_of_silence() {
  if (!context_.options.on_warning) return;
  for (const RankActivity& activity : busy_ranks()) {
    Rank& rank = ranks_[activity.rank];
    const std::int64_t block = rank.held.begin()->first;
    if (activity.silent < context_.options.silence || rank.warned == block) continue;
    rank.warned = block;
    const std::int64_t unit = context_.table.unit_at(activity.lane, activity.first);
    context_.options.on_warning("rank " + std::to_string(activity.rank) + " has said nothing for " +
                                std::to_string(static_cast<std::int64_t>(activity.silent)) + " s; it has unit " +
                                std::to_string(unit) + " of stage '" + context_.options.name + "'");
  }
}

void Coordinator::begin_stop() {
  if (std::exchange(stopping_, true)) return;
  context_.request_stop();
  end_early(MessageKind::Stop);
}

void Coordinator::end_early(MessageKind how) {
  scheduler_.stop();
  context_.workers.cancel();
  for (int rank = 1; rank < ranks(); ++rank) mailbox_->send(rank, how);
}

void Coordinator::hand_out() {
  // One block a rank in turn, so that few units are not all given to the first rank.
  for (const Demand demand : {Demand::Idle, Demand::Prefetch}) {
    for (bool any = true; any;) {
      any = false;
      for (int rank = 0; rank < ranks(); ++rank) any = hand_out_one(rank, demand) || any;
    }
  }
}

bool Coordinator::hand_out_one(int rank, Demand demand) {
  Rank& to = ranks_[rank];
  const std::int64_t enough = to.threads + (demand == Demand::Prefetch ? 1 : 0);
  if (std::ssize(to.held) >= enough) return false;
  const std::optional<Block> block = scheduler_.next(rank, demand);
  if (!block) return false;
  if (rank == 0) {
    context_.workers.push(*block);
  } else {
    mailbox_->send(rank, MessageKind::Work, encode(*block));
  }
  if (to.held.empty()) hear(rank);
  to.held.emplace(block->id, *block);
  return true;
}

bool Coordinator::receive() {
  std::optional<BlockResult> result = context_.workers.pop();
  if (result) {
    take_result(0, std::move(*result));
  }
  const std::optional<Message> message = mailbox_ ? mailbox_->poll() : std::nullopt;
  if (message) handle(*message);
  return result || message;
}

void Coordinator::handle(const Message& message) {
  Rank& from = ranks_.at(message.source);
  switch (message.kind) {
    case MessageKind::Result:
      take_result(message.source, decode_block_result(message.payload));
      break;
    case MessageKind::Tick:
      from.ticked = decode_amount(message.payload);
      hear(message.source);
      break;
    case MessageKind::Stop:
      begin_stop();
      break;
    case MessageKind::Work:
    case MessageKind::Finish:
    case MessageKind::Bye:
    case MessageKind::Abandon:
      throw RuntimeFailure("rank " + std::to_string(message.source) + " sent a message out of turn; start again");
  }
}

void Coordinator::take_result(int rank, BlockResult result) {
  hear(rank);
  ranks_[rank].held.erase(result.block);
  result_.computing += result.seconds;
  if (!result.unkept.empty()) throw RuntimeFailure(result.unkept);
  const Amount amount = amount_in(result);
  ranks_[rank].returned.units += amount.units;
  ranks_[rank].returned.cost += amount.cost;
  if (!result.unstarted.empty()) begin_stop();
  for (FailedUnit& failure : scheduler_.finish(rank, result)) {
    const UnitSpec& spec = context_.table.spec(failure.unit);
    folds_[spec.lane].skip(spec.index);
    result_.failed.push_back(std::move(failure));
  }
  if (result.nodes.empty()) return;
  keep(std::move(result));
}

void Coordinator::keep(BlockResult result) {
  for (Node& node : result.nodes) {
    LaneFold& fold = folds_.at(node.lane);
    fold.add(std::move(node));
  }
  for (UnitRows& rows : result.rows) result_.rows.at(rows.unit) = std::move(rows.values);
}

Amount Coordinator::amount_in(const BlockResult& result) const {
  Amount amount;
  for (const Node& node : result.nodes) {
    const auto [first, last] = LaneFold::range(node, context_.table.lane_size(node.lane));
    amount.units += last - first;
    for (std::int64_t index = first; index < last; ++index) {
      amount.cost += context_.table.spec(context_.table.unit_at(node.lane, index)).cost;
    }
  }
  return amount;
}

void Coordinator::report_progress() {
  next_report_ = Clock::now() + kReportEvery;
  if (!context_.options.on_progress) return;
  const Amount own = context_.workers.computed();
  if (own.units > ranks_[0].ticked.units) hear(0);
  ranks_[0].ticked = own;
  Progress progress;
  progress.busy = busy_ranks();
  progress.stage = context_.options.name;
  progress.done = progress.restored = restored_.units;
  progress.cost_done = restored_.cost;
  progress.failed = std::ssize(result_.failed);
  progress.total = context_.table.size();
  progress.cost_total = context_.table.total_cost();
  for (const Rank& rank : ranks_) {
    progress.done += std::max(rank.ticked.units, rank.returned.units);
    progress.cost_done += std::max(rank.ticked.cost, rank.returned.cost);
  }
  context_.options.on_progress(progress);
}

/// Ends the stage on all ranks after a failure here. The failure itself is what will be reported, so
/// nothing that goes wrong on the way may hide it.
void Coordinator::give_up() noexcept {
  try {
    end_early(MessageKind::Abandon);
    await_blocks_out();
    finish({false, false, true});
  } catch (...) {
    return;
  }
}

void Coordinator::await_blocks_out() {
  const auto still_out = [](const Rank& rank) { return !rank.held.empty(); };
  while (std::any_of(ranks_.begin(), ranks_.end(), still_out)) {
    context_.comm.require_no_trouble();
    if (const auto result = context_.workers.pop()) ranks_[0].held.erase(result->block);
    if (const std::optional<Message> message = mailbox_ ? mailbox_->poll() : std::nullopt) {
      if (message->kind != MessageKind::Result) continue;
      ranks_.at(message->source).held.erase(decode_block_result(message->payload).block);
    }
    context_.workers.wait(poll_interval_.next());
  }
}

void Coordinator::finish(const Ending& ending) {
  for (int rank = 1; rank < ranks(); ++rank) mailbox_->send(rank, MessageKind::Finish, encode(ending));
  // Every rank's last word: after it nothing of this stage can turn up in the next one.
  int awaited = ranks() - 1;
  context_.comm.wait([&] {
    const std::optional<Message> message = mailbox_ ? mailbox_->poll() : std::nullopt;
    if (message && message->kind == MessageKind::Bye) --awaited;
    if (message && message->kind == MessageKind::Stop) context_.request_stop();
    return awaited == 0;
  });
}

StageResult Coordinator::take_results() {
  for (LaneFold& fold : folds_) result_.sums.push_back(fold.complete() ? fold.take() : std::vector<double>{});
  std::sort(result_.failed.begin(), result_.failed.end(),
            [](const FailedUnit& a, const FailedUnit& b) { return a.unit < b.unit; });
  return std::move(result_);
}

}  // namespace tributary::detail
