// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/site_visit.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <map>

#include "attribution/methods/base_runs.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing::site_visits {
namespace {

constexpr std::int64_t length = 6;

class Visits : public ::testing::TestWithParam<Kind> {
 protected:
  [[nodiscard]] bool parallel() const { return model.architecture().block(0).residual == Residual::parallel; }
  [[nodiscard]] std::set<SitePlace> everywhere() const {
    std::set<SitePlace> all;
    for (std::int64_t layer = 0; layer < 3; ++layer) {
      for (const Site site : {Site::z, Site::mlp_out, Site::resid_pre, Site::resid_post, Site::mlp_in,
                              Site::mlp_in_normed, Site::resid_mid}) {
        if (site != Site::resid_mid || !parallel()) all.emplace(site, layer);
      }
    }
    return all;
  }
  [[nodiscard]] at::Tensor metric(const Pass& pass) const { return model.metric(pass.resid, directions); }
  [[nodiscard]] Batch batch() const { return whole_batch(e, directions.reads); }

  /// m with something done at places.
  at::Tensor with(const std::set<SitePlace>& places, const VisitSite& visit) const {
    ForwardOptions options;
    visit_sites(model, places, visit, options);
    return metric(model.forward(batch(), options));
  }

  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(3, length);
  const at::Tensor e = model.embed(prompts.clean);
  const LogitDirections directions = model.logit_directions(prompts.tokens);
  const at::Tensor plain = metric(model.forward(batch(), {}));
};
INSTANTIATE_TEST_SUITE_P(SiteVisit, Visits,
                         ::testing::Values(Kind::llama, Kind::gpt2, Kind::patchwork, Kind::gemma, Kind::olmo,
                                           Kind::neox),
                         [](const auto& kind) { return name_of(kind.param); });

TEST_P(Visits, ReadWhatBaseRunsKnow) {
  const std::set<SitePlace> places = everywhere();
  Sites sites;
  for (const auto& [site, layer] : places) sites.insert(site);
  const BaseRuns runs(model, {e}, 0, directions, sites, nullptr);
  std::map<SitePlace, at::Tensor> read;
  const at::Tensor m = with(places, [&](const SitePlace& place, const at::Tensor& here) {
    read[place] = here.clone();
    return false;
  });
  EXPECT_TRUE(at::equal(m, plain));
  ASSERT_EQ(read.size(), places.size());
  for (const auto& [place, here] : read) {
    if (place == SitePlace(Site::resid_pre, 0)) {  // base runs have what the prompts bring along: no positions
      if (!model.architecture().learned_positions) expect_close(here, e);
      continue;
    }
    const at::Tensor known = runs.values(place.first, 0, place.second);
    const std::int64_t positions = std::min(known.size(1), here.size(1));
    const auto last = [positions](const at::Tensor& t) { return t.narrow(1, t.size(1) - positions, positions); };
    expect_close(last(here), last(known));
  }
}

TEST_P(Visits, SayingThatNothingIsAddedChangesNoBit) {
  const std::set<SitePlace> places = everywhere();
  EXPECT_TRUE(at::equal(with(places, [](const SitePlace&, const at::Tensor&) { return true; }), plain));
}

TEST_P(Visits, AnAdditionToTheStreamIsWhatIsReadNext) {
  const at::Tensor step = 0.3 * at::randn({3, length, 24}, at::kDouble);
  const auto add = [&](const SitePlace&, const at::Tensor& here) {
    here.add_(step.narrow(1, length - here.size(1), here.size(1)));
    return true;
  };
  const at::Tensor behind = with({{Site::resid_post, 0}}, add);
  EXPECT_GT((behind - plain).abs().min().item<double>(), 1e-4);
  EXPECT_TRUE(at::equal(behind, with({{Site::resid_pre, 1}}, add)));
  // What the block adds is added to the same stream, but for rounding.
  expect_close(with({{Site::mlp_out, 0}}, add), behind);
  if (parallel()) return;
  at::Tensor mid;
  with({{Site::resid_mid, 1}}, [&](const SitePlace&, const at::Tensor& here) {
    mid = here + step;
    return false;
  });
  Batch entering = batch();
  entering.entries = {{1, mid, Before::mlp}};
  expect_close(with({{Site::resid_mid, 1}}, add), metric(model.forward(entering, {})));
}

TEST_P(Visits, HooksThatAreThereComeFirst) {
  ForwardOptions options;
  options.mlp_out = [](std::int64_t layer, const at::Tensor& read) {
    if (layer == 1) read.fill_(2);
  };
  double seen = 0;
  const std::set<SitePlace> places = {{Site::mlp_out, 1}};
  visit_sites(
      model, places,
      [&](const SitePlace&, const at::Tensor& read) {
        seen = read.max().item<double>();
        return false;
      },
      options);
  model.forward(batch(), options);
  EXPECT_EQ(seen, 2);
}

}  // namespace
}  // namespace tributary::testing::site_visits
