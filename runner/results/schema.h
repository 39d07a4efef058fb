// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What results.h5 holds, as one table. From it come the axes, units and descriptions that the writer gives to a
// dataset, the check of a file that was read, and what `tributary schema results` prints; a test compares
// docs/results.md with it. It speaks of names and types alone and knows nothing of tensors, so that a report can use it
// as well.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/results.h"

namespace tributary {

/// The alternatives of Values, in their order.
enum class ValueType { float32, float64, int64, text };

/// The alternatives of Attribute, in their order.
enum class AttributeType { text, integer, number, integers, numbers, texts };

/// Whether readers can do without something that the program writes.
enum class Need {
  demanded,  //!< a file that lacks it cannot be shown
  optional,  //!< readers show less, or nothing of it at all: facts for people, and what earlier versions did not write
};

/// Version of the table that follows: a file of a later one is not read.
inline constexpr std::int64_t results_schema_version = 1;

/// What `when` says of things that every file holds.
inline constexpr const char* always = "always";

/// A dataset. What has the same `when` is there together: all of it or none of it.
struct DatasetRow {
  std::string path;
  std::vector<std::string> axes;
  std::vector<std::string> other_axes = {};  //!< the axes where `other_axes_when` is true; empty: `axes` hold always
  std::string other_axes_when = {};
  ValueType type = ValueType::float32;
  std::string units = {};  //!< "logits", "fraction", "1" for plain numbers; empty: texts and token ids have none
  std::string long_name;
  std::string when = always;  //!< in plain words, or the key that asks for it
  Need need = Need::demanded;
};

/// An attribute of a group or a dataset. Groups have no others, except /provenance: there it is only what readers need,
/// and further facts come and go.
struct AttributeRow {
  std::string owner;  //!< path of the group or dataset
  std::string name;
  AttributeType type = AttributeType::text;
  std::string meaning;
  std::string when = always;
  Need need = Need::demanded;
};

/// An axis of the datasets of one group: all of them have the same length there.
struct AxisRow {
  std::string group;
  std::string name;
  std::string meaning;
  std::string as_in = {};  //!< a group whose axis of this name is equally long; empty: none
  std::string split = {};  //!< it counts the rows of /pairs that have this split, in their order; empty: something else
  std::int64_t length = 0;  //!< 0: any
};

struct ResultsSchema {
  std::vector<DatasetRow> datasets;
  std::vector<AttributeRow> attributes;
  std::vector<AxisRow> axes;
};

const ResultsSchema& results_schema();

/// The row of a dataset; null: there is none.
const DatasetRow* schema_row(const std::string& path);

/// What contradicts the schema in a file: a type, the axes, a length, a part that is missing. Empty: nothing. What has
/// no row is none of its business, as a later version may have written it.
std::vector<std::string> differences_from_schema(const ResultsFile& file);

/// The datasets and attributes of a file that have no row.
std::vector<std::string> parts_without_row(const ResultsFile& file);

/// Throws UserError about `where` when the file contradicts the schema.
void require_schema(const std::filesystem::path& where, const ResultsFile& file);

/// The table for people, in aligned columns: datasets, attributes, axes.
std::string describe(const ResultsSchema& schema);

/// "float32", "text", …
std::string name_of(ValueType type);
std::string name_of(AttributeType type);

}  // namespace tributary
