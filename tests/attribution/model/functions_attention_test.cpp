// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Rotation and attention as loops against autograd in float64 and against LibTorch's operations, on rows that lie apart
// in memory: grouped heads, shared prefixes, queries of the last position only, windows.
#include <ATen/Context.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <tuple>

#include "attribution/model/functions.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"

namespace tributary::testing::functions_attention {
namespace {

using torch::autograd::grad;

constexpr std::int64_t heads = 4;
constexpr std::int64_t d = 6;

class RotationTypes : public ::testing::TestWithParam<at::ScalarType> {};
INSTANTIATE_TEST_SUITE_P(Functions, RotationTypes, ::testing::Values(at::kDouble, at::kFloat, at::kBFloat16),
                         [](const auto& one) { return std::string(c10::toString(one.param)); });

TEST_P(RotationTypes, BothWaysAreThoseOfTheReference) {
  constexpr std::int64_t sequences = 3, positions = 4, first = 2;
  for (const Rotary& rotary : {Rotary{}, Rotary{.dims = 4, .attention_factor = 1.5}}) {
    const RotaryTables tables = rotary_tables(rotary, d, 9, stream_type(GetParam()));
    const Rotation rotation{tables.cosine, tables.sine, d, first, positions};
    const Strided start(at::randn({sequences * positions, heads * d}, at::kDouble), GetParam());
    const at::Tensor leaf = start.rows.to(at::kDouble).clone().requires_grad_();
    const at::Tensor by_head = leaf.view({sequences, positions, heads, d}).transpose(1, 2);
    const at::Tensor turned = truth::rotated(by_head, rotary, first).transpose(1, 2).reshape(leaf.sizes());
    const at::Tensor back = grad({turned}, {leaf}, {start.rows.to(at::kDouble)})[0];
    for (const auto& [turn, expected] :
         {std::pair(RotationSense::forward, turned), std::pair(RotationSense::inverse, back)}) {
      const Strided x(start.rows, GetParam());
      rotate(x.rows, rotation, turn);
      expect_close(x.rows, expected);
      EXPECT_TRUE(x.untouched());
      const Strided other(start.rows, GetParam());
      generic::rotate(other.rows, rotation, turn);
      expect_close(other.rows, expected);
      EXPECT_TRUE(other.untouched());
    }
  }
}

/// Three sequences that share prefixes two to two, each key head serving heads / kv_heads query heads.
struct Case {
  at::ScalarType type;
  std::int64_t kv_heads, prefix, suffix, queries, window;
  double softcap;  // 0: none
};
void PrintTo(const Case& one, std::ostream* out) {
  *out << c10::toString(one.type) << " kv_heads " << one.kv_heads << " prefix " << one.prefix << " suffix "
       << one.suffix << " queries " << one.queries << " window " << one.window << " softcap " << one.softcap;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kBFloat16}) {
    for (const std::int64_t kv_heads : {1, 2, 4}) {
      for (const auto& [prefix, suffix] : {std::pair(0, 5), std::pair(3, 4), std::pair(4, 1)}) {
        for (const std::int64_t queries : {1, suffix}) {
          for (const std::int64_t window : {0, 1, 3}) {
            if (queries == suffix && suffix == 1 && kv_heads == 1) continue;  // the same as the case before it
            for (const double softcap : {0.0, 3.0}) {
              all.push_back({type, kv_heads, prefix, suffix, queries, window, softcap});
            }
          }
        }
      }
    }
  }
  all.push_back({at::kDouble, 2, 100, 200, 200, 0, 0});
  all.push_back({at::kFloat, 2, 100, 200, 200, 150, 0});
  all.push_back({at::kFloat, 2, 100, 200, 1, 150, 3});
  // In blocks: whole ones and not, queries from the middle of one on, windows that begin in one.
  all.push_back({at::kDouble, 1, 0, 257, 257, 0, 0});
  all.push_back({at::kDouble, 4, 65, 256, 100, 0, 3});
  all.push_back({at::kDouble, 2, 0, 320, 320, 70, 3});
  all.push_back({at::kFloat, 1, 0, 300, 1, 0, 0});
  all.push_back({at::kBFloat16, 4, 130, 200, 200, 70, 3});
  return all;
}

