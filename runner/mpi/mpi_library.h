// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Finds and opens the library between the program and the MPI whose launcher has started it.
#pragma once

#include "runner/mpi/launchers.h"
#include "runner/mpi/mpi_layer.h"

namespace tributary {

struct OpenedMpi {
  const Mpi& mpi;
  const MpiLayer& layer;
};

/// Opens the first of the launch's MPIs that can be used, for the rest of the process: no two MPIs may meet in one.
/// Libraries lie in `lib/tributary` beside the program or beside its folder. Throws UserError with what is missing.
OpenedMpi open_mpi_layer(const Launch& launch);

}  // namespace tributary
