// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <thread>

#include "common/errors.h"
#include "tests/io/slurp.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using Integers = std::vector<std::int64_t>;
using Texts = std::vector<std::string>;

constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kPastDouble = (std::int64_t{1} << 53) + 1;  // a double cannot hold it

Dataset numbers(std::string path, Texts axes, Integers shape, Values values) {
  return {std::move(path), std::move(axes), std::move(shape), std::move(values), "some numbers", "1", {}};
}

/// Each kind of content once, in order of path (the order in which a file is read).
ResultsFile sample() {
  const double nan = std::nan("");
  ResultsFile file;
  file.datasets = {
      numbers("/a/counts", {"pair"}, {3}, Integers{kLowest, -1, kPastDouble}),
      numbers("/a/deep/er", {}, {}, std::vector<double>{0.1}),
      numbers("/a/scores", {"layer", "neuron"}, {2, 3}, std::vector<float>{0.1F, -0.0F, 3e38F, 1e-45F, 5.0F, 6.0F}),
      numbers("/b/curve", {"point"}, {2}, std::vector<double>{-0.0, 5e-324}),
      numbers("/b/point", {"point"}, {2}, Integers{10, 1000}),
      numbers("/c/empty", {"pair", "slot"}, {0, 4}, Texts{}),
      numbers("/c/large", {"row", "column"}, {300, 500}, std::vector<float>(150000, 0.25F)),
      numbers("/c/text", {"side", "token"}, {2, 2}, Texts{"fire", "", "日本語", "ß "}),
      numbers("/root", {"x"}, {1}, std::vector<float>{1.0F}),
  };
  file.datasets[2].attributes = {
      {"integer", kPastDouble},       {"number", 0.1},           {"text", std::string("λ")},
      {"blank", std::string()},       {"integers", Integers{1}}, {"numbers", std::vector<double>{nan, 2.0}},
      {"texts", Texts{"", "Müller"}}, {"nothing", Texts{}},      {"no numbers", Integers{}}};
  file.datasets[2].units = "";
  file.group_attributes = {{"/", {{"schema", std::int64_t{1}}}}, {"/a", {{"method", std::string("relp")}}}};
  return file;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  if constexpr (std::is_floating_point_v<T>) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
  } else {
    return a == b;
  }
}

bool same_bits(const std::string& a, const std::string& b) { return a == b; }
bool same_bits(std::int64_t a, std::int64_t b) { return a == b; }
bool same_bits(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }

template <class... Kinds>
bool same(const std::variant<Kinds...>& a, const std::variant<Kinds...>& b) {
  return a.index() == b.index() &&
         std::visit([&](const auto& held) { return same_bits(held, std::get<std::decay_t<decltype(held)>>(b)); }, a);
}

void expect_same(const std::map<std::string, Attribute>& a, const std::map<std::string, Attribute>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, value] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_TRUE(same(value, b.at(name))) << name;
  }
}

void expect_same(const Dataset& a, const Dataset& b) {
  EXPECT_EQ(a.path, b.path);
  EXPECT_EQ(a.axes, b.axes) << a.path;
  EXPECT_EQ(a.shape, b.shape) << a.path;
  EXPECT_TRUE(same(a.values, b.values)) << a.path;
  EXPECT_EQ(a.long_name, b.long_name) << a.path;
  EXPECT_EQ(a.units, b.units) << a.path;
  expect_same(a.attributes, b.attributes);
}

void expect_same(const ResultsFile& a, const ResultsFile& b) {
  ASSERT_EQ(a.datasets.size(), b.datasets.size());
  for (std::size_t i = 0; i < a.datasets.size(); ++i) expect_same(a.datasets[i], b.datasets[i]);
  ASSERT_EQ(a.group_attributes.size(), b.group_attributes.size());
  for (const auto& [group, attributes] : a.group_attributes) {
    ASSERT_TRUE(b.group_attributes.contains(group)) << group;
    expect_same(attributes, b.group_attributes.at(group));
  }
}

class Results : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "tributary-results-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    file_ = folder_ / "results.h5";
  }
  void TearDown() override { fs::remove_all(folder_); }

  ResultsFile write_and_read(const ResultsFile& contents) {
    write_results(file_, contents);
    return read_results(file_);
  }

  fs::path folder_;
  fs::path file_;
};

TEST_F(Results, ReadsBackWhatItWrote) { expect_same(sample(), write_and_read(sample())); }

