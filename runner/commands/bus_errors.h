// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The signal that ends a process when a file that it has mapped is cut short, or cannot be read from its disk any more.
#pragma once

namespace tributary {

/// From now on that signal says which file it was, in one line on standard error, and ends the process with
/// exit_files_changed. To be called before MPI starts, for Open MPI puts a handler of its own in place where there is
/// none, and again once it has started, for UCX, which MPICH and Open MPI send with, replaces what is there.
void name_files_on_bus_errors();

}  // namespace tributary
