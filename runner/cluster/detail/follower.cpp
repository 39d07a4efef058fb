// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/detail/follower.h"

#include <algorithm>
#include <string>

#include "common/errors.h"
#include "runner/cluster/block_codec.h"

namespace tributary::detail {
namespace {

constexpr int kCoordinator = 0;
constexpr std::chrono::milliseconds kTickEvery{200};
constexpr double kSignOfLifeEvery = 30;  // seconds
constexpr double kSignsInSilence = 4;    // before rank 0 would name this one

}  // namespace

Follower::Follower(const StageContext& context) : context_(context), mailbox_(context.comm) {}

StageResult Follower::run() {
  std::optional<Ending> ending;
  while (!ending) {
    send_stop();
    send_results();
    send_tick();
    ending = receive();
    if (!ending) context_.workers.wait(poll_interval_.next());
  }
  mailbox_.send(kCoordinator, MessageKind::Bye);
  if (ending->broken) {
    throw FailedElsewhere("stage '" + context_.options.name +
                          "' was given up (rank 0 failed); see the message of rank 0");
  }
  StageResult result;
  result.any_failed = ending->any_failed;
  result.stopped = ending->stopped;
  return result;
}

/// Handles what has arrived; gives the ending when it is among it.
std::optional<Ending> Follower::receive() {
  while (const std::optional<Message> message = mailbox_.poll()) {
    poll_interval_.reset();
    if (message->kind == MessageKind::Finish) return decode_ending(message->payload);
    handle(*message);
  }
  return std::nullopt;
}

void Follower::handle(const Message& message) {
  switch (message.kind) {
    case MessageKind::Work:
      context_.workers.push(decode_block(message.payload));
      break;
    case MessageKind::Stop:
      context_.request_stop();
      context_.workers.cancel();
      stop_sent_ = true;  // rank 0 knows
      break;
    case MessageKind::Abandon:
      context_.workers.cancel();
      break;
    case MessageKind::Result:
    case MessageKind::Tick:
    case MessageKind::Finish:
    case MessageKind::Bye:
      throw RuntimeFailure("rank 0 sent a message out of turn; start again");
  }
}

void Follower::send_results() {
  while (const std::optional<BlockResult> result = context_.workers.pop()) {
    poll_interval_.reset();
    mailbox_.send(kCoordinator, MessageKind::Result, encode(*result));
  }
}

void Follower::send_stop() {
  if (stop_sent_ || !context_.stop_requested()) return;
  stop_sent_ = true;
  context_.workers.cancel();
  mailbox_.send(kCoordinator, MessageKind::Stop);
}

void Follower::send_tick() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_tick_) return;
  next_tick_ = now + kTickEvery;
  const Amount computed = context_.workers.computed();
  // A unit may take longer than the silence after which a rank is named: that it goes on living is worth a word.
  const double pause = std::min(kSignOfLifeEvery, context_.options.silence / kSignsInSilence);
  if (computed.units == ticked_.units && std::chrono::duration<double>(now - last_tick_).count() < pause) return;
  ticked_ = computed;
  last_tick_ = now;
  mailbox_.send(kCoordinator, MessageKind::Tick, encode(computed));
}

}  // namespace tributary::detail
