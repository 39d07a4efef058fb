// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/doctor_bits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <atomic>
#include <stdexcept>
#include <thread>

#include "common/team.h"
#include "runner/commands/doctor_units.h"
#include "tests/runner/commands/examined.h"

namespace tributary::testing {
namespace {

using ::testing::HasSubstr;

TEST(DoctorBits, HoldForSoundModels) {
  for (const Kind kind : {Kind::llama, Kind::gpt2, Kind::gemma, Kind::olmo, Kind::neox, Kind::patchwork}) {
    const Job job = examined(kind);
    EXPECT_EQ(check_rows(job, 256).verdict, Verdict::ok) << name_of(kind);
    EXPECT_EQ(check_threads(job).verdict, Verdict::ok) << name_of(kind);
    EXPECT_EQ(check_ranks(job).verdict, Verdict::ok) << name_of(kind);
  }
}

TEST(DoctorBits, HoldForAModelOfOneLayer) {
  Architecture architecture = tiny_architecture(Kind::llama, 1);
  Weights weights = tiny_weights(architecture, at::kFloat);
  const Job job = examined(Transformer(std::move(architecture), std::move(weights)));
  EXPECT_EQ(check_rows(job, 256).verdict, Verdict::ok);
  EXPECT_EQ(check_ranks(job).verdict, Verdict::ok);
}

TEST(DoctorBits, DifferWhereAThreadComputesOtherwise) {
  const std::thread::id here = std::this_thread::get_id();
  const auto sound = [] { return at::ones({3}); };
  const auto elsewhere = [&] { return at::full({3}, std::this_thread::get_id() == here ? 1 : 1 + 1e-7F); };
  EXPECT_EQ(compare_threads({sound, sound}, 8).verdict, Verdict::ok);
  EXPECT_EQ(compare_threads({sound, elsewhere}, 8).verdict, Verdict::fail);
  EXPECT_EQ(compare_threads({elsewhere, sound}, 8).verdict, Verdict::fail);
}

TEST(DoctorBits, DifferWhereARaceShowsOnce) {
  int calls = 0;  // of one thread: compare_threads calls each computation on one at a time
  const auto once = [&] { return at::full({3}, ++calls == 5 ? 2 : 1); };
  EXPECT_EQ(compare_threads({[] { return at::ones({3}); }, once}, 8).verdict, Verdict::fail);
}

TEST(DoctorBits, DifferWhereACutOfALoopShows) {
  EXPECT_TRUE(same_when_shared([] { return at::ones({3}); }));
  EXPECT_FALSE(same_when_shared([] {
    std::atomic<int> pieces = 0;
    share_loop(30, 1, [&](std::int64_t, std::int64_t) { ++pieces; });
    return at::full({3}, pieces.load());
  }));
}

TEST(DoctorBits, AThreadThatThrowsIsHeard) {
  const std::thread::id here = std::this_thread::get_id();
  const auto throws = [&] {
    if (std::this_thread::get_id() != here) throw std::runtime_error("no memory");
    return at::ones({3});
  };
  EXPECT_THROW(compare_threads({[] { return at::ones({3}); }, throws}, 8), std::runtime_error);
}

/// Scores of RelP on a tiny model, in which a unit can be told from its parts by what `change` does to them.
Finding with_changed_units(const std::function<at::Tensor(const at::Tensor&, const Prompts&, LayerRange)>& change) {
  const Job job = examined(Kind::llama);
  const auto scores = [&](const Prompts& prompts, LayerRange layers) {
    return change(unit_of(*job.working, "relp", prompts, layers).scores, prompts, layers);
  };
  return compare_ranks(scores, examined_prompts(job), all_layers(job.architecture()));
}

TEST(DoctorBits, SharesOfRanksAddUp) {
  EXPECT_EQ(with_changed_units([](const at::Tensor& scores, const Prompts&, LayerRange) { return scores; }).verdict,
            Verdict::ok);
}

TEST(DoctorBits, DifferWhereAUnitTakesMeansInsteadOfSums) {
  const Finding found = with_changed_units(
      [](const at::Tensor& scores, const Prompts& prompts, LayerRange) { return scores / prompts.clean.size(0); });
  EXPECT_EQ(found.verdict, Verdict::fail);
  EXPECT_THAT(found.measured, HasSubstr("pairs"));
}

TEST(DoctorBits, DifferWhereAUnitSumsInFloat32) {
  const Finding found = with_changed_units(
      [](const at::Tensor& scores, const Prompts&, LayerRange) { return scores.to(at::kFloat).to(at::kDouble); });
  EXPECT_EQ(found.verdict, Verdict::fail);
  EXPECT_THAT(found.measured, HasSubstr("pairs"));
}

TEST(DoctorBits, DifferWhereALayersScoresDependOnTheUnitsFirstLayer) {
  const Finding found = with_changed_units([](const at::Tensor& scores, const Prompts&, LayerRange layers) {
    return layers.first == 1 ? scores * (1 + 1e-15) : scores;
  });
  EXPECT_EQ(found.verdict, Verdict::fail);
  EXPECT_THAT(found.measured, HasSubstr("layers"));
}

}  // namespace
}  // namespace tributary::testing
