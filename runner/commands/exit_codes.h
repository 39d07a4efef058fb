// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The exit codes that scripts and Slurm templates rely on.
#pragma once

namespace tributary {

inline constexpr int exit_done = 0;
inline constexpr int exit_internal = 1;        // our bug, or the machine failed
inline constexpr int exit_usage = 2;           // what the user gave cannot be used
inline constexpr int exit_failed_units = 3;    // finished, but some units, or the numbers of some runs, failed
inline constexpr int exit_files_changed = 74;  // a file that a run reads was changed or cut short meanwhile (EX_IOERR)
inline constexpr int exit_stopped = 75;        // stopped for a signal; the same command goes on (EX_TEMPFAIL)
inline constexpr int exit_no_progress = 76;    // the same, but this start has finished nothing: another may not either

/// Whether no other run of a sweep is tried after a run that ended so.
constexpr bool ends_sweep(int code) { return code == exit_stopped || code == exit_files_changed; }

/// The exit code of several runs, one more of which ended with `code`: of the first that went wrong, or of the one that
/// ends the sweep.
constexpr int with_one_more(int before, int code) { return before == exit_done || ends_sweep(code) ? code : before; }

}  // namespace tributary
