// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/base_runs.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <tuple>

#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing::base_runs {
namespace {

constexpr std::int64_t length = 6;
constexpr std::int64_t pairs = 3;
const Sites every_site{Site::embeddings, Site::z, Site::neurons, Site::mlp_written, Site::mlp_out};

/// Family, and how many leading positions the two groups share.
class Groups : public ::testing::TestWithParam<std::tuple<Kind, std::int64_t>> {
 protected:
  const std::int64_t shared = std::get<1>(GetParam());
  const std::int64_t suffix = length - shared;
  const Transformer model = tiny_model(std::get<0>(GetParam()));
  const Prompts prompts = tiny_prompts(pairs, length, at::kDouble, shared);
  const std::vector<at::Tensor> embeddings{model.embed(prompts.clean), model.embed(prompts.counterfactual)};
  const BaseRuns runs{model, embeddings, shared, model.logit_directions(prompts.tokens), every_site, nullptr};
  const AutogradModel reference{model};

  [[nodiscard]] Truth truth_of(std::size_t group, Rules rules = {}) const {
    return reference.run(embeddings[group], prompts.tokens, rules);
  }
};
INSTANTIATE_TEST_SUITE_P(BaseRuns, Groups,
                         ::testing::Combine(::testing::Values(Kind::llama, Kind::mistral, Kind::gpt2, Kind::patchwork,
                                                              Kind::gemma, Kind::olmo, Kind::neox),
                                            ::testing::Values(0, 1, 3, length - 1)),
                         [](const auto& one) {
                           return name_of(std::get<0>(one.param)) + "_shared_" + std::to_string(std::get<1>(one.param));
                         });

TEST_P(Groups, HoldTheRunsOfEachGroup) {
  EXPECT_EQ(runs.suffix(), suffix);
  EXPECT_EQ(runs.prefix() == nullptr, shared == 0);
  for (std::int64_t group = 0; group < 2; ++group) {
    const Truth truth = truth_of(static_cast<std::size_t>(group));
    expect_close(runs.metric(group), truth.metric);
    expect_same_bits(runs.embeddings(group).contiguous(),
                     embeddings[static_cast<std::size_t>(group)].narrow(1, shared, suffix).contiguous());
    for (std::int64_t layer = 0; layer < 3; ++layer) {
      const at::Tensor a = runs.values(Site::neurons, group, layer);
      EXPECT_EQ(a.size(1), layer == 2 ? 1 : suffix);
      expect_close(a, last_positions(truth.neurons, layer, a.size(1)));
      const at::Tensor after = runs.resid_post(group, layer);
      ASSERT_EQ(after.sizes(), (at::IntArrayRef{pairs, suffix, 24}));
      const std::int64_t known = layer == 2 ? 1 : suffix;
      expect_close(after.narrow(1, suffix - known, known), last_positions(truth.streams, layer + 1, known));
      EXPECT_EQ(after.narrow(1, 0, suffix - known).abs().sum().item<double>(), 0);
    }
  }
}

TEST_P(Groups, GradientsAreAutograds) {
  for (const Rules& rules : {Rules(), Rules::all()}) {
    for (std::int64_t group = 0; group < 2; ++group) {
      const Truth truth = truth_of(static_cast<std::size_t>(group), rules);
      const BaseGradients found = runs.gradients(group, rules, nullptr);
      for (std::int64_t layer = 0; layer < 3; ++layer) {
        const at::Tensor& a = found.sites.at(Site::neurons)[static_cast<std::size_t>(layer)];
        EXPECT_EQ(a.size(1), layer == 2 ? 1 : suffix);
        expect_close(a, last_positions(truth.neuron_gradients, layer, a.size(1)));
        expect_close(found.resid_pre[static_cast<std::size_t>(layer) + 1],
                     last_positions(truth.stream_gradients, layer + 1, suffix));
      }
    }
  }
}

TEST_P(Groups, HoldWhatIsReadAtEverySite) {
  for (std::int64_t group = 0; group < 2; ++group) {
    const Truth truth = truth_of(static_cast<std::size_t>(group));
    for (const Site site : every_site) {
      for (std::int64_t layer = 0; layer < (site == Site::embeddings ? 1 : 3); ++layer) {
        const at::Tensor read = runs.values(site, group, layer);
        EXPECT_EQ(read.size(1), layer == 2 ? 1 : suffix);
        expect_close(read, last_positions(truth.values.at(site), layer, read.size(1)));
      }
    }
  }
}

TEST_P(Groups, GradientsOfEverySiteAndPlaceAreAutograds) {
  for (const Rules& rules : {Rules(), Rules::all()}) {
    for (std::int64_t group = 0; group < 2; ++group) {
      const Truth truth = truth_of(static_cast<std::size_t>(group), rules);
      const BaseGradients found = runs.gradients(group, rules, nullptr);
      for (const Site site : every_site) {
        for (std::int64_t layer = 0; layer < (site == Site::embeddings ? 1 : 3); ++layer) {
          const at::Tensor own = found.at_site(site, layer, 1);
          EXPECT_EQ(own.size(1), layer == 2 ? 1 : suffix);
          expect_close(own, last_positions(truth.gradients.at(site), layer, own.size(1)));
        }
      }
      for (std::int64_t block = 0; block <= 3; ++block) {
        expect_close(found.at_place({block, Before::attention}), last_positions(truth.stream_gradients, block, suffix));
        if (block == 3 || model.architecture().block(block).residual == Residual::parallel) continue;
        expect_close(found.at_place({block, Before::mlp}), last_positions(truth.mid_gradients, block, suffix));
      }
    }
  }
}

/// Whatever a site's writer met, with it the stream is where it writes: before the MLP, or after the block.
TEST_P(Groups, WritersMakeTheStreamsOfTheRuns) {
  for (std::int64_t group = 0; group < 2; ++group) {
    const Truth truth = truth_of(static_cast<std::size_t>(group));
    for (const Site site : every_site) {
      for (std::int64_t layer = 0; layer < (site == Site::embeddings ? 1 : 3); ++layer) {
        const WrittenStream met = runs.written(site, group, layer);
        ASSERT_EQ(met.resid.sizes(), (at::IntArrayRef{pairs, suffix, 24}));
        const at::Tensor stream =
            site_writer(model, site, layer)
                .moved({met.resid.clone(), met.input.defined() ? met.input.clone() : at::Tensor()},
                       at::zeros({pairs, 1, 24}, at::kDouble));
        const StreamPlace place = written_to(model.architecture(), site, layer);
        const std::int64_t known = layer == 2 ? 1 : suffix;
        expect_close(stream.narrow(1, suffix - known, known),
                     last_positions(place.before == Before::mlp ? truth.mids : truth.streams, place.block, known));
      }
    }
  }
}

TEST(BaseRuns, GiveNoGradientsThatNobodyAskedFor) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(pairs, length);
  const BaseRuns runs(model, {model.embed(prompts.clean)}, 0, model.logit_directions(prompts.tokens), {Site::z},
                      nullptr);
  const BaseGradients found = runs.gradients(0, {}, nullptr);
  EXPECT_EQ(found.sites.size(), 1U);
  EXPECT_FALSE(found.resid_pre[0].defined());
  EXPECT_TRUE(found.resid_pre[3].defined());
}

