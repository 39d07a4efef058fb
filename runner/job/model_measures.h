// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What is found out about a model by running a little of it, once for all runs of a sweep: a plan of hundreds of runs
// would otherwise measure the same network hundreds of times.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "attribution/methods/footprint.h"
#include "attribution/model/rules.h"
#include "attribution/model/transformer.h"
#include "runner/job/stand_in.h"

namespace tributary {

/// Of the networks of one checkpoint; of one without numbers by a stand-in (stand_in.h). For one thread.
class ModelMeasures {
 public:
  /// Bytes a row of a network call takes.
  RowBytes row_bytes(const Transformer& network, std::int64_t length);
  /// Seconds of one thread for a prompt's pass, forward or backward, through one block, in calls of a usual size.
  double seconds_of_block(const Transformer& network, std::int64_t length);
  /// How often each rule would act in one backward pass, all of them on: the same for all prompts.
  const Fired& fired(const Transformer& network);
  /// The same through one block: whether a rule has a place to act in this family. Quicker.
  const Fired& sites(const Transformer& network);

 private:
  /// The network that is run in this one's place, and how much wider this one is.
  const StandIn& measured(const Transformer& network);

  using NetworkAndLength = std::pair<const Transformer*, std::int64_t>;
  std::map<const Transformer*, StandIn> stand_ins_;
  std::map<NetworkAndLength, RowBytes> row_bytes_;
  std::map<NetworkAndLength, double> seconds_;
  std::optional<Fired> fired_, sites_;
};

/// Floating-point operations of a prompt's pass through one block, forward or backward: the mean of both.
double block_operations(const Architecture& architecture, std::int64_t length);

}  // namespace tributary
