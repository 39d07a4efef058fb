// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/chosen_dtype.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attribution/methods/table.h"
#include "runner/job/keys.h"

namespace tributary::testing {
namespace {

using ::testing::HasSubstr;

constexpr DtypeFacts fast{.stored = at::kBFloat16, .multiplies_bfloat16 = true, .weights = 100};

std::string dtype_for(const DtypeFacts& facts) { return choose_dtype(facts, Method{}).name; }

TEST(ChosenDtype, IsBfloat16WhereItIsFasterAndLosesNothing) {
  EXPECT_EQ(dtype_for(fast), "bfloat16");
  for (const auto stored : {at::kFloat, at::kHalf, at::kDouble}) {
    DtypeFacts facts = fast;
    facts.stored = stored;
    EXPECT_EQ(dtype_for(facts), "float32") << stored;
  }
  DtypeFacts facts = fast;
  facts.stored.reset();
  EXPECT_EQ(dtype_for(facts), "float32");
  facts = fast;
  facts.multiplies_bfloat16 = false;
  EXPECT_EQ(dtype_for(facts), "float32");
}

TEST(ChosenDtype, FitsTheCard) {
  DtypeFacts facts = fast;
  facts.memory = 400;
  EXPECT_EQ(dtype_for(facts), "bfloat16");
  facts.memory = 300;  // of which the two networks alone take all
  EXPECT_EQ(dtype_for(facts), "float32");
}

TEST(ChosenDtype, IsNoneInWhichTheMethodIsNotDone) {
  Method method;
  method.quadrature = Quadrature::adaptive;
  EXPECT_EQ(choose_dtype(fast, method).name, "bfloat16");  // with a pilot
  method.rules = Rules::all();
  EXPECT_EQ(choose_dtype(fast, method).name, "float32");
}

TEST(ChosenDtype, IsWhatTheSettingsSayFromThenOn) {
  const std::string text =
      "{schema: 1, name: x, model: {path: /m, dtype: auto}, pairs: {file: /p}, attribution: {method: atp}}";
  const Settings settings = settings_of(key_table(), text, "text");
  RunConfig config;
  config.dtype = "auto";
  std::string note;
  const Settings chosen = with_chosen_dtype(settings, config, fast, note);
  EXPECT_EQ(config.dtype, "bfloat16");
  EXPECT_THAT(note, HasSubstr("model.dtype: auto is bfloat16 here"));
  EXPECT_THAT(chosen.resolved(), HasSubstr("dtype: bfloat16"));
  EXPECT_EQ(chosen.keys_that_differ(settings), std::vector<std::string>{"model.dtype"});
  const std::string given =
      "{schema: 1, name: x, model: {path: /m, dtype: bfloat16}, pairs: {file: /p}, attribution: {method: atp}}";
  EXPECT_EQ(chosen.identity_text({Effect::numbers}),
            settings_of(key_table(), given, "text").identity_text({Effect::numbers}));

  note.clear();
  config.dtype = "float64";
  EXPECT_EQ(with_chosen_dtype(settings, config, fast, note).resolved(), settings.resolved()) << "nothing to choose";
  EXPECT_EQ(note, "");
}

}  // namespace
}  // namespace tributary::testing
