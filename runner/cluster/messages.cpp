// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/messages.h"

#include <mpi.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <string>
#include <utility>

#include "common/errors.h"

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
  std::vector<MPI_Request> pieces;

  bool whole() {
    if (pieces.empty()) return true;
    int done = 0;
    check_mpi(MPI_Testall(static_cast<int>(pieces.size()), pieces.data(), &done, MPI_STATUSES_IGNORE), "MPI_Testall");
    if (done != 0) pieces.clear();
    return done != 0;
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
    if (on_their_way.count(source) == 0 && (*next)->whole()) {
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
  const MPI_Comm comm = MPI_Comm_f2c(comm_.handle());
  int arrived = 0;
  MPI_Message matched = MPI_MESSAGE_NULL;
  MPI_Status status;
  check_mpi(MPI_Improbe(MPI_ANY_SOURCE, static_cast<int>(kHeadTag), comm, &arrived, &matched, &status), "MPI_Improbe");
  if (arrived == 0) return false;
  int count = 0;
  check_mpi(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count");
  std::vector<std::byte> head(count);
  check_mpi(MPI_Mrecv(head.data(), count, MPI_BYTE, &matched, MPI_STATUS_IGNORE), "MPI_Mrecv");

  const Header header = read_header(head, status.MPI_SOURCE);
  arriving_.push_back(std::make_unique<Arriving>());
  Arriving& arriving = *arriving_.back();
  arriving.message = {status.MPI_SOURCE, header.kind, std::vector<std::byte>(header.size)};
  std::vector<std::byte>& payload = arriving.message.payload;
  const std::size_t in_head = head.size() - sizeof header;
  std::copy_n(head.begin() + sizeof header, in_head, payload.begin());
  for (std::size_t done = in_head; done < payload.size(); done += piece_) {
    const int size = static_cast<int>(std::min(piece_, payload.size() - done));
    arriving.pieces.push_back(MPI_REQUEST_NULL);
    check_mpi(MPI_Irecv(payload.data() + done, size, MPI_BYTE, status.MPI_SOURCE, static_cast<int>(kRestTag), comm,
                        &arriving.pieces.back()),
              "MPI_Irecv");
  }
  return true;
}

}  // namespace tributary