TEST_F(Results, KeepsNaN) {
  const float nan = std::nanf("");
  ResultsFile contents;
  contents.datasets = {numbers("/x", {"i"}, {2}, std::vector<float>{nan, 1.0F})};
  expect_same(contents, write_and_read(contents));
}

TEST_F(Results, AFileOfNothingIsAFile) { expect_same(ResultsFile{}, write_and_read({})); }

TEST_F(Results, ADatasetAtThePlaceOfAnAxisIsItsScaleAndIsKept) {
  ResultsFile contents;
  contents.datasets = {numbers("/curve", {"point"}, {3}, std::vector<float>{1, 2, 3}),
                       numbers("/point", {"point"}, {3}, Integers{0, 1, 2})};
  const ResultsFile read = write_and_read(contents);
  // It counts 0, 1, 2 like an automatic scale, but somebody described it.
  ASSERT_NE(read.find("/point"), nullptr);
  EXPECT_EQ(read.find("/point")->long_name, "some numbers");
}

TEST_F(Results, AScaleThatCountsOtherwiseThanAnAutomaticOneIsKept) {
  ResultsFile contents;
  contents.datasets = {
      numbers("/curve", {"point"}, {3}, std::vector<float>{1, 2, 3}),
      {"/point", {"point"}, {3}, Integers{1, 2, 3}, "index along point, counted from 0", "1", {}},
  };
  expect_same(contents, write_and_read(contents));
}

TEST_F(Results, TextsMayScaleAnAxis) {
  ResultsFile contents;
  contents.datasets = {numbers("/g/method", {"method"}, {2}, Texts{"atp", "relp"}),
                       numbers("/g/value", {"method"}, {2}, std::vector<float>{1, 2})};
  expect_same(contents, write_and_read(contents));
}

TEST_F(Results, OneAxisNameMayStandForTwoDimensions) {
  ResultsFile contents;
  contents.datasets = {numbers("/agreement", {"method", "method"}, {2, 2}, std::vector<float>{1, 2, 3, 4})};
  expect_same(contents, write_and_read(contents));
}

TEST_F(Results, AxesOfOneNameInTwoGroupsAreTwoAxes) {
  ResultsFile contents;
  contents.datasets = {numbers("/a/x", {"pair"}, {1}, std::vector<float>{1}),
                       numbers("/b/x", {"pair"}, {2}, std::vector<float>{1, 2})};
  expect_same(contents, write_and_read(contents));
}

TEST_F(Results, FindTellsAbsence) {
  const ResultsFile contents = sample();
  EXPECT_EQ(contents.find("/a/scores"), &contents.datasets[2]);
  EXPECT_EQ(contents.find("/a"), nullptr);
  EXPECT_EQ(contents.find("a/scores"), nullptr);
}

TEST_F(Results, EqualContentsGiveEqualBytesAtAnyTimeUnderAnyName) {
  write_results(file_, sample());
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 would note times in seconds
  write_results(folder_ / "another name", sample());
  EXPECT_EQ(slurp(file_), slurp(folder_ / "another name"));
}

TEST_F(Results, ThreadsMayWriteAndReadAtOnce) {
  write_results(file_, sample());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      const fs::path own = folder_ / std::to_string(t);
      for (int i = 0; i < 3; ++i) write_results(own, read_results(file_));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < 4; ++t) expect_same(sample(), read_results(folder_ / std::to_string(t)));
}

TEST_F(Results, NothingIsLeftBehindWhereTheFolderIsMissing) {
  EXPECT_THROW(write_results(folder_ / "missing" / "results.h5", sample()), UserError);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Results, RefusedContentsLeaveTheOldFile) {
  write_results(file_, sample());
  ResultsFile wrong = sample();
  wrong.datasets[0].shape = {4};
  EXPECT_THROW(write_results(file_, wrong), ContractViolation);
  expect_same(sample(), read_results(file_));
}

struct Break {
  const char* name;
  const char* message;
  std::function<void(ResultsFile&)> apply;
};

class BrokenContents : public testing::TestWithParam<Break> {};

TEST_P(BrokenContents, AreRefused) {
  ResultsFile contents = sample();
  GetParam().apply(contents);
  try {
    write_results("/nowhere/results.h5", contents);
    FAIL() << "accepted";
  } catch (const ContractViolation& violation) {
    EXPECT_THAT(violation.what(), HasSubstr(GetParam().message));
  } catch (const UserError& error) {
    FAIL() << "accepted, then: " << error.what();
  }
}

