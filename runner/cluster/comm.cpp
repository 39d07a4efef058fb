// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/comm.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <limits>
#include <numeric>
#include <thread>

#include "common/errors.h"
#include "runner/mpi/launchers.h"
#include "runner/mpi/mpi_layer.h"
#include "runner/mpi/mpi_library.h"

namespace tributary {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 30;  // bytes in one MPI call: counts are int
constexpr int kTroubleTag = static_cast<int>(Communicator::Tag::trouble);
constexpr std::size_t kLongestTrouble = 4000;  // bytes: small messages never wait for their receiver
constexpr int kPollsBeforeSleep = 200;
constexpr std::chrono::microseconds kShortestSleep{200};
constexpr std::chrono::microseconds kLongestSleep{2000};

/// Non-blocking calls and polls instead of blocking ones: those spin a core while they wait.
void wait_for(const Communicator& comm, MpiRequest request) {
  comm.wait([&] {
    int done = 0;
    check_mpi(comm.mpi().test(&request, &done));
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
  const MpiLayer& mpi;
  Mpi::Leaving leaving;
  MpiRanks here{};
};

int Communicator::rank() const { return ranks_ ? ranks_->here.rank : 0; }
int Communicator::size() const { return ranks_ ? ranks_->here.size : 1; }
int Communicator::local_rank() const { return ranks_ ? ranks_->here.local_rank : 0; }
int Communicator::local_size() const { return ranks_ ? ranks_->here.local_size : 1; }

const MpiLayer& Communicator::mpi() const {
  TRIBUTARY_EXPECT(ranks_, "a null communicator has no MPI");
  return ranks_->mpi;
}

void Communicator::broadcast_bytes(void* data, std::size_t size) const {
  for (std::size_t done = 0; done < size; done += kPiece) {
    MpiRequest request{};
    const int bytes = static_cast<int>(std::min(kPiece, size - done));
    check_mpi(mpi().broadcast(static_cast<std::byte*>(data) + done, bytes, &request));
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
  MpiRequest request{};
  check_mpi(mpi().all(&mine, &all, &request));
  wait_for(*this, request);
  return all != 0;
}

std::vector<std::int64_t> Communicator::gather(std::int64_t value) const {
  if (!ranks_) return {value};
  std::vector<std::int64_t> values(rank() == 0 ? size() : 0);
  const std::vector<int> counts(values.size(), sizeof value);
  std::vector<int> starts(values.size());
  for (std::size_t rank = 0; rank < starts.size(); ++rank) starts[rank] = static_cast<int>(rank * sizeof value);
  MpiRequest request{};
  check_mpi(mpi().gather(&value, sizeof value, values.data(), counts.data(), starts.data(), &request));
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
  MpiRequest request{};
  check_mpi(mpi().gather(text.data(), to_count(std::ssize(text)), all.data(), counts.data(), starts.data(), &request));
  wait_for(*this, request);
  std::vector<std::string> texts;
  for (std::size_t rank = 0; rank < counts.size(); ++rank) texts.push_back(all.substr(starts[rank], counts[rank]));
  return texts;
}

void Communicator::barrier() const {
  if (!ranks_) return;
  MpiRequest request{};
  check_mpi(mpi().barrier(&request));
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
  MpiRequest request{};
  check_mpi(mpi().send(bytes.data(), static_cast<int>(bytes.size()), to, static_cast<int>(tag), &request));
  wait_for(*this, request);
}

void Communicator::report_trouble(const std::string& text) const {
  if (!ranks_ || rank() == 0) return;
  send(std::as_bytes(std::span(text).first(std::min(text.size(), kLongestTrouble))), 0, Tag::trouble);
}

void Communicator::require_no_trouble() const {
  if (!ranks_ || rank() != 0) return;
  int arrived = 0;
  MpiArrival arrival{};
  check_mpi(mpi().probe(kTroubleTag, &arrived, &arrival));
  if (arrived == 0) return;
  std::string text(static_cast<std::size_t>(arrival.bytes), '\0');
  check_mpi(mpi().take(text.data(), &arrival));
  throw RankFailed(text);
}

int Communicator::exit_code_here(int code) const {
  const bool tells = !ranks_ || rank() == 0 || ranks_->leaving == Mpi::Leaving::every_rank;
  return tells ? code : 0;
}

void Communicator::abort(int exit_code) const {
  std::fflush(nullptr);
  if (ranks_) mpi().abort(exit_code);
  std::_Exit(exit_code);
}

namespace {

/// Shells have one, and what launchers start has none.
Terminal own_terminal() {
  const int file = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
  if (file < 0) return Terminal::none;
  close(file);
  return Terminal::own;
}

}  // namespace

ScopedMpi::ScopedMpi() : exceptions_at_start_(std::uncaught_exceptions()) {
  const Launch launch = launched_by([](const char* name) { return std::getenv(name); }, own_terminal());
  if (launch.alone()) return;
  const OpenedMpi opened = open_mpi_layer(launch);
  auto ranks = std::make_shared<Communicator::Ranks>(Communicator::Ranks{opened.layer, opened.mpi.leaving});
  check_mpi(ranks->mpi.start(&ranks->here));
  const bool too_few =
      launch.count == Launch::Count::exact ? ranks->here.size != launch.processes : ranks->here.size < launch.processes;
  if (launch.processes > 1 && too_few) {
    throw UserError(
        "", cannot_join(launch, fmt::format("{} has found {} of them, so that each would do all the work by itself",
                                            ranks->mpi.mpi, ranks->here.size)));
  }
  world_.ranks_ = std::move(ranks);
}

ScopedMpi::~ScopedMpi() {
  if (world_.is_null()) return;
  // MPI_Finalize waits for the other ranks, who may be waiting for what this one no longer sends.
  // Leaving without it makes the launcher end them.
  if (std::uncaught_exceptions() > exceptions_at_start_) return;
  world_.mpi().finish();
}

void check_mpi(const char* problem) {
  if (problem == nullptr) return;
  throw RuntimeFailure(std::string(problem) +
                       "; look at the launcher's messages and the network, then start again: finished work is kept");
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