class Attentions : public ::testing::TestWithParam<Case> {
 protected:
  static constexpr std::int64_t sequences = 3, pairs = 2;

  Attentions() {
    at::manual_seed(6);
    a.sequences = sequences;
    a.queries = GetParam().queries;
    a.suffix = GetParam().suffix;
    a.prefix_length = GetParam().prefix;
    a.heads = heads;
    a.kv_heads = GetParam().kv_heads;
    a.d_head = d;
    a.window = GetParam().window;
    a.scale = 0.6;
    a.softcap = GetParam().softcap;
    const auto rows = [this](std::int64_t count, std::int64_t of_heads) {
      return Strided(1.5 * at::randn({count, of_heads * d}, at::kDouble), type).rows;
    };
    a.query = rows(sequences * a.queries, heads);
    a.key = rows(sequences * a.suffix, a.kv_heads);
    a.value = rows(sequences * a.suffix, a.kv_heads);
    if (a.prefix_length > 0) {
      a.prefix_key = rows(pairs * a.prefix_length, a.kv_heads);
      a.prefix_value = rows(pairs * a.prefix_length, a.kv_heads);
      a.pair = at::tensor({1, 0, 1}, at::kLong);
    }
    incoming = rows(sequences * a.queries, heads);
    query = a.query.to(at::kDouble).clone().requires_grad_();
    key = a.key.to(at::kDouble).clone().requires_grad_();
    value = a.value.to(at::kDouble).clone().requires_grad_();
  }

  /// The prefix's rows and a sequence's own [sequence, kv_head, pos, d].
  [[nodiscard]] at::Tensor whole(const at::Tensor& own, const at::Tensor& prefix) const {
    at::Tensor all = own.view({sequences, a.suffix, a.kv_heads, d});
    if (a.prefix_length > 0) {
      const at::Tensor given = prefix.to(at::kDouble).reshape({pairs, a.prefix_length, a.kv_heads, d});
      all = at::cat({given.index_select(0, a.pair), all}, 1);
    }
    return all.transpose(1, 2);
  }

  [[nodiscard]] at::Tensor truth_of(AttentionDerivatives derivatives) const {
    const at::Tensor by_head = query.view({sequences, a.queries, heads, d}).transpose(1, 2);
    return truth::attention(by_head, whole(key, a.prefix_key), whole(value, a.prefix_value), a.window,
                            {a.scale, a.softcap, derivatives.softcap}, derivatives.pattern)
        .transpose(1, 2)
        .reshape(query.sizes());
  }

  const at::ScalarType type = GetParam().type;
  Attention a;
  at::Tensor incoming, query, key, value;
};
INSTANTIATE_TEST_SUITE_P(Functions, Attentions, ::testing::ValuesIn(cases()));

TEST_P(Attentions, MixAsTheReferenceDoes) {
  const Strided z(at::zeros_like(query), type);
  attend(a, z.rows);
  expect_close(z.rows, truth_of({}));
  EXPECT_TRUE(z.untouched());
  const at::Tensor other = at::empty(query.sizes(), type);
  generic::attend(a, other);
  expect_close(other, truth_of({}));
}

TEST_P(Attentions, BackwardPassIsAutograds) {
  constexpr Derivative plain = Derivative::plain;
  constexpr Derivative replaced = Derivative::replaced;
  for (const AttentionDerivatives& derivatives :
       std::vector<AttentionDerivatives>{{plain, plain}, {replaced, plain}, {plain, replaced}, {replaced, replaced}}) {
    const auto found =
        grad({truth_of(derivatives)}, {query, key, value}, {incoming.to(at::kDouble)}, std::nullopt, false,
             /*allow_unused=*/true);
    const auto expected = [&](std::size_t i, const at::Tensor& of) {
      return found[i].defined() ? found[i] : at::zeros_like(of).detach();
    };
    const Strided of_query(at::ones_like(query), type), of_key(at::ones_like(key), type),
        of_value(at::ones_like(value), type);
    attend_backward(a, incoming, derivatives, of_query.rows, of_key.rows, of_value.rows);
    expect_close(of_query.rows, expected(0, query));
    expect_close(of_key.rows, expected(1, key));
    expect_close(of_value.rows, expected(2, value));
    EXPECT_TRUE(of_query.untouched() && of_key.untouched() && of_value.untouched());
    const at::Tensor q = at::ones(query.sizes(), type), k = at::ones(key.sizes(), type),
                     v = at::ones(key.sizes(), type);
    generic::attend_backward(a, incoming, derivatives, q, k, v);
    expect_close(q, expected(0, query));
    expect_close(k, expected(1, key));
    expect_close(v, expected(2, value));
  }
}

