// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/comm.h"

#include <mpi.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <limits>
#include <numeric>
#include <string_view>
#include <thread>

#include "common/errors.h"

namespace tributary {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 30;  // bytes in one MPI call: counts are int
constexpr int kTroubleTag = static_cast<int>(Communicator::Tag::trouble);
constexpr std::size_t kLongestTrouble = 4000;  // bytes: small messages never wait for their receiver
constexpr int kPollsBeforeSleep = 200;
constexpr std::chrono::microseconds kShortestSleep{200};
constexpr std::chrono::microseconds kLongestSleep{2000};

/// Non-blocking calls and polls instead of blocking ones: those spin a core while they wait.
void wait_for(const Communicator& comm, MPI_Request request) {
  comm.wait([&request] {
    int done = 0;
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
  });
}

int to_count(std::int64_t bytes) {
  if (bytes > std::numeric_limits<int>::max()) {
    throw RuntimeFailure("cannot gather " + std::to_string(bytes) +
                         " bytes (MPI counts end at 2147483647); gather less text at once");
  }
  return static_cast<int>(bytes);
}

}  // namespace

struct Communicator::Ranks {
  MPI_Comm comm = MPI_COMM_NULL;
  int rank = 0;
  int size = 1;
  int local_rank = 0;
  int local_size = 1;
};

int Communicator::rank() const { return ranks_ ? ranks_->rank : 0; }
int Communicator::size() const { return ranks_ ? ranks_->size : 1; }
int Communicator::local_rank() const { return ranks_ ? ranks_->local_rank : 0; }
int Communicator::local_size() const { return ranks_ ? ranks_->local_size : 1; }

int Communicator::handle() const {
  TRIBUTARY_EXPECT(ranks_, "a null communicator has no MPI handle");
  return MPI_Comm_c2f(ranks_->comm);
}

void Communicator::broadcast_bytes(void* data, std::size_t size) const {
  for (std::size_t done = 0; done < size; done += kPiece) {
    MPI_Request request = MPI_REQUEST_NULL;
    const int count = static_cast<int>(std::min(kPiece, size - done));
    check_mpi(MPI_Ibcast(static_cast<std::byte*>(data) + done, count, MPI_BYTE, 0, ranks_->comm, &request),
              "MPI_Ibcast");
    wait_for(*this, request);
  }
}

template <class Container>
void Communicator::broadcast_container(Container& values) const {
  if (!ranks_) return;
  std::uint64_t size = values.size();
  broadcast_bytes(&size, sizeof size);
  values.resize(size);
  broadcast_bytes(values.data(), size * sizeof(typename Container::value_type));
}

void Communicator::broadcast(std::vector<std::byte>& values) const { broadcast_container(values); }
void Communicator::broadcast(std::vector<double>& values) const { broadcast_container(values); }
void Communicator::broadcast(std::vector<float>& values) const { broadcast_container(values); }
void Communicator::broadcast(std::vector<std::int32_t>& values) const { broadcast_container(values); }
void Communicator::broadcast(std::vector<std::int64_t>& values) const { broadcast_container(values); }
void Communicator::broadcast(std::string& text) const { broadcast_container(text); }

bool Communicator::agree(bool ok) const {
  if (!ranks_) return ok;
  int mine = ok ? 1 : 0;
  int all = 0;
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Iallreduce(&mine, &all, 1, MPI_INT, MPI_LAND, ranks_->comm, &request), "MPI_Iallreduce");
  wait_for(*this, request);
  return all != 0;
}

std::vector<std::int64_t> Communicator::gather(std::int64_t value) const {
  if (!ranks_) return {value};
  std::vector<std::int64_t> values(rank() == 0 ? size() : 0);
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Igather(&value, 1, MPI_INT64_T, values.data(), 1, MPI_INT64_T, 0, ranks_->comm, &request),
            "MPI_Igather");
  wait_for(*this, request);
  return values;
}

std::vector<std::string> Communicator::gather(const std::string& text) const {
  if (!ranks_) return {text};
  const std::vector<std::int64_t> sizes = gather(std::ssize(text));
  const std::int64_t total = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  if (!agree(std::max(total, std::ssize(text)) <= std::numeric_limits<int>::max())) to_count(total);
  std::vector<int> counts;
  std::vector<int> starts;
  for (const std::int64_t size : sizes) {
    starts.push_back(counts.empty() ? 0 : starts.back() + counts.back());
    counts.push_back(to_count(size));
  }
  std::string all(total, '\0');
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Igatherv(text.data(), to_count(std::ssize(text)), MPI_CHAR, all.data(), counts.data(), starts.data(),
                         MPI_CHAR, 0, ranks_->comm, &request),
            "MPI_Igatherv");
  wait_for(*this, request);
  std::vector<std::string> texts;
  for (std::size_t rank = 0; rank < counts.size(); ++rank) texts.push_back(all.substr(starts[rank], counts[rank]));
  return texts;
}

