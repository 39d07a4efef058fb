// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/detail/coordinator.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
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
  scheduling.at_once = options.at_once.most;
  std::map<std::string, int> nodes;
  for (const std::string& host : options.hosts) {
    scheduling.nodes.push_back(nodes.emplace(host, static_cast<int>(nodes.size())).first->second);
  }
  return scheduling;
}

}  // namespace

Coordinator::Coordinator(const StageContext& context, const std::vector<std::int64_t>& threads_by_rank)
    : context_(context),
      ranks_(threads_by_rank),
      scheduler_(context.table, scheduler_options(context.options, threads_by_rank)),
      sink_(context.table) {
  for (int rank = 0; rank < ranks_.ranks(); ++rank) askers_.insert(rank);
  if (ranks_.ranks() > 1) mailbox_.emplace(context.comm);
}

StageResult Coordinator::run() {
  try {
    restore();
    report_progress();
    while (!scheduler_.finished()) step();
    report_progress();
  } catch (const RankFailed&) {  // it will not answer, so there is nothing to wait for
    context_.request_stop();     // nor for units in flight here, which would hold up the reason
    context_.workers.cancel();
    throw;
  } catch (...) {
    give_up();
    throw;
  }
  result_.restored = restored_.units;
  result_.any_failed = !result_.failed.empty();
  result_.stopped = scheduler_.units_left() > 0 && !scheduler_.hopeless();
  finish({result_.any_failed, result_.stopped, false});
  result_.sums = sink_.take_sums();
  result_.sparse = sink_.take_sparse();
  result_.rows = sink_.take_rows();
  std::sort(result_.failed.begin(), result_.failed.end(),
            [](const FailedUnit& a, const FailedUnit& b) { return a.unit < b.unit; });
  return std::move(result_);
}

void Coordinator::restore() {
  if (!context_.options.restore) return;
  while (std::optional<BlockResult> result = context_.options.restore()) {
    // Ranks that outlived rank 0 for a moment computed what a later start had cut differently.
    if (sink_.has_any_of(*result)) continue;
    for (const TreeNode& node : result->nodes) {
      const auto [first, last] = LaneFold::range(node, context_.table.lane_size(node.lane));
      scheduler_.mark_done(node.lane, first, last);
    }
    restored_ += sink_.amount_in(*result);
    sink_.add(std::move(*result));
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
    ranks_.hear(0);
    report_progress();
    warn_of_silence();
  }
}

/// One block a rank in turn, so that few units are not all given to the first rank.
void Coordinator::hand_out() {
  for (const Demand demand : {Demand::Idle, Demand::Prefetch}) {
    for (bool any = true; any;) {
      any = false;
      for (const int rank : askers_) any = hand_out_one(rank, demand) || any;
    }
  }
  askers_.clear();
}

bool Coordinator::hand_out_one(int rank, Demand demand) {
  if (!ranks_.has_room(rank, demand)) return false;
  const std::optional<Block> block = scheduler_.next(rank, demand);
  if (!block) return false;
  if (rank == 0) {
    context_.workers.push(*block);
  } else {
    mailbox_->send(rank, MessageKind::Work, encode(*block));
  }
  ranks_.give(rank, *block);
  return true;
}

/// What is left to hand out only ever shrinks, so a rank that could get nothing a moment ago gets nothing now: unless
/// it has room again, or units have come back undone, which any rank may take.
void Coordinator::may_take_more(const BlockResult& result, int rank) {
  askers_.insert(rank);
  if (!scheduler_.any_waits_for_another_attempt() && result.unstarted.empty()) return;
  for (int any = 0; any < ranks_.ranks(); ++any) askers_.insert(any);
}

bool Coordinator::receive() {
  std::optional<BlockResult> result = context_.workers.pop();
  if (result) take_result(0, std::move(*result));
  const std::optional<Message> message = mailbox_ ? mailbox_->poll() : std::nullopt;
  if (message) handle(*message);
  return result || message;
}