/// z and the gradients of query, key and value of sequences whose first `prefix` positions are given or computed.
std::vector<at::Tensor> attended(Attention a, std::int64_t prefix, const at::Tensor& rows, const at::Tensor& incoming) {
  const std::int64_t length = rows.size(1);
  const auto part = [&](std::int64_t first, std::int64_t count, std::int64_t from, std::int64_t width) {
    return rows.narrow(1, first, count).narrow(2, from * d, width * d).flatten(0, 1);
  };
  a.suffix = a.queries = length - prefix;
  a.prefix_length = prefix;
  a.query = part(prefix, a.queries, 0, a.heads);
  a.key = part(prefix, a.suffix, a.heads, a.kv_heads);
  a.value = part(prefix, a.suffix, a.heads + a.kv_heads, a.kv_heads);
  if (prefix > 0) {
    a.prefix_key = part(0, prefix, a.heads, a.kv_heads);
    a.prefix_value = part(0, prefix, a.heads + a.kv_heads, a.kv_heads);
    a.pair = at::arange(a.sequences, at::kLong);
  }
  std::vector<at::Tensor> found;
  for (const at::Tensor& like : {a.query, a.query, a.key, a.value}) found.push_back(at::empty_like(like));
  attend(a, found[0]);
  attend_backward(a, incoming.narrow(1, prefix, a.queries).flatten(0, 1), {}, found[1], found[2], found[3]);
  for (at::Tensor& one : found) one = one.unflatten(0, {a.sequences, a.suffix});
  return found;
}

TEST_P(RotationTypes, BitsOfLongAttentionDoNotDependOnHowManyQueriesGoOn) {
  at::manual_seed(9);
  constexpr std::int64_t length = 330;
  const Strided query(at::randn({length, heads * d}, at::kDouble), GetParam());
  const auto random = [](std::int64_t width) { return at::randn({length, width * d}, at::kDouble).to(GetParam()); };
  Attention a;
  a.sequences = 1;
  a.suffix = length;
  a.heads = heads;
  a.kv_heads = 2;
  a.d_head = d;
  a.scale = 0.4;
  a.key = random(2);
  a.value = random(2);
  const auto last = [&](std::int64_t queries) {
    a.queries = queries;
    a.query = query.rows.narrow(0, length - queries, queries);
    at::Tensor z = at::empty({queries, heads * d}, GetParam());
    attend(a, z);
    return z;
  };
  const at::Tensor whole = last(length);
  for (const std::int64_t queries : {1, 10, 64, 74, 200}) {
    expect_same_bits(last(queries), whole.narrow(0, length - queries, queries));
  }
}

TEST_P(RotationTypes, BitsOfAttentionDoNotDependOnHowManyPositionsAreGiven) {
  at::manual_seed(7);
  for (const std::int64_t length : {33, 300}) {
    Attention a;
    a.sequences = 2;
    a.heads = heads;
    a.kv_heads = 2;
    a.d_head = d;
    a.scale = 0.4;
    const at::Tensor rows = at::randn({2, length, (heads + 4) * d}, at::kDouble).to(GetParam());
    const at::Tensor incoming = at::randn({2, length, heads * d}, at::kDouble).to(GetParam());
    for (const std::int64_t window : {0, 20, 270}) {
      a.window = window;
      const std::vector<at::Tensor> whole = attended(a, 0, rows, incoming);
      for (const std::int64_t prefix : {1L, 31L, length / 2, length - 2, length - 1}) {
        SCOPED_TRACE(std::to_string(prefix) + " of " + std::to_string(length) + ", window " + std::to_string(window));
        const std::vector<at::Tensor> some = attended(a, prefix, rows, incoming);
        for (std::size_t i = 0; i < some.size(); ++i) {
          expect_same_bits(some[i], whole[i].narrow(1, prefix, length - prefix));
        }
      }
    }
  }
}

}  // namespace
}  // namespace tributary::testing::functions_attention
