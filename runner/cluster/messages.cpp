// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/messages.h"

#include <mpi.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "common/errors.h"

namespace tributary {
namespace {

// Numbers travel as they lie in memory.
static_assert(std::endian::native == std::endian::little, "messages are little-endian");

constexpr std::uint32_t kMagic = 0x54424954;          // "TIBT"
constexpr int kHeadTag = 1;                           // header and the beginning of the payload
constexpr int kRestTag = 2;                           // further pieces
constexpr std::size_t kHead = std::size_t{48} << 10;  // below the eager limit: small messages never wait

struct Header {
  std::uint32_t magic = kMagic;
  MessageKind kind = MessageKind::Work;
  std::uint64_t size = 0;  // of the payload
};
constexpr std::size_t kPayloadInHead = kHead - sizeof(Header);

void complete(const Communicator& comm, MPI_Request request) {
  comm.wait([&request] {
    int done = 0;
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
  });
}

void send_piece(const std::byte* data, std::size_t size, int rank, int tag, const Communicator& comm) {
  MPI_Request request = MPI_REQUEST_NULL;
  const MPI_Comm ranks = MPI_Comm_f2c(comm.handle());
  check_mpi(MPI_Isend(data, static_cast<int>(size), MPI_BYTE, rank, tag, ranks, &request), "MPI_Isend");
  complete(comm, request);
}

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

void Mailbox::send(int rank, MessageKind kind, std::span<const std::byte> payload) {
  const Header header{kMagic, kind, payload.size()};
  const std::size_t in_head = std::min(payload.size(), kPayloadInHead);
  std::vector<std::byte> head(sizeof header + in_head);
  std::memcpy(head.data(), &header, sizeof header);
  std::copy_n(payload.begin(), in_head, head.begin() + sizeof header);
  send_piece(head.data(), head.size(), rank, kHeadTag, comm_);
  for (std::size_t done = in_head; done < payload.size(); done += piece_) {
    send_piece(payload.data() + done, std::min(piece_, payload.size() - done), rank, kRestTag, comm_);
  }
}

std::optional<Message> Mailbox::poll() {
  const MPI_Comm comm = MPI_Comm_f2c(comm_.handle());
  int arrived = 0;
  MPI_Message matched = MPI_MESSAGE_NULL;
  MPI_Status status;
  check_mpi(MPI_Improbe(MPI_ANY_SOURCE, kHeadTag, comm, &arrived, &matched, &status), "MPI_Improbe");
  if (arrived == 0) return std::nullopt;
  int count = 0;
  check_mpi(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count");
  std::vector<std::byte> head(count);
  check_mpi(MPI_Mrecv(head.data(), count, MPI_BYTE, &matched, MPI_STATUS_IGNORE), "MPI_Mrecv");

  const Header header = read_header(head, status.MPI_SOURCE);
  Message message{status.MPI_SOURCE, header.kind, std::vector<std::byte>(header.size)};
  const std::size_t in_head = head.size() - sizeof header;
  std::copy_n(head.begin() + sizeof header, in_head, message.payload.begin());
  for (std::size_t done = in_head; done < message.payload.size(); done += piece_) {
    const int size = static_cast<int>(std::min(piece_, message.payload.size() - done));
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Irecv(message.payload.data() + done, size, MPI_BYTE, message.source, kRestTag, comm, &request),
              "MPI_Irecv");
    complete(comm_, request);
  }
  return message;
}

}  // namespace tributary
