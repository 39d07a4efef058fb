// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Typed messages between ranks: a small header (magic, kind, size) and a payload of any size, sent in
// pieces that MPI's int counts can hold. Only the thread that runs MPI may use them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runner/cluster/comm.h"

namespace tributary {

enum class MessageKind : std::uint32_t {
  Work = 1,     //!< rank 0 → rank: a block to compute
  Result = 2,   //!< rank → rank 0: what became of it; says at the same time that a worker is free
  Tick = 3,     //!< rank → rank 0: units computed so far, for the progress display
  Stop = 4,     //!< both ways: someone asked to stop
  Finish = 5,   //!< rank 0 → rank: the stage is over, and how it ended
  Bye = 6,      //!< rank → rank 0: nothing more will come from here in this stage
  Abandon = 7,  //!< rank 0 → rank: begin nothing more of this stage; nobody asked the run to stop
};

struct Message {
  int source = 0;
  MessageKind kind = MessageKind::Work;
  std::vector<std::byte> payload;
};

/// Sends and receives messages over a communicator, which must not be null. Messages of one rank arrive in the order in
/// which it sent them; a large one that is still on its way does not hold up those of other ranks.
class Mailbox {
 public:
  /// `piece` is the largest number of bytes in one MPI call; tests make it small.
  explicit Mailbox(const Communicator& comm, std::size_t piece = std::size_t{1} << 30);
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  void send(int rank, MessageKind kind, std::span<const std::byte> payload = {});

  /// The next message if one has arrived whole, without waiting. Throws RuntimeFailure on a damaged one.
  std::optional<Message> poll();

 private:
  struct Arriving;
  bool begin_to_receive();

  Communicator comm_;
  std::size_t piece_;
  std::deque<std::unique_ptr<Arriving>> arriving_;  // in the order of their beginnings; whole ones are ready
};

}  // namespace tributary