void Communicator::barrier() const {
  if (!ranks_) return;
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibarrier(ranks_->comm, &request), "MPI_Ibarrier");
  wait_for(*this, request);
}

void Communicator::wait(const std::function<bool()>& done) const {
  wait_until([&] {
    if (done()) return true;
    require_no_trouble();
    return false;
  });
}

void Communicator::send(std::span<const std::byte> bytes, int to, Tag tag) const {
  TRIBUTARY_EXPECT(ranks_ && bytes.size() <= kPiece, "one call sends a piece, to another rank");
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Isend(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, to, static_cast<int>(tag), ranks_->comm,
                      &request),
            "MPI_Isend");
  wait_for(*this, request);
}

void Communicator::report_trouble(const std::string& text) const {
  if (!ranks_ || rank() == 0) return;
  send(std::as_bytes(std::span(text).first(std::min(text.size(), kLongestTrouble))), 0, Tag::trouble);
}

void Communicator::require_no_trouble() const {
  if (!ranks_ || rank() != 0) return;
  int arrived = 0;
  MPI_Status status;
  check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, kTroubleTag, ranks_->comm, &arrived, &status), "MPI_Iprobe");
  if (arrived == 0) return;
  int count = 0;
  check_mpi(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count");
  std::string text(static_cast<std::size_t>(count), '\0');
  check_mpi(MPI_Recv(text.data(), count, MPI_BYTE, status.MPI_SOURCE, kTroubleTag, ranks_->comm, MPI_STATUS_IGNORE),
            "MPI_Recv");
  throw RankFailed(text);
}

void Communicator::abort(int exit_code) const {
  std::fflush(nullptr);
  if (ranks_) MPI_Abort(ranks_->comm, exit_code);
  std::_Exit(exit_code);
}

Launch launched_by(const Environment& environment) {
  if (environment("OMPI_COMM_WORLD_SIZE") != nullptr || environment("PMIX_RANK") != nullptr) return Launch::Mpi;
  const char* tasks = environment("SLURM_STEP_NUM_TASKS");
  return tasks != nullptr && std::string_view(tasks) != "1" ? Launch::ManyWithoutMpi : Launch::Alone;
}

ScopedMpi::ScopedMpi() : exceptions_at_start_(std::uncaught_exceptions()) {
  const Launch launch = launched_by([](const char* name) { return std::getenv(name); });
  if (launch == Launch::Alone) return;
  if (launch == Launch::ManyWithoutMpi) {
    throw UserError("",
                    "srun started several tasks that cannot find each other (no PMIx), each would do all the work; "
                    "start them with srun --mpi=pmix");
  }
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_FUNNELED) {
    throw RuntimeFailure("this MPI cannot be used next to worker threads (no MPI_THREAD_FUNNELED); use another build");
  }
  auto ranks = std::make_shared<Communicator::Ranks>();
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &ranks->comm), "MPI_Comm_dup");
  check_mpi(MPI_Comm_rank(ranks->comm, &ranks->rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(ranks->comm, &ranks->size), "MPI_Comm_size");
  MPI_Comm node = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(ranks->comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node), "MPI_Comm_split_type");
  check_mpi(MPI_Comm_rank(node, &ranks->local_rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(node, &ranks->local_size), "MPI_Comm_size");
  check_mpi(MPI_Comm_free(&node), "MPI_Comm_free");
  world_.ranks_ = std::move(ranks);
}

ScopedMpi::~ScopedMpi() {
  if (world_.is_null()) return;
  // MPI_Finalize waits for the other ranks, who may be waiting for what this one no longer sends.
  // Leaving without it makes the launcher end them.
  if (std::uncaught_exceptions() > exceptions_at_start_) return;
  MPI_Comm comm = world_.ranks_->comm;
  MPI_Comm_free(&comm);
  MPI_Finalize();
}

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw RuntimeFailure(std::string(call) + " failed (" + std::string(text.data(), length) +
                       "); look at the launcher's messages and the network, then start again: finished work is kept");
}

void wait_until(const std::function<bool()>& done) {
  std::chrono::microseconds sleep = kShortestSleep;
  for (int polls = 0; !done(); ++polls) {
    if (polls < kPollsBeforeSleep) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(sleep);
      sleep = std::min(kLongestSleep, sleep + sleep / 4);
    }
  }
}

}  // namespace tributary
