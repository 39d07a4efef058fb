// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/site_writer.h"

#include "common/errors.h"

namespace tributary {

Writer site_writer(const Transformer& model, Site site, std::int64_t layer) {
  switch (site) {
    case Site::z:
      return model.attention_writer(layer);
    case Site::neurons:
      return model.mlp_writer(layer);
    case Site::mlp_written:
      return model.mlp_writer(layer).without_matrix();
    case Site::mlp_out:
    case Site::embeddings:
    case Site::resid_pre:
    case Site::resid_mid:
    case Site::resid_post:
      return {{}, {}, model.options()};
    case Site::mlp_in:
    case Site::mlp_in_normed:
      break;
  }
  throw ContractViolation("nothing is written there");
}

ForwardOptions::Values& hook_at(ForwardOptions& options, Site site) {
  switch (site) {
    case Site::z:
      return options.z;
    case Site::neurons:
      return options.neurons;
    case Site::mlp_written:
      return options.mlp_written;
    case Site::mlp_out:
      return options.mlp_out;
    default:
      break;
  }
  throw ContractViolation("a forward pass has no such hook");
}

StreamPlace written_to(const Architecture& architecture, Site site, std::int64_t layer) {
  if (site == Site::embeddings) return {0, Before::attention};
  if (site == Site::resid_pre) return {layer, Before::attention};
  if (site == Site::resid_mid) return {layer, Before::mlp};
  // In a parallel block the MLP does not read what attention adds.
  const bool within = site == Site::z && architecture.block(layer).residual == Residual::sequential;
  return within ? StreamPlace{layer, Before::mlp} : StreamPlace{layer + 1, Before::attention};
}

}  // namespace tributary
