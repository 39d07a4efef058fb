// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/post_norms.h"

#include <algorithm>
#include <set>

#include "attribution/nodes/dictionary.h"

namespace tributary {
namespace {

/// What the run's nodes write is read there.
std::set<Site> written_sites(const Job& job) {
  std::set<Site> sites;
  if (!job.config.method.has_neurons()) return sites;  // tokens
  const NodeLayout layout = job.layout();
  for (const NodeTable& table : layout.tables()) {
    if (!of_dictionaries(table.kind)) sites.insert(table.site);
  }
  if (!job.dictionaries) return sites;
  for (const Dictionary& dictionary : *job.dictionaries) {
    for (const FeatureTarget& target : dictionary.targets) sites.insert(target.site);
  }
  return sites;
}

}  // namespace

std::string normed_parts(const Job& job) {
  const std::set<Site> sites = written_sites(job);
  const std::vector<BlockSpec>& blocks = job.architecture().blocks;
  const auto normed = [](const BlockSpec& block) { return block.attention_post_norm.kind != NormKind::none; };
  const bool attention = sites.contains(Site::z) && std::any_of(blocks.begin(), blocks.end(), normed);
  const bool mlp =
      (sites.contains(Site::neurons) || sites.contains(Site::mlp_written)) && has_post_norms(job.architecture());
  if (attention && mlp) return "attention and MLP";
  return attention ? "attention" : mlp ? "MLP" : "";
}

}  // namespace tributary
