// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/messages.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <string>
#include <utility>

#include "common/errors.h"
#include "runner/mpi/mpi_layer.h"

namespace tributary {
namespace {

// Numbers travel as they lie in memory.
static_assert(std::endian::native == std::endian::little, "messages are little-endian");

constexpr std::uint32_t kMagic = 0x54424954;                // "TIBT"
constexpr auto kHeadTag = Communicator::Tag::message_head;  // header and the beginning of the payload
constexpr auto kRestTag = Communicator::Tag::message_rest;  // further pieces
constexpr std::size_t kHead = std::size_t{48} << 10;        // below the eager limit: small messages never wait
constexpr std::size_t kInHand = 4;  // messages begun and not handed on: what they take of memory is bounded

struct Header {
  std::uint32_t magic = kMagic;
  MessageKind kind = MessageKind::Work;
  std::uint64_t size = 0;  // of the payload
};
constexpr std::size_t kPayloadInHead = kHead - sizeof(Header);

Header read_header(std::span<const std::byte> head, int source) {
  Header header;
  if (head.size() >= sizeof header) std::memcpy(&header, head.data(), sizeof header);
  const bool sound = head.size() >= sizeof header && header.magic == kMagic && header.kind >= MessageKind::Work &&
                     header.kind <= MessageKind::Abandon &&
                     head.size() - sizeof header == std::min<std::size_t>(header.size, kPayloadInHead);
  if (!sound) {
    throw RuntimeFailure("a message from rank " + std::to_string(source) +
                         " is damaged (are all ranks the same build of this program?); start all ranks from one file");
  }
  return header;
}

}  // namespace

Mailbox::Mailbox(const Communicator& comm, std::size_t piece) : comm_(comm), piece_(piece) {
  TRIBUTARY_EXPECT(piece > 0 && piece <= std::size_t{1} << 30, "a piece must fit MPI's counts");
}

/// A message with the pieces of it that MPI still owes.
struct Mailbox::Arriving {
  Message message;
  std::vector<MpiRequest> pieces;

  bool whole(const MpiLayer& mpi) {
    while (!pieces.empty()) {
      int done = 0;
      check_mpi(mpi.test(&pieces.back(), &done));
      if (done == 0) return false;
      pieces.pop_back();
    }
    return true;
  }
};

Mailbox::~Mailbox() {
  // MPI goes on writing into buffers that it has been given, so they outlive a mailbox that is left before its time.
  // What follows then is the end of the program.
  for (std::unique_ptr<Arriving>& message : arriving_) {
    if (!message->pieces.empty()) static_cast<void>(message.release());
  }
}

void Mailbox::send(int rank, MessageKind kind, std::span<const std::byte> payload) {
  const Header header{kMagic, kind, payload.size()};
  const std::size_t in_head = std::min(payload.size(), kPayloadInHead);
  std::vector<std::byte> head(sizeof header + in_head);
  std::memcpy(head.data(), &header, sizeof header);
  std::copy_n(payload.begin(), in_head, head.begin() + sizeof header);
  comm_.send(head, rank, kHeadTag);
  for (std::size_t done = in_head; done < payload.size(); done += piece_) {
    comm_.send(payload.subspan(done, std::min(piece_, payload.size() - done)), rank, kRestTag);
  }
}

std::optional<Message> Mailbox::poll() {
  while (arriving_.size() < kInHand && begin_to_receive()) {
  }
  std::set<int> on_their_way;  // ranks whose earlier message is not whole yet
  for (auto next = arriving_.begin(); next != arriving_.end(); ++next) {
    const int source = (*next)->message.source;
    if (on_their_way.count(source) == 0 && (*next)->whole(comm_.mpi())) {
      Message message = std::move((*next)->message);
      arriving_.erase(next);
      return message;
    }
    on_their_way.insert(source);
  }
  return std::nullopt;
}

/// Takes the beginning of a message that has arrived, and asks MPI for the rest. MPI matches pieces of one rank in the
/// order in which they are asked for, so those of two messages are never mixed up. False when none has arrived.
bool Mailbox::begin_to_receive() {
  int arrived = 0;
  MpiArrival arrival{};
  check_mpi(comm_.mpi().probe(static_cast<int>(kHeadTag), &arrived, &arrival));
  if (arrived == 0) return false;
  std::vector<std::byte> head(arrival.bytes);
  check_mpi(comm_.mpi().take(head.data(), &arrival));

  const Header header = read_header(head, arrival.source);
  arriving_.push_back(std::make_unique<Arriving>());
  Arriving& arriving = *arriving_.back();
  arriving.message = {arrival.source, header.kind, std::vector<std::byte>(header.size)};
  std::vector<std::byte>& payload = arriving.message.payload;
  const std::size_t in_head = head.size() - sizeof header;
  std::copy_n(head.begin() + sizeof header, in_head, payload.begin());
  for (std::size_t done = in_head; done < payload.size(); done += piece_) {
    const int size = static_cast<int>(std::min(piece_, payload.size() - done));
    check_mpi(comm_.mpi().receive(payload.data() + done, size, arrival.source, static_cast<int>(kRestTag),
                                  &arriving.pieces.emplace_back()));
  }
  return true;
}

}  // namespace tributary
