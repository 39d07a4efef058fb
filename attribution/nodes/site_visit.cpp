// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/site_visit.h"

#include "attribution/model/detail/rows.h"
#include "attribution/model/functions.h"
#include "attribution/model/tensors.h"
#include "attribution/nodes/site_writer.h"
#include "common/errors.h"

namespace tributary {
namespace {

bool is_mlp_input(Site site) { return site == Site::mlp_in || site == Site::mlp_in_normed; }

/// The same from the stream alone.
at::Tensor mlp_input(const Transformer& model, Site site, std::int64_t layer, const at::Tensor& stream) {
  const auto& weights = model.weights().layers[static_cast<std::size_t>(layer)];
  const at::Tensor rows = stream.flatten(0, 1);
  const at::Tensor normalised = at::empty(rows.sizes(), model.options());
  const at::Tensor mean_rstd = at::empty({rows.size(0), 2}, model.score_options());
  normalise(rows, detail::mlp_norm(model.architecture().block(layer), weights), normalised, mean_rstd);
  return mlp_input(model, site, layer, stream, mean_rstd.unflatten(0, {stream.size(0), stream.size(1)}));
}

}  // namespace

at::Tensor mlp_input(const Transformer& model, Site site, std::int64_t layer, const at::Tensor& stream,
                     const at::Tensor& mean_rstd) {
  const BlockSpec& spec = model.architecture().block(layer);
  if (spec.mlp_norm.kind == NormKind::none) return stream;
  at::Tensor normed = (stream - mean_rstd.narrow(2, 0, 1)) * mean_rstd.narrow(2, 1, 1);
  if (site == Site::mlp_in_normed) return normed;
  const LayerWeights& weights = model.weights().layers[static_cast<std::size_t>(layer)];
  const at::Tensor gained = normed * (weights.mlp_norm_weight.to(normed.scalar_type()) + spec.mlp_norm.gain_offset);
  return weights.mlp_norm_bias.defined() ? gained + weights.mlp_norm_bias.to(normed.scalar_type()) : gained;
}

void visit_sites(const Transformer& model, const std::set<SitePlace>& places, const VisitSite& visit,
                 ForwardOptions& options) {
  for (const Site site : {Site::z, Site::mlp_written, Site::mlp_out}) {
    ForwardOptions::Values& hook = hook_at(options, site);
    hook = [&places, visit, site, before = hook](std::int64_t layer, const at::Tensor& read) {
      if (before) before(layer, read);
      if (places.contains({site, layer})) visit({site, layer}, read);
    };
  }
  TRIBUTARY_EXPECT(!options.stream, "the stream is looked at by one");
  options.stream = [&model, &places, visit](std::int64_t block, Before half, const at::Tensor& resid) {
    const Architecture& a = model.architecture();
    bool changed = false;
    const auto at = [&](Site site, std::int64_t layer) {
      if (!places.contains({site, layer})) return;
      if (is_mlp_input(site)) {
        visit({site, layer}, mlp_input(model, site, layer, resid));
      } else {
        changed |= visit({site, layer}, resid);
      }
    };
    if (half == Before::attention) {
      at(Site::resid_post, block - 1);
      at(Site::resid_pre, block);
    } else {
      at(Site::resid_mid, block);
    }
    if (block == a.layers()) return changed;
    const bool parallel = a.block(block).residual == Residual::parallel;
    if (parallel == (half == Before::attention)) {
      at(Site::mlp_in, block);
      at(Site::mlp_in_normed, block);
    }
    return changed;
  };
}

}  // namespace tributary
