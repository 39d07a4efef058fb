// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/table.h"

#include <gtest/gtest.h>

#include "common/errors.h"
#include "tests/attribution/unit.h"

namespace tributary::testing {
namespace {

TEST(Methods, RefuseWhatHasNoMeaning) {
  MethodRequest denoised = request_of("conductance");
  denoised.direction = Direction::denoise;
  EXPECT_THROW(resolve_method(denoised), UserError);
  EXPECT_THROW(resolve_method(request_of("atp", Quadrature::right, std::nullopt)), UserError);
  EXPECT_THROW(resolve_method(request_of("conductance", Quadrature::midpoint, 10)), UserError);
  MethodRequest zero = request_of("input-ig", Quadrature::left, 10);
  zero.baseline = Baseline::zero;
  EXPECT_THROW(resolve_method(zero), UserError);
  zero.quadrature = Quadrature::right;
  EXPECT_NO_THROW(resolve_method(zero));
  EXPECT_THROW(resolve_method(request_of("ig-act")), UserError);
  MethodRequest captum = request_of("conductance", Quadrature::simpson, std::nullopt);
  captum.form = ConductanceForm::captum;
  EXPECT_THROW(resolve_method(captum), UserError);
  MethodRequest pilot = request_of("ig-acts", Quadrature::pilot, std::nullopt);
  pilot.rule_preset = "relp";
  EXPECT_THROW(resolve_method(pilot), UserError);
}

TEST(Methods, PublishedNamesAreTheirRules) {
  EXPECT_EQ(resolve_method(request_of("relp")).rules, Rules::all());
  EXPECT_EQ(resolve_method(request_of("relp-jafari")).rules, Rules::all().without(Rule::attention));
  EXPECT_EQ(resolve_method(request_of("no-half")).rules, Rules::all().without(Rule::half));
  MethodRequest one = request_of("atp");
  one.rules[Rule::norm] = true;
  EXPECT_EQ(resolve_method(one).rules, Rules().with(Rule::norm));
  EXPECT_EQ(resolve_method(one).asked, std::vector<Rule>{Rule::norm});
}

}  // namespace
}  // namespace tributary::testing
