// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What was run, where and with which versions: the facts of /provenance.
#pragma once

#include <string>
#include <vector>

#include "runner/cluster/comm.h"
#include "runner/job/memory_plan.h"
#include "runner/results/results_table.h"
#include "runner/stages/batch_rows.h"
#include "runner/stages/timings.h"

namespace tributary {

/// Environment variables that the program reads or sets, and those of its libraries that decide how it computes.
inline constexpr const char* environment_variables[] = {"ATEN_CPU_CAPABILITY",
                                                        "CUDA_VISIBLE_DEVICES",
                                                        "DNNL_MAX_CPU_ISA",
                                                        "HF_HOME",
                                                        "HF_HUB_CACHE",
                                                        "HUGGINGFACE_HUB_CACHE",
                                                        "MKL_CBWR",
                                                        "MKL_ENABLE_INSTRUCTIONS",
                                                        "MKL_NUM_THREADS",
                                                        "NVIDIA_TF32_OVERRIDE",
                                                        "OMPI_COMM_WORLD_SIZE",
                                                        "OMP_NUM_THREADS",
                                                        "OMP_WAIT_POLICY",
                                                        "PMIX_RANK",
                                                        "SLURM_CPUS_ON_NODE",
                                                        "SLURM_RESTART_COUNT",
                                                        "SLURM_STEP_NUM_TASKS",
                                                        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
                                                        "XDG_CACHE_HOME"};

/// How a process goes about computing.
struct ComputingFacts {
  bool bits_hold = true;  //!< the start-up check's answer
  int threads = 1;        //!< worker threads of rank 0
  const MemoryPlan& memory;
  const BatchRows& rows;
  std::vector<std::string> overrides;  //!< of keys, from the command line
};

/// The facts of the process that computes: build, machine, ranks. A journal keeps them, so that results which are
/// written from it elsewhere name who has computed them. Collective: hosts and devices are gathered from all ranks.
/// Filled in on rank 0.
Provenance computing_facts(const Job& job, const Communicator& comm, const ComputingFacts& facts);

struct RunFacts {
  std::string started, finished;  //!< UTC
  const Timings& timings;         //!< of all its stages
  const Timings& shared;          //!< the part of them that it shares with the runs that were computed together
  std::size_t shared_with = 1;    //!< how many runs those are, this one included
  std::vector<std::string>
      processors;  //!< kinds that computed what its group is made of, blocks of the journal included
};

/// Seconds since the operating system started this process, libraries included.
double seconds_since_process_start();

/// computing: those of computing_facts, now or from a journal.
Provenance provenance_of(const Job& job, const RunFacts& facts, Provenance computing);

}  // namespace tributary
