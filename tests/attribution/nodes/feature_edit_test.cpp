// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/feature_edit.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include "tests/attribution/closeness.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing::feature_edits {
namespace {

constexpr std::int64_t length = 5, pairs = 2, width = 24, features = 30;

at::Tensor noise(at::IntArrayRef shape) { return at::randn(shape, at::kDouble); }

/// An autoencoder of the stream behind block 0, and a cross-layer transcoder of blocks 1 and 2.
std::vector<Dictionary> two_dictionaries() {
  at::manual_seed(9);
  Dictionary sae;
  sae.reads = Site::resid_post;
  sae.encoder = noise({width, features});
  sae.encoder_bias = noise({features}) - 3;
  sae.targets = {{Site::resid_post, 0, noise({features, width}), noise({width}), {}}};
  Dictionary cross;
  cross.reads = Site::mlp_in;
  cross.layer = 1;
  cross.encoder = noise({width, features});
  cross.encoder_bias = noise({features}) - 3;
  cross.targets = {{Site::mlp_out, 1, noise({features, width}), noise({width}), {}},
                   {Site::mlp_out, 2, noise({features, width}), {}, {}}};
  Dictionary last = cross;
  last.layer = 2;
  last.targets = {{Site::mlp_out, 2, noise({features, width}), noise({width}), {}}};
  return {sae, cross, last};
}

/// One feature everywhere set, and one error.
class Chosen : public FeatureChanges {
 public:
  std::int64_t dictionary = 0;
  std::int32_t feature = -1;
  double to = 0;
  std::int64_t error_of = -1;
  ErrorChange change;

