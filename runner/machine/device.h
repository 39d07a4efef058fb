// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Where a rank computes. The CUDA library is loaded only where a card is present: it costs memory and start-up time.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "runner/cluster/comm.h"

namespace tributary {

/// The device of this rank for `model.device`: cpu; or the card number local_rank modulo the visible cards.
/// Throws UserError: cuda asked for where there is no card.
c10::Device choose_device(const std::string& wanted, int local_rank);

/// Whose cards a machine has that this program computes without, for people; empty where there are none. root: of the
/// file system, for tests.
std::string cards_left_alone(const std::filesystem::path& root = "/");

/// What is free there for this process, in bytes: on the CPU the machine's memory, on a card its own.
std::uint64_t free_bytes(const c10::Device& device);
/// All of a card's memory, whoever uses it.
std::uint64_t bytes_of_card(const c10::Device& device);

enum class Cards { one_rank_each, shared };

/// Where every rank computes, by rank ("cuda:1 of host n3"); on rank 0, empty where no rank has a card. Collective.
/// Throws UserError on every rank when two have the same card, unless they may share it.
std::vector<std::string> card_places(const c10::Device& device, const Communicator& comm, Cards cards);

/// Makes this thread compute with one intra-op thread: more would make bits depend on their number.
void use_one_thread();

/// Asks MKL for results that do not depend on memory alignment or matrix height. Before anything else touches MKL.
void fix_cpu_arithmetic();

/// Makes the C library keep the memory that it has freed: buffers of one size come and go with every network call, and
/// asking the system for fresh pages each time costs as much as the arithmetic on them.
void keep_freed_memory();
/// The same by this function instead of mallopt, which answers 0 where it refuses; for tests.
using SetAllocator = std::function<int(int option, int value)>;
void keep_freed_memory(const SetAllocator& set);

/// Worker threads of this rank: those asked for, or where none are, the cores of this process's affinity mask, divided
/// among the ranks of the node that have the same mask; 1 on a card. Collective.
int worker_threads(std::int64_t asked_for, const c10::Device& device, const Communicator& comm);

/// Whether this process may use fewer cores than its share of those that the job has on this node: plain mpirun with
/// one or two ranks binds each to a single core.
bool bound_below_share(int local_size);

}  // namespace tributary