TEST_P(Groups, NoBitDependsOnWhatIsShared) {
  const BaseRuns whole(model, embeddings, 0, model.logit_directions(prompts.tokens), every_site, nullptr);
  for (std::int64_t group = 0; group < 2; ++group) {
    expect_same_bits(runs.metric(group), whole.metric(group));
    const BaseGradients a = runs.gradients(group, {}, nullptr);
    const BaseGradients b = whole.gradients(group, {}, nullptr);
    for (std::size_t layer = 0; layer < 3; ++layer) {
      const auto l = static_cast<std::int64_t>(layer);
      for (const Site site : {Site::z, Site::neurons, Site::mlp_written}) {
        const at::Tensor& own = a.sites.at(site)[layer];
        expect_same_bits(own.contiguous(), last_positions(b.sites.at(site), l, own.size(1)).contiguous());
      }
      for (const std::int64_t block : {l, l + 1}) {
        expect_same_bits(a.resid_pre[static_cast<std::size_t>(block)].contiguous(),
                         last_positions(b.resid_pre, block, suffix).contiguous());
      }
    }
  }
}

TEST(BaseRuns, OfOneGroupWorksToo) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(pairs, length);
  const at::Tensor e = model.embed(prompts.clean);
  const BaseRuns runs(model, {e}, 0, model.logit_directions(prompts.tokens), {Site::neurons}, nullptr);
  const Truth truth = AutogradModel(model).run(e, prompts.tokens);
  expect_close(runs.metric(0), truth.metric);
  expect_close(runs.gradients(0, {}, nullptr).resid_pre[1], truth.stream_gradients[1]);
}

}  // namespace
}  // namespace tributary::testing::base_runs
