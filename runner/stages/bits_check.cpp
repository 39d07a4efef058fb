// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/bits_check.h"

#include "attribution/model/tensors.h"

#include <algorithm>

#include "runner/job/prompts.h"

namespace tributary {
namespace {

/// Blocks to compute: the last one, which computes the last position only, and one like all the others.
constexpr std::int64_t blocks_to_check = 2;

/// Neurons and their gradients of one sequence, computed in a batch of `copies` of it and as many others.
at::Tensor first_values(const Job& job, std::int64_t copies) {
  const Transformer& model = *job.working;
  const Prompts prompts =
      prompts_of(job, job.pairs.train, std::vector<std::int64_t>(static_cast<std::size_t>(copies), 0));
  const at::Tensor e = model.embed(prompts.clean);  // [copies, pos, d_model]
  Batch batch;
  batch.length = batch.suffix = prompts.clean.size(1);
  const std::int64_t first = std::max<std::int64_t>(0, model.architecture().layers() - blocks_to_check);
  batch.entries = {{first, at::cat({e, e * 0.5})}};
  std::vector<at::Tensor> seen;
  ForwardOptions forward;
  forward.tape = ForwardOptions::Tape::keep;
  forward.neurons = [&seen](std::int64_t, const at::Tensor& a) { seen.push_back(a[0].flatten().clone()); };
  const Pass pass = model.forward(batch, forward);
  BackwardOptions backward;
  backward.neurons = [&seen](std::int64_t, const at::Tensor&, const at::Tensor& gradient) {
    seen.push_back(gradient[0].flatten().clone());
  };
  model.backward(pass, {0, 2 * copies}, pass.resid, backward);  // any gradient will do
  return at::cat(seen);
}

}  // namespace

bool bits_hold(const Job& job) {
  // Seven pairs: no multiple of 32 rows, so the padding has its part to play.
  return at::equal(first_values(job, 1), first_values(job, 7));
}

}  // namespace tributary