void Coordinator::handle(const Message& message) {
  switch (message.kind) {
    case MessageKind::Result:
      take_result(message.source, decode_block_result(message.payload));
      break;
    case MessageKind::Tick:
      ranks_.set_computed(message.source, decode_amount(message.payload));
      ranks_.hear(message.source);
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
  ranks_.hear(rank);
  ranks_.take_back(rank, result.block);
  result_.computing += result.seconds;
  ranks_.add_returned(rank, sink_.amount_in(result));
  if (!result.unstarted.empty()) begin_stop();
  for (FailedUnit& failure : scheduler_.finish(rank, result)) {
    // No other rank could write it either: to compute more is of no use.
    if (!result.unwritten.empty()) throw RuntimeFailure(result.unwritten);
    sink_.skip(failure.unit);
    result_.failed.push_back(std::move(failure));
  }
  may_take_more(result, rank);
  if (!result.failed.empty() && result_.failed.empty()) warn_of_failure(rank, result.failed.back().text);
  if (scheduler_.newly_benched()) warn_of_benched(rank, result.failed.back().text);
  sink_.add(std::move(result));
}

/// The first one that another rank may do: whoever reads this later knows of the rank.
void Coordinator::warn_of_failure(int rank, const std::string& text) {
  if (!context_.options.on_warning || std::exchange(told_of_failure_, true)) return;
  context_.options.on_warning(name_of(rank) + " has failed a unit, which is tried again (" + text + ")");
}

void Coordinator::warn_of_benched(int rank, const std::string& text) {
  if (!context_.options.on_warning) return;
  const std::string next = scheduler_.hopeless() ? "so has every other rank, and the stage ends here"
                                                 : "it gets nothing more of this stage, and others try what it failed";
  context_.options.on_warning(name_of(rank) + " has failed " + std::to_string(blocks_until_benched) +
                              " blocks of units in a row; " + next + " (last: " + text + ")");
}

std::string Coordinator::name_of(int rank) const {
  const std::vector<std::string>& hosts = context_.options.hosts;
  const auto place = static_cast<std::size_t>(rank);
  return "rank " + std::to_string(rank) + (place < hosts.size() ? " on " + hosts[place] : "");
}

void Coordinator::begin_stop() {
  if (std::exchange(stopping_, true)) return;
  context_.request_stop();
  end_early(MessageKind::Stop);
}

void Coordinator::end_early(MessageKind how) {
  scheduler_.stop();
  context_.workers.cancel();
  for (int rank = 1; rank < ranks_.ranks(); ++rank) mailbox_->send(rank, how);
}

void Coordinator::report_progress() {
  next_report_ = Clock::now() + kReportEvery;
  if (!context_.options.on_progress) return;
  ranks_.set_computed(0, context_.workers.computed());
  const Amount computed = ranks_.computed();
  Progress progress;
  progress.busy = ranks_.busy();
  progress.stage = context_.options.name;
  progress.done = restored_.units + computed.units;
  progress.restored = restored_.units;
  progress.failed = std::ssize(result_.failed);
  progress.total = context_.table.size();
  progress.cost_done = restored_.cost + computed.cost;
  progress.cost_total = context_.table.total_cost();
  context_.options.on_progress(progress);
}

void Coordinator::warn_of_silence() {
  if (!context_.options.on_warning) return;
  for (const RankActivity& silent : ranks_.newly_silent(context_.options.silence)) {
    context_.options.on_warning(name_of(silent.rank) + " has said nothing for " +
                                std::to_string(static_cast<std::int64_t>(silent.silent)) + " s; it has unit " +
                                std::to_string(context_.table.unit_at(silent.lane, silent.first)) + " of stage '" +
                                context_.options.name + "'");
  }
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
  while (ranks_.any_has_work()) {
    context_.comm.require_no_trouble();
    if (const auto result = context_.workers.pop()) ranks_.take_back(0, result->block);
    if (const std::optional<Message> message = mailbox_ ? mailbox_->poll() : std::nullopt) {
      if (message->kind != MessageKind::Result) continue;
      ranks_.take_back(message->source, decode_block_result(message->payload).block);
    }
    context_.workers.wait(poll_interval_.next());
  }
}

void Coordinator::finish(const Ending& ending) {
  for (int rank = 1; rank < ranks_.ranks(); ++rank) mailbox_->send(rank, MessageKind::Finish, encode(ending));
  // Every rank's last word: after it nothing of this stage can turn up in the next one.
  int awaited = ranks_.ranks() - 1;
  context_.comm.wait([&] {
    const std::optional<Message> message = mailbox_ ? mailbox_->poll() : std::nullopt;
    if (message && message->kind == MessageKind::Bye) --awaited;
    if (message && message->kind == MessageKind::Stop) context_.request_stop();
    return awaited == 0;
  });
}

}  // namespace tributary::detail
