// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the passes tell of every place where values are read, against the autograd reference, in float64: the values,
// their gradients under every rule, and that a value changed in place is the one that is used.
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include "attribution/model/transformer.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/engine_run.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing::transformer_sites {
namespace {

constexpr std::int64_t length = 7;
const std::vector<Site> between_blocks{Site::z, Site::mlp_written, Site::mlp_out};

class SiteHooks : public ::testing::TestWithParam<Kind> {
 protected:
  const Transformer model = tiny_model(GetParam());
  const AutogradModel reference{model};
  const Prompts prompts = tiny_prompts(4, length);
  const at::Tensor e = model.embed(prompts.clean);
  const LogitDirections directions = model.logit_directions(prompts.tokens);
  const bool parallel = model.architecture().block(0).residual == Residual::parallel;
};
INSTANTIATE_TEST_SUITE_P(Transformer, SiteHooks,
                         ::testing::Values(Kind::llama, Kind::mistral, Kind::qwen, Kind::gpt2, Kind::patchwork,
                                           Kind::gemma, Kind::olmo, Kind::neox),
                         [](const auto& kind) { return name_of(kind.param); });

TEST_P(SiteHooks, ValuesAreThoseOfTheReference) {
  const EngineRun run = engine_run(model, whole_batch(e), directions);
  const Truth truth = reference.run(e, prompts.tokens);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    for (const Site site : between_blocks) {
      const at::Tensor& read = run.values.at(site)[layer];
      EXPECT_EQ(read.size(1), layer == 2 ? 1 : length);
      expect_close(read, last_of(truth.values.at(site)[layer], read));
    }
    if (!parallel) expect_close(run.mids[layer], last_of(truth.mids[layer], run.mids[layer]));
  }
}

TEST_P(SiteHooks, AllPositionsOfTheLastBlockAreToldWhereTheyAreAskedFor) {
  ForwardOptions options;
  options.last_block = LastBlock::all_positions;
  std::map<Site, at::Tensor> read;
  for (const Site site : between_blocks) {
    hook_at(options, site) = [&read, site](std::int64_t layer, const at::Tensor& own) {
      if (layer == 2) read[site] = own.clone();
    };
  }
  model.forward(whole_batch(e), options);
  const Truth truth = reference.run(e, prompts.tokens);
  for (const Site site : between_blocks) expect_close(read.at(site), truth.values.at(site)[2]);
}

TEST_P(SiteHooks, GradientsAreThoseOfTheReferenceUnderEveryRule) {
  std::vector<Rules> sets{Rules(), Rules::all(), Rules::all().with(Rule::softcap)};
  for (const Rule rule : {Rule::activation, Rule::half, Rule::norm, Rule::attention, Rule::softcap}) {
    sets.push_back(Rules().with(rule));
  }
  for (std::size_t s = 0; s < sets.size(); ++s) {
    SCOPED_TRACE("set " + std::to_string(s));
    const EngineRun run = engine_run(model, whole_batch(e), directions, sets[s]);
    const Truth truth = reference.run(e, prompts.tokens, sets[s]);
    for (std::size_t layer = 0; layer < 3; ++layer) {
      for (const Site site : between_blocks) {
        const at::Tensor& gradient = run.gradients.at(site)[layer];
        EXPECT_EQ(gradient.size(1), layer == 2 ? 1 : length);
        expect_close(gradient, last_of(truth.gradients.at(site)[layer], gradient));
      }
      EXPECT_EQ(run.mid_gradients[layer].defined(), !parallel);
      if (!parallel)
        expect_close(run.mid_gradients[layer], last_of(truth.mid_gradients[layer], run.mid_gradients[layer]));
    }
  }
}

TEST_P(SiteHooks, GradientsOfAMetricOfSeveralPositionsAreThoseOfTheReference) {
  const LogitDirections last = directions;
  for (const std::vector<std::int64_t>& from_end : {std::vector<std::int64_t>{1, 0}, {0, 3}, {6, 2}}) {
    const auto reads = static_cast<std::int64_t>(from_end.size());
    const LogitDirections several{ReadPositions(from_end), last.rows.repeat_interleave(reads, 1), last.coefficients};
    const EngineRun run = engine_run(model, whole_batch(e), several);
    const Truth truth = reference.run(e, prompts.tokens, {}, {}, from_end);
    for (std::size_t layer = 0; layer < 3; ++layer) {
      for (const Site site : between_blocks) {
        const at::Tensor& gradient = run.gradients.at(site)[layer];
        EXPECT_EQ(gradient.size(1), layer == 2 ? several.reads.kept() : length);
        expect_close(gradient, last_of(truth.gradients.at(site)[layer], gradient));
        expect_close(run.values.at(site)[layer], last_of(truth.values.at(site)[layer], run.values.at(site)[layer]));
      }
    }
  }
}

/// Numbers 3 and 4 of what is read at the last and the third last position are set.
at::Tensor changed(const at::Tensor& read) {
  for (const std::int64_t from_end : {1, 3}) {
    if (read.size(1) >= from_end) read.select(1, read.size(1) - from_end).narrow(1, 3, 2).fill_(1.5);
  }
  return read;
}

TEST_P(SiteHooks, AValueChangedInPlaceIsUsedAboveItAndOnTheWayDown) {
  for (const Site site : between_blocks) {
    for (const std::int64_t layer : {1, 2}) {
      SCOPED_TRACE("layer " + std::to_string(layer));
      ForwardOptions options;
      options.tape = ForwardOptions::Tape::keep;
      hook_at(options, site) = [layer = layer](std::int64_t at, const at::Tensor& read) {
        if (at == layer) changed(read);
      };
      const Pass pass = model.forward(whole_batch(e), options);
      const Truth truth =
          reference.run_with(e, prompts.tokens, {}, [&](Site where, std::int64_t at, const at::Tensor& own) {
            return where == site && at == layer ? changed(own.clone()) : own;
          });
      expect_close(model.metric(pass.resid, directions), truth.metric);
      at::Tensor above, at_value;  // gradients of the stream above the layer, and of the value
      BackwardOptions down;
      down.resid_pre = [&](std::int64_t block, const at::Tensor& gradient) {
        if (block == 2) above = gradient.clone();
      };
      const auto take = [&](std::int64_t at, const at::Tensor& gradient) {
        if (at == layer) at_value = gradient.clone();
      };
      if (site == Site::z) down.z = take;
      if (site == Site::mlp_written) down.mlp_written = take;
      if (site == Site::mlp_out) down.mlp_out = take;
      model.backward(pass, {0, 4}, model.metric_gradient(pass.resid, directions, down), down);
      if (layer == 1) expect_close(above, truth.stream_gradients[2]);
      const auto l = static_cast<std::size_t>(layer);
      expect_close(at_value, last_of(truth.gradients.at(site)[l], at_value));
    }
  }
}

}  // namespace
}  // namespace tributary::testing::transformer_sites
