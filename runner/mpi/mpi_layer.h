// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The part of MPI that the program uses, as a table of functions. mpi_layer.c is compiled once for each MPI, by that
// MPI's own mpicc, into a library that the program opens only when a launcher of that MPI has started it: the program
// itself links none, and one build runs under all of them, and where there is none. The table is plain C, because
// mpicc is all that every MPI has. So no exception crosses it: what goes wrong comes back as text.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// An operation that MPI has begun and not finished.
struct MpiRequest {
  unsigned long long handle;
};

/// A message that has arrived and waits to be taken.
struct MpiArrival {
  unsigned long long handle;
  int source;
  int bytes;
};

struct MpiRanks {
  int rank;
  int size;
  int local_rank;  // among the ranks on this node
  int local_size;
};

/// All functions but abort() return NULL, or else what went wrong, as text that lasts until the next call. Those with a
/// request begin something only: test() says when it is done, and until then the data must stay where they are. Only
/// the thread that has called start() may call the others.
struct MpiLayer {
  const char* mpi;  ///< its name and version, as its header has them

  const char* (*start)(struct MpiRanks* ranks);
  const char* (*finish)(void);
  void (*abort)(int exit_code);  ///< ends all ranks

  const char* (*broadcast)(void* data, int bytes, struct MpiRequest* request);  ///< from rank 0
  const char* (*all)(const int* mine, int* all, struct MpiRequest* request);    ///< logical and
  /// What each rank has goes to rank 0; `counts` and `starts` (of bytes, by rank) matter there only.
  const char* (*gather)(const void* data, int bytes, void* all, const int* counts, const int* starts,
                        struct MpiRequest* request);
  const char* (*barrier)(struct MpiRequest* request);

  const char* (*send)(const void* data, int bytes, int to, int tag, struct MpiRequest* request);
  const char* (*receive)(void* data, int bytes, int from, int tag, struct MpiRequest* request);
  const char* (*test)(struct MpiRequest* request, int* done);
  /// Looks for a message with this tag, of any rank; one that has arrived must be taken.
  const char* (*probe)(int tag, int* arrived, struct MpiArrival* arrival);
  const char* (*take)(void* data, struct MpiArrival* arrival);
};

/// What the program looks up in such a library. The name counts the changes of the table: a library that was left over
/// from another build has another one.
const struct MpiLayer* tributary_mpi_layer_1(void);
#define TRIBUTARY_MPI_LAYER "tributary_mpi_layer_1"

#ifdef __cplusplus
}
#endif
