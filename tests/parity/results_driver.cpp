// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Lets a Python test look at our results files with h5py:
//   results_driver write FILE NOTE   writes a file of every kind of content; NOTE goes to /provenance only
//   results_driver copy FROM TO      reads with our reader, writes again
// Exit codes as of tributary: 0 done, 1 failure, 2 unusable file.
#include <cmath>
#include <iostream>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "common/errors.h"
#include "io/results.h"

namespace {

using tributary::ResultsFile;

// test_results_h5py.py computes the same values with numpy.
template <class T>
std::vector<T> ramp(std::size_t count, T step) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<T>(i) * step;
  return values;
}

std::vector<double> awkward_doubles() {
  return {0.1, -0.0, std::nan(""), std::numeric_limits<double>::infinity(), std::numeric_limits<double>::denorm_min()};
}

ResultsFile example(const std::string& note) {
  ResultsFile file;
  file.datasets = {
      {"/attribution/scores",
       {"layer", "position", "neuron"},
       {3, 2, 4},
       ramp(24, 0.125F),
       "attribution score",
       "logits",
       {{"method", std::string("ig-acts")},
        {"steps", std::int64_t{10}},
        {"tolerance", 0.01},
        {"layers", std::vector<std::int64_t>{0, 1, 2}},
        {"weights", std::vector<double>{0.5, 0.25}},
        {"rules", std::vector<std::string>{"norm", "Müller–λ", ""}},
        {"none", std::vector<std::string>{}},
        {"empty", std::string()}}},
      {"/attribution/large", {"layer", "row", "column"}, {3, 200, 300}, ramp(180000, 0.5F), "a large array", "1", {}},
      {"/attribution/evaluations",
       {"pair", "layer"},
       {2, 3},
       std::vector<std::int64_t>{1, 2, 3, -4, std::numeric_limits<std::int64_t>::min(), (std::int64_t{1} << 53) + 1},
       "gradient evaluations",
       "",
       {}},
      {"/circuit/faithfulness", {"point"}, {5}, awkward_doubles(), "faithfulness", "fraction", {}},
      {"/circuit/point",
       {"point"},
       {5},
       std::vector<std::int64_t>{10, 30, 100, 300, 1000},
       "neurons kept",
       "neurons",
       {}},
      {"/pairs/text",
       {"pair", "side"},
       {2, 2},
       std::vector<std::string>{"Is fire hot?", "日本語 – ß", "", " trailing space "},
       "prompt",
       "",
       {}},
      {"/pairs/none", {"nobody", "side"}, {0, 2}, std::vector<std::string>{}, "no texts", "", {}},
      {"/pairs/nothing", {"nobody"}, {0}, std::vector<float>{}, "no numbers", "1", {}},
      {"/pairs/case", {"unnamed"}, {2}, std::vector<std::string>{"", ""}, "texts of no length", "", {}},
      {"/provenance/note", {}, {}, std::vector<std::string>{note}, "what the caller said", "", {}},
      {"/provenance/seconds", {}, {}, std::vector<double>{1.5}, "time taken", "s", {}},
  };
  file.group_attributes = {{"/", {{"of the root", std::int64_t{1}}}},
                           {"/circuit", {{"ranking", std::string("abs")}, {"cpr", 0.75}}},
                           {"/provenance", {{"host", note}}}};
  return file;
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() != 3) {
    std::cerr << "usage: results_driver write FILE NOTE | copy FROM TO\n";
    return 2;
  }
  if (arguments[0] == "write") {
    tributary::write_results(arguments[1], example(arguments[2]));
  } else {
    tributary::write_results(arguments[2], tributary::read_results(arguments[1]));
  }
  return 0;
}

}  // namespace

int main(int count, char** values) {
  try {
    return run({values + 1, values + count});
  } catch (const tributary::UserError& error) {
    std::cerr << error.what() << '\n';
    return 2;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