Attribute many_numbers(std::size_t count) { return std::vector<double>(count, 1.0); }

INSTANTIATE_TEST_SUITE_P(
    Results, BrokenContents,
    testing::Values(
        Break{"Size", "another number of values", [](ResultsFile& f) { f.datasets[0].shape = {4}; }},
        Break{"NegativeLength", "another number of values", [](ResultsFile& f) { f.datasets[0].shape = {-3}; }},
        Break{"ProductOverflows", "another number of values",
              [](ResultsFile& f) {
                f.datasets[2].shape = {std::int64_t{1} << 62, 4};
              }},
        Break{"Rank", "one axis name a dimension",
              [](ResultsFile& f) {
                f.datasets[0].axes = {"a", "b"};
              }},
        Break{"NoLongName", "needs a long_name", [](ResultsFile& f) { f.datasets[0].long_name = ""; }},
        Break{"RelativePath", "no path of a dataset", [](ResultsFile& f) { f.datasets[0].path = "a/counts"; }},
        Break{"DoubleSlash", "no path of a dataset", [](ResultsFile& f) { f.datasets[0].path = "/a//counts"; }},
        Break{"TrailingSlash", "no path of a dataset", [](ResultsFile& f) { f.datasets[0].path = "/a/counts/"; }},
        Break{"Dots", "no path of a dataset", [](ResultsFile& f) { f.datasets[0].path = "/a/../counts"; }},
        Break{"Root", "no path of a dataset", [](ResultsFile& f) { f.datasets[0].path = "/"; }},
        Break{"Twice", "is there twice", [](ResultsFile& f) { f.datasets.push_back(f.datasets[0]); }},
        Break{"DatasetAndGroup", "a dataset and a group",
              [](ResultsFile& f) { f.datasets.push_back(numbers("/root/x", {}, {}, std::vector<float>{1})); }},
        Break{"AxisLengths", "axis /a/layer has length 2",
              [](ResultsFile& f) {
                f.datasets.push_back(numbers("/a/other", {"layer"}, {3}, Integers{1, 2, 3}));
              }},
        Break{"AxisName", "an axis has no fit name", [](ResultsFile& f) { f.datasets[0].axes = {"pa/ir"}; }},
        Break{"ScaleOfAnotherAxis", "is the scale of an axis", [](ResultsFile& f) { f.datasets[4].axes = {"other"}; }},
        Break{"ScaleOfTwoAxes", "is the scale of an axis",
              [](ResultsFile& f) {
                f.datasets[4] = numbers("/b/point", {"point", "x"}, {2, 1}, Integers{1, 2});
              }},
        Break{"ScaleIsAGroup", "a group and the scale",
              [](ResultsFile& f) { f.datasets.push_back(numbers("/a/pair/x", {}, {}, Integers{1})); }},
        Break{"NulInText", "a text in it",
              [](ResultsFile& f) { std::get<Texts>(f.datasets[7].values)[0] = std::string("a\0b", 3); }},
        Break{"TextNotUtf8", "a text in it", [](ResultsFile& f) { std::get<Texts>(f.datasets[7].values)[0] = "\xff"; }},
        Break{"NulInAttribute", "is not UTF-8 or holds NUL",
              [](ResultsFile& f) { f.datasets[0].attributes["t"] = std::string(1, '\0'); }},
        Break{"NulInUnits", "long_name or units", [](ResultsFile& f) { f.datasets[0].units = std::string(1, '\0'); }},
        Break{"ReservedAttribute", "keeps this name",
              [](ResultsFile& f) { f.datasets[0].attributes["DIMENSION_LIST"] = 1.0; }},
        Break{"ReservedGroupAttribute", "keeps this name",
              [](ResultsFile& f) { f.group_attributes["/a"]["units"] = 1.0; }},
        Break{"AttributeTooLong", "make it a dataset",
              [](ResultsFile& f) { f.datasets[0].attributes["long"] = many_numbers(7501); }},
        Break{"GroupPath", "no path of a group", [](ResultsFile& f) { f.group_attributes["a"]["x"] = 1.0; }}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_F(Results, TheLongestAttributesFit) {
  ResultsFile contents = sample();
  contents.datasets[0].attributes["numbers"] = many_numbers(7500);
  contents.datasets[0].attributes["texts"] = Texts(3750, std::string(100, 't'));
  contents.datasets[0].attributes["text"] = std::string(1000000, 't');
  expect_same(contents, write_and_read(contents));
}

}  // namespace
}  // namespace tributary
