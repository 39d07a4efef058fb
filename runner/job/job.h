// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One run made ready on this rank: configuration, networks, pairs, and the identity that its results carry. Every rank
// builds the same job from the same files (prepare_job.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attribution/methods/attribute.h"
#include "io/checkpoint.h"
#include "io/pairs.h"
#include "io/tokenizer.h"
#include "runner/job/imported_scores.h"
#include "runner/job/model_measures.h"
#include "runner/job/run_config.h"

namespace tributary {

/// Hashes of what the numbers of a run depend on; equal ones mean equal numbers.
struct Identities {
  std::string results;      //!< all of them
  std::string scores;       //!< those of the attribution: nothing that is evaluated with the scores changes them
  std::string performance;  //!< what the model's performance depends on besides what the scores do
  std::string agreement;    //!< what the comparison with exact patching depends on besides the scores
  std::string circuit;      //!< what circuits depend on besides the scores
  std::string steering;     //!< the same of steering
  std::string top;          //!< the same of what the first nodes' neurons do
};

/// What dictionaries take of memory. Ranks of a node share what stays on the mappings of the files.
struct DictionaryBytes {
  std::uint64_t mapped = 0, copied = 0;
  std::uint64_t resident = 0;  //!< of the mapped ones, what this process held when they had been read
};

struct Job {
  RunConfig config;
  std::string title;       //!< its name, with what sets it apart in its sweep
  std::string resolved;    //!< the configuration as YAML
  std::string dtype_note;  //!< what model.dtype: auto is, and why; empty: a dtype was given
  std::optional<Tokenizer> tokenizer;
  PairSet pairs;
  std::shared_ptr<const std::vector<Dictionary>> dictionaries{};  //!< of features, where they are nodes
  std::string dictionaries_hash{};
  DictionaryBytes dictionary_bytes{};
  std::vector<std::string> dictionary_names{};  //!< "resid_post 12 layer_12": what results call them
  std::vector<std::string> dictionary_notes{};  //!< what the user should know of them
  ImportedScores imported;  //!< method imported: the scores of attribution.file, in the order of layout()
  std::vector<std::vector<std::int64_t>> baseline_prompts;  //!< attribution.baseline_file: token ids, one length
  std::shared_ptr<const Transformer> working, exact;        //!< exact: float32 beside a bfloat16 network, else the same
  std::shared_ptr<ModelMeasures> measures;                  //!< of those networks
  std::optional<Checkpoint> checkpoint;                     //!< that their weights lie in or come from; a plan has none
  std::optional<at::ScalarType> stored_type;                //!< of a plan: the dtype that config.json gives the weights
  at::Device device = at::Device(at::kCPU);
  std::string model_hash;
  Identities identities;          //!< of its numbers
  std::string group;              //!< equal for runs that may be computed together (plan.h: RunGroup)
  std::int64_t train_length = 0;  //!< positions: keep: token length; sum: 1
  Fired fired;                    //!< filled in before the run computes (Run::prepare)
  std::vector<Rule> dropped;      //!< rules of a preset that have no place to act in this family

  [[nodiscard]] const Architecture& architecture() const { return working->architecture(); }
  [[nodiscard]] Networks networks() const { return {working.get(), exact.get()}; }
  /// Positions of a node: the prompts' length, or 1 when summed.
  [[nodiscard]] std::int64_t node_positions() const { return train_length; }
  /// Training pairs whose linearisation gap is measured.
  [[nodiscard]] std::int64_t gap_pairs() const;
  /// The nodes that are scored; of a method that scores tokens the tokens, as the one table.
  [[nodiscard]] NodeLayout layout() const;
  /// The model's layer that a node lies in: of features and errors the one that their dictionary reads.
  [[nodiscard]] std::int64_t layer_of(const Node& node) const;
  [[nodiscard]] std::int64_t nodes() const { return layout().nodes(); }
  /// Those that circuits are made of.
  [[nodiscard]] NodeLayout circuit_layout() const { return layout().only(config.circuit.nodes); }
  /// Nodes of a kind that are patched exactly.
  [[nodiscard]] std::int64_t sample_of(const NodeLayout& nodes, std::size_t kind) const {
    return std::min(config.sample, nodes.nodes(kind));
  }
  /// Nodes that get a score: with exact patching those sampled, of tokens none.
  [[nodiscard]] std::int64_t scored_nodes() const;
  [[nodiscard]] bool has_circuit() const;
  [[nodiscard]] bool has_steering() const;
  /// A token as text that a results file can hold: the character NUL as U+2400.
  [[nodiscard]] std::string token_text(std::int64_t id) const;
  /// Whether the scores are compared with exact patching.
  [[nodiscard]] bool has_agreement() const;
};

}  // namespace tributary