  void features(const SequencePosition&, std::int64_t d, FeatureView running, FeatureList& changes) const override {
    if (d == dictionary && feature >= 0) changes.add(feature, to - running.value_of(feature));
  }
  [[nodiscard]] ErrorChange error(const SequencePosition&, std::int64_t d) const override {
    return d == error_of ? change : ErrorChange{};
  }
};

class FeatureEdit : public ::testing::Test {
 protected:
  [[nodiscard]] at::Tensor edited(const FeatureChanges& changes) const {
    ForwardOptions options;
    FeatureEdits edits(model, dictionaries, length, changes, nullptr);
    edits.attach(model, options);
    return model.metric(model.forward(whole_batch(e, directions.reads), options).resid, directions);
  }
  /// m with additions by place [pair, pos, width].
  [[nodiscard]] at::Tensor with(const std::map<SitePlace, at::Tensor>& additions) const {
    std::set<SitePlace> places;
    for (const auto& [place, addition] : additions) places.insert(place);
    ForwardOptions options;
    visit_sites(
        model, places,
        [&](const SitePlace& place, const at::Tensor& read) {
          read.add_(additions.at(place).narrow(1, length - read.size(1), read.size(1)));
          return true;
        },
        options);
    return model.metric(model.forward(whole_batch(e, directions.reads), options).resid, directions);
  }
  /// f [pair, pos, feature] of what a dictionary reads.
  [[nodiscard]] at::Tensor dense(std::int64_t d) const {
    at::Tensor f = at::zeros({pairs * length, features}, at::kDouble);
    for (std::int64_t row = 0; row < pairs * length; ++row) {
      const FeatureView view = view_of(values.features[static_cast<std::size_t>(d)], row);
      for (std::size_t i = 0; i < view.feature.size(); ++i) f[row][view.feature[i]].fill_(view.value[i]);
    }
    return f.unflatten(0, {pairs, length});
  }

  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(pairs, length);
  const at::Tensor e = model.embed(prompts.clean);
  const LogitDirections directions = model.logit_directions(prompts.tokens);
  const std::vector<Dictionary> dictionaries = two_dictionaries();
  const FeatureValues values = feature_values(model, dictionaries, e, nullptr);
  const at::Tensor plain = with({});
};

TEST_F(FeatureEdit, ErrorsAreWhatFeaturesDoNotExplain) {
  EXPECT_EQ(values.positions, length);
  const auto explained = [&](std::int64_t d, std::size_t target) {
    return at::matmul(dense(d), dictionaries[static_cast<std::size_t>(d)].targets[target].decoder);
  };
  const auto expect_error = [&](const SitePlace& place, const at::Tensor& rebuilt) {
    expect_close(values.errors.at(place), values.written.at(place) - rebuilt);
  };
  EXPECT_GT((dense(0) != 0).sum().item<std::int64_t>(), 10);
  expect_error({Site::resid_post, 0}, explained(0, 0) + dictionaries[0].targets[0].bias);
  expect_error({Site::mlp_out, 1}, explained(1, 0) + dictionaries[1].targets[0].bias);
  expect_error({Site::mlp_out, 2}, explained(1, 1) + explained(2, 0) + dictionaries[2].targets[0].bias);
}

TEST_F(FeatureEdit, WhereNothingChangesNoBitDoes) { EXPECT_TRUE(at::equal(edited(Chosen()), plain)); }

TEST_F(FeatureEdit, AFeatureIsSetWhereverItWrites) {
  Chosen changes;
  changes.dictionary = 1;
  changes.feature = 7;
  changes.to = 1.5;
  const at::Tensor units = 1.5 - dense(1).narrow(2, 7, 1);  // [pair, pos, 1]
  const auto written = [&](std::size_t target) { return units * dictionaries[1].targets[target].decoder[7]; };
  const at::Tensor expected = with({{{Site::mlp_out, 1}, written(0)}, {{Site::mlp_out, 2}, written(1)}});
  EXPECT_GT((expected - plain).abs().min().item<double>(), 1e-4);
  expect_close(edited(changes), expected);
}

TEST_F(FeatureEdit, AnErrorIsScaledOrSet) {
  const SitePlace place(Site::resid_post, 0);
  const at::Tensor& error = values.errors.at(place);
  Chosen changes;
  changes.error_of = 0;
  changes.change.scale = 3;
  expect_close(edited(changes), with({{place, 2 * error}}));
  const at::Tensor given = noise({1, width});
  changes.change = {0, &given, 0};
  expect_close(edited(changes), with({{place, given.unsqueeze(0) - error}}));
}

/// The last one reads what the first ones changed.
TEST_F(FeatureEdit, FeaturesAboveAreThoseOfThePassAsItRuns) {
  Chosen changes;
  changes.feature = 3;
  changes.to = 4;
  changes.error_of = 2;
  changes.change.scale = 0;
  const SitePlace first(Site::resid_post, 0), last(Site::mlp_out, 2);
  const at::Tensor step = (4 - dense(0).narrow(2, 3, 1)) * dictionaries[0].targets[0].decoder[3];
  at::Tensor error;  // of the changed pass
  FeatureReader reader(model, dictionaries, nullptr);
  ForwardOptions options;
  visit_sites(
      model, reader.places(),
      [&](const SitePlace& place, const at::Tensor& read) {
        if (place == first) read.add_(step);
        reader.read(place, read.flatten(0, 1), pairs);
        if (place != last) return place == first;
        error = read.clone().contiguous();
        for (std::int64_t pair = 0; pair < pairs; ++pair) {
          for (std::int64_t at = 0; at < read.size(1); ++at) {
            auto* const x = error.mutable_data_ptr<double>() + (pair * read.size(1) + at) * width;
            reader.subtract_explained(place, pair, at, read.size(1), {x, static_cast<std::size_t>(width)});
          }
        }
        return false;
      },
      options);
  model.forward(whole_batch(e, directions.reads), options);
  at::Tensor less = at::zeros({pairs, length, width}, at::kDouble);
  less.narrow(1, length - error.size(1), error.size(1)).copy_(-error);
  expect_close(edited(changes), with({{first, step}, {last, less}}));
}

TEST_F(FeatureEdit, MeansAreOfValuesAndErrors) {
  std::vector<std::int64_t> keys;
  std::vector<double> numbers;
  for (std::int64_t d = 0; d < 3; ++d) {
    const at::Tensor mean = dense(d).mean(0);  // [pos, feature]
    for (std::int64_t position = 0; position < length; ++position) {
      for (std::int64_t j = 0; j < features; ++j) {
        const auto value = mean[position][j].item<double>();
        if (value == 0) continue;
        keys.push_back((d * length + position) * features + j);
        numbers.push_back(value);
      }
    }
  }
  std::map<SitePlace, at::Tensor> written;
  for (const auto& [place, all] : values.written) written[place] = all.mean(0, /*keepdim=*/true);
  const FeatureValues mean = mean_features(dictionaries, length, keys, numbers, written);
  for (const auto& [place, error] : values.errors) expect_close(mean.errors.at(place), error.mean(0, /*keepdim=*/true));
  ASSERT_EQ(mean.features.size(), 3U);
  EXPECT_EQ(mean.features[1].rows(), length);
  const FeatureView row = view_of(mean.features[1], 2);
  for (std::size_t i = 0; i < row.feature.size(); ++i) {
    EXPECT_DOUBLE_EQ(row.value[i], dense(1).mean(0)[2][row.feature[i]].item<double>());
  }
}

}  // namespace
}  // namespace tributary::testing::feature_edits
