// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Toy nets for the live comparison with Captum: reads one JSON case a line on standard input, writes the scores of its
// examples as a JSON array a line. A case:
//   {"stages": [{"weight": [[…]], "bias": […]} or null for a ReLU, …], "target": 0, "tap": 1,
//    "method": "input-ig" | "ig-acts" | "conductance", "rule": "left", "steps": 5, "start": [[…]], "end": [[…]]}
#include "attribution/model/tensors.h"

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "attribution/methods/integrate.h"
#include "tests/attribution/toy_net.h"

namespace {

using namespace tributary;
using namespace tributary::testing;
using nlohmann::json;

at::Tensor vector_of(const json& numbers) { return at::tensor(numbers.get<std::vector<double>>(), at::kDouble); }

at::Tensor matrix_of(const json& rows) {
  std::vector<at::Tensor> stacked;
  for (const json& row : rows) stacked.push_back(vector_of(row));
  return at::stack(stacked);
}

ToyNet net_of(const json& test) {
  ToyNet net;
  net.target = test.at("target");
  for (const json& stage : test.at("stages")) {
    net.stages.push_back(stage.is_null() ? Stage{} : Stage{matrix_of(stage.at("weight")), vector_of(stage.at("bias"))});
  }
  return net;
}

at::Tensor outputs_of(const ToyNet& net, std::size_t tap, const at::Tensor& inputs) {
  std::vector<at::Tensor> outputs;
  for (std::int64_t i = 0; i < inputs.size(0); ++i) outputs.push_back(output_of(net, tap, inputs[i]));
  return at::stack(outputs);
}

/// Scores [example, width].
at::Tensor scores_of(const json& test) {
  const ToyNet net = net_of(test);
  const std::string method = test.at("method");
  const auto rule = quadrature_named(test.at("rule"));
  const int steps = test.at("steps");
  const std::size_t tap = test.at("tap");
  at::Tensor start = matrix_of(test.at("start"));
  at::Tensor end = matrix_of(test.at("end"));
  if (method == "ig-acts") {
    start = outputs_of(net, tap, start);
    end = outputs_of(net, tap, end);
  }
  const ToyPath path(net, tap, method == "ig-acts" ? Moves::tap : Moves::input, start, end);
  std::vector<std::int64_t> examples;
  for (std::int64_t i = 0; i < end.size(0); ++i) examples.push_back(i);
  const bool conductance = method == "conductance";
  const SweepPlan plan =
      conductance ? captum_sweep(rule, steps) : SweepPlan{nodes_of(rule, steps), IntervalGradient::mean};
  std::vector<at::Tensor> scores;
  for (const PathIntegral& integral : integrate(path, examples, plan)) {
    const at::Tensor delta =
        end[static_cast<std::int64_t>(scores.size())] - start[static_cast<std::int64_t>(scores.size())];
    scores.push_back(conductance            ? integral.conductance.flatten()
                     : method == "input-ig" ? delta * integral.input_gradient.flatten()
                                            : delta * integral.gradient.flatten());
  }
  return at::stack(scores);
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const at::Tensor scores = scores_of(json::parse(line));
    json rows = json::array();
    for (std::int64_t i = 0; i < scores.size(0); ++i) {
      const at::Tensor row = scores[i].contiguous();
      rows.push_back(std::vector<double>(row.data_ptr<double>(), row.data_ptr<double>() + row.numel()));
    }
    std::cout << rows.dump() << '\n';
  }
}
