// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "mpi_layer.h"

#include <mpi.h>
#include <stdio.h>
#include <string.h>

// MPI's handles are integers or pointers.
_Static_assert(sizeof(MPI_Request) <= sizeof(unsigned long long), "a request must fit");
_Static_assert(sizeof(MPI_Message) <= sizeof(unsigned long long), "a message must fit");

static MPI_Comm comm = MPI_COMM_NULL;
static char problem[MPI_MAX_ERROR_STRING + 64];

static const char* checked(int code, const char* call) {
  if (code == MPI_SUCCESS) return NULL;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  snprintf(problem, sizeof problem, "%s failed (%s)", call, text);
  return problem;
}

static const char* begun(int code, const char* call, MPI_Request made, struct MpiRequest* request) {
  request->handle = 0;
  memcpy(&request->handle, &made, sizeof made);
  return checked(code, call);
}

static const char* find_ranks(struct MpiRanks* ranks) {
  MPI_Comm node = MPI_COMM_NULL;
  const char* wrong = checked(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  if (!wrong) wrong = checked(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup");
  if (!wrong) wrong = checked(MPI_Comm_rank(comm, &ranks->rank), "MPI_Comm_rank");
  if (!wrong) wrong = checked(MPI_Comm_size(comm, &ranks->size), "MPI_Comm_size");
  if (!wrong) {
    wrong = checked(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node), "MPI_Comm_split_type");
  }
  if (!wrong) wrong = checked(MPI_Comm_rank(node, &ranks->local_rank), "MPI_Comm_rank");
  if (!wrong) wrong = checked(MPI_Comm_size(node, &ranks->local_size), "MPI_Comm_size");
  if (!wrong) wrong = checked(MPI_Comm_free(&node), "MPI_Comm_free");
  return wrong;
}

static const char* start(struct MpiRanks* ranks) {
  int provided = MPI_THREAD_SINGLE;
  const char* wrong = checked(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  if (wrong) return wrong;
  if (provided < MPI_THREAD_FUNNELED) {
    return "this MPI cannot be used next to worker threads (no MPI_THREAD_FUNNELED)";
  }
  return find_ranks(ranks);
}

static const char* finish(void) {
  const char* wrong = checked(MPI_Comm_free(&comm), "MPI_Comm_free");
  return wrong ? wrong : checked(MPI_Finalize(), "MPI_Finalize");
}

static void abort_all(int exit_code) { MPI_Abort(comm, exit_code); }

static const char* broadcast(void* data, int bytes, struct MpiRequest* request) {
  MPI_Request made = MPI_REQUEST_NULL;
  const int code = MPI_Ibcast(data, bytes, MPI_BYTE, 0, comm, &made);
  return begun(code, "MPI_Ibcast", made, request);
}

static const char* all_of(const int* mine, int* all, struct MpiRequest* request) {
  MPI_Request made = MPI_REQUEST_NULL;
  const int code = MPI_Iallreduce(mine, all, 1, MPI_INT, MPI_LAND, comm, &made);
  return begun(code, "MPI_Iallreduce", made, request);
}

static const char* gather(const void* data, int bytes, void* all, const int* counts, const int* starts,
                          struct MpiRequest* request) {
  MPI_Request made = MPI_REQUEST_NULL;
  const int code = MPI_Igatherv(data, bytes, MPI_BYTE, all, counts, starts, MPI_BYTE, 0, comm, &made);
  return begun(code, "MPI_Igatherv", made, request);
}

static const char* barrier(struct MpiRequest* request) {
  MPI_Request made = MPI_REQUEST_NULL;
  const int code = MPI_Ibarrier(comm, &made);
  return begun(code, "MPI_Ibarrier", made, request);
}

static const char* send_to(const void* data, int bytes, int to, int tag, struct MpiRequest* request) {
  MPI_Request made = MPI_REQUEST_NULL;
  const int code = MPI_Isend(data, bytes, MPI_BYTE, to, tag, comm, &made);
  return begun(code, "MPI_Isend", made, request);
}

static const char* receive(void* data, int bytes, int from, int tag, struct MpiRequest* request) {
  MPI_Request made = MPI_REQUEST_NULL;
  const int code = MPI_Irecv(data, bytes, MPI_BYTE, from, tag, comm, &made);
  return begun(code, "MPI_Irecv", made, request);
}

static const char* test(struct MpiRequest* request, int* done) {
  MPI_Request made = MPI_REQUEST_NULL;
  memcpy(&made, &request->handle, sizeof made);
  const int code = MPI_Test(&made, done, MPI_STATUS_IGNORE);
  return begun(code, "MPI_Test", made, request);
}

static const char* probe(int tag, int* arrived, struct MpiArrival* arrival) {
  MPI_Message message = MPI_MESSAGE_NULL;
  MPI_Status status;
  const char* wrong = checked(MPI_Improbe(MPI_ANY_SOURCE, tag, comm, arrived, &message, &status), "MPI_Improbe");
  if (wrong || !*arrived) return wrong;
  arrival->handle = 0;
  memcpy(&arrival->handle, &message, sizeof message);
  arrival->source = status.MPI_SOURCE;
  return checked(MPI_Get_count(&status, MPI_BYTE, &arrival->bytes), "MPI_Get_count");
}

static const char* take(void* data, struct MpiArrival* arrival) {
  MPI_Message message = MPI_MESSAGE_NULL;
  memcpy(&message, &arrival->handle, sizeof message);
  return checked(MPI_Mrecv(data, arrival->bytes, MPI_BYTE, &message, MPI_STATUS_IGNORE), "MPI_Mrecv");
}

const struct MpiLayer* tributary_mpi_layer_1(void) {
  static const struct MpiLayer layer = {
      .mpi = TRIBUTARY_MPI_NAME,
      .start = start,
      .finish = finish,
      .abort = abort_all,
      .broadcast = broadcast,
      .all = all_of,
      .gather = gather,
      .barrier = barrier,
      .send = send_to,
      .receive = receive,
      .test = test,
      .probe = probe,
      .take = take,
  };
  return &layer;
}
