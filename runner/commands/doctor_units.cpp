// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/doctor_units.h"

#include <vector>

#include "runner/job/prompts.h"

namespace tributary {

Prompts examined_prompts(const Job& job) {
  std::vector<std::int64_t> members;
  for (std::size_t i = 0; i < job.pairs.train.size(); ++i) members.push_back(static_cast<std::int64_t>(i));
  return prompts_of(job, job.pairs.train, members);
}

LayerRange all_layers(const Architecture& architecture) { return {0, architecture.layers()}; }

UnitScores unit_of(const Transformer& network, const std::string& method, const Prompts& prompts, LayerRange layers,
                   std::int64_t rows) {
  MethodRequest request;
  request.method = method;
  Task task{resolve_method(request), {}};
  task.options.nodes = node_table(NodeKind::neurons, network.architecture());
  task.options.layers = layers;
  return attribute({&network, &network}, {task}, prompts, {{rows, {}}}).scores.front();
}

}  // namespace tributary
