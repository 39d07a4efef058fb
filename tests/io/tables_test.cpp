// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/errors.h"

namespace tributary {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Type = Column::Type;

Table example() {
  Table table{"example",
              "An example.",
              {{"word", Type::text, "", "a word"},
               {"count", Type::integer, "1", "how many"},
               {"value", Type::number, "logits", "how much"}},
              {}};
  table.add({std::string("plain"), std::int64_t{1}, 0.1});
  table.add({std::string("a,\"b\"\n<c>"), std::int64_t{-7}, 0.1F});
  table.add({Cell(), Cell(), std::nan("")});
  return table;
}

Document document() { return {Document::Kind::sweep, "<t> & co", "tributary 1", "now", {"a < b"}, {example()}}; }

TEST(Tables, AsCsvQuoteWhatNeedsIt) {
  EXPECT_EQ(csv_of(example()),
            "word,count,value\n"
            "plain,1,0.1\n"
            "\"a,\"\"b\"\"\n<c>\",-7,0.1\n"
            ",,\n");
}

TEST(Tables, AsJsonHoldTheSameColumnByColumn) {
  const nlohmann::json json = nlohmann::json::parse(json_of(document()));
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["kind"], "sweep");
  EXPECT_EQ(json["title"], "<t> & co");
  EXPECT_EQ(json["notes"][0], "a < b");
  const nlohmann::json& columns = json["tables"][0]["columns"];
  EXPECT_EQ(columns[0]["values"][1], "a,\"b\"\n<c>");
  EXPECT_EQ(columns[1]["values"][1], -7);
  EXPECT_EQ(columns[1]["type"], "integer");
  EXPECT_EQ(columns[2]["unit"], "logits");
  EXPECT_EQ(columns[2]["meaning"], "how much");
  for (const nlohmann::json& column : columns) EXPECT_TRUE(column["values"][2].is_null());
}

TEST(Tables, NumbersKeepEveryBit) {
  const double third = 1.0 / 3;
  const float seventh = 1.0F / 7;
  const double tiny = std::numeric_limits<double>::denorm_min();
  Table table{"t", "", {{"x", Type::number, "", ""}}, {}};
  for (const Cell& cell : {Cell(third), Cell(seventh), Cell(tiny), Cell(1e300), Cell(-0.0)}) table.add({cell});
  Document all;
  all.tables.push_back(table);
  const nlohmann::json parsed = nlohmann::json::parse(json_of(all));
  const nlohmann::json& values = parsed["tables"][0]["columns"][0]["values"];
  EXPECT_EQ(values[0].get<double>(), third);
  EXPECT_EQ(static_cast<float>(values[1].get<double>()), seventh);
  EXPECT_EQ(values[2].get<double>(), tiny);
  EXPECT_EQ(values[3].get<double>(), 1e300);
  EXPECT_THAT(csv_of(table), HasSubstr("0.14285715\n")) << "a float has a float's digits";
}

TEST(Tables, InfinitiesAreMissing) {
  Table table{"t", "", {{"x", Type::number, "", ""}}, {}};
  table.add({std::numeric_limits<double>::infinity()});
  EXPECT_EQ(csv_of(table), "x\n\n");
}

TEST(Tables, RefuseCellsThatDoNotFit) {
  Table table = example();
  EXPECT_THROW(table.add({std::string("too few")}), ContractViolation);
  EXPECT_THROW(table.add({std::int64_t{1}, std::int64_t{1}, 1.0}), ContractViolation);
}

TEST(Page, HoldsEverythingAndEscapesWhatIsNotItsOwn) {
  const std::string page = page_of(document());
  EXPECT_THAT(page, HasSubstr("<title>&lt;t&gt; &amp; co</title>"));
  EXPECT_THAT(page, HasSubstr("a,\\\"b\\\"\\n\\u003cc>"));
  for (const std::string marker : {"{{title}}", "{{style}}", "{{plotly}}", "{{data}}", "{{script}}"}) {
    EXPECT_THAT(page, Not(HasSubstr(marker)));
  }
  EXPECT_GT(page.size(), 3000000U) << "with the chart script inside";
}

}  // namespace
}  // namespace tributary
