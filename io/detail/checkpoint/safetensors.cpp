// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/errors.h"
#include "io/detail/base/json_text.h"

namespace tributary::detail::checkpoint {
namespace {

using nlohmann::json;

constexpr std::size_t length_bytes = 8;
constexpr std::uint64_t longest_header = 100'000'000;  // the limit of the reference implementation

struct DtypeRow {
  std::string_view name;
  std::size_t bytes;
  std::optional<StoredType> stored;  // nothing for integers and booleans, which are never weights
};

constexpr std::array<DtypeRow, 13> dtypes{{
    {"F64", 8, StoredType::float64},
    {"F32", 4, StoredType::float32},
    {"F16", 2, StoredType::float16},
    {"BF16", 2, StoredType::bfloat16},
    {"I64", 8, std::nullopt},
    {"I32", 4, std::nullopt},
    {"I16", 2, std::nullopt},
    {"I8", 1, std::nullopt},
    {"U64", 8, std::nullopt},
    {"U32", 4, std::nullopt},
    {"U16", 2, std::nullopt},
    {"U8", 1, std::nullopt},
    {"BOOL", 1, std::nullopt},
}};

/// A header entry after its own checks; the range is still to be checked against its neighbours.
struct Entry {
  std::string name;
  const DtypeRow* dtype = nullptr;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// Where a complaint about a tensor points: the file and the tensor's name.
struct TensorPlace {
  const std::string& file;
  const std::string& tensor;

  [[noreturn]] void refuse(const std::string& problem) const {
    throw UserError(file,
                    fmt::format("tensor '{}': {}; the file is damaged, fetch or write it again", tensor, problem));
  }
};

std::uint64_t header_length(std::span<const std::byte> bytes, const std::string& file) {
  if (bytes.size() < length_bytes) {
    throw UserError(file, fmt::format("has only {} bytes (a safetensors file begins with 8 bytes that give its "
                                      "header's length); fetch or write it again",
                                      bytes.size()));
  }
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < length_bytes; ++i) {
    length |= static_cast<std::uint64_t>(std::to_integer<unsigned char>(bytes[i])) << (8 * i);
  }
  if (length > longest_header) {
    throw UserError(file, fmt::format("claims a header of {} bytes (more than {}: this is no safetensors file, or it "
                                      "is damaged, or a Git LFS pointer); fetch it again",
                                      length, longest_header));
  }
  if (length > bytes.size() - length_bytes) {
    throw UserError(file, fmt::format("claims a header of {} bytes but has only {} after the length (the download "
                                      "may have been cut short); fetch it again",
                                      length, bytes.size() - length_bytes));
  }
  return length;
}

const json& member(const json& entry, const char* key, const TensorPlace& place) {
  const auto found = entry.find(key);
  if (found == entry.end()) place.refuse(fmt::format("the header gives no \"{}\"", key));
  return *found;
}

const DtypeRow& dtype_of(const json& entry, const TensorPlace& place) {
  const json& name = member(entry, "dtype", place);
  if (!name.is_string()) place.refuse("\"dtype\" is not a string");
  const auto& text = name.get_ref<const std::string&>();
  const auto* const row = std::find_if(dtypes.begin(), dtypes.end(), [&](const DtypeRow& r) { return r.name == text; });
  if (row != dtypes.end()) return *row;
  throw UserError(place.file,
                  fmt::format("tensor '{}' has dtype '{}' (only F64, F32, F16 and BF16 weights can be read); load "
                              "the model with transformers and save it as float32 or bfloat16",
                              place.tensor, text));
}

/// A JSON number as a non-negative integer that fits std::int64_t.
std::optional<std::int64_t> whole_number(const json& value) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > INT64_MAX) return std::nullopt;
  return value.get<std::int64_t>();
}

std::vector<std::int64_t> numbers_of(const json& entry, const char* key, const TensorPlace& place) {
  const json& list = member(entry, key, place);
  if (!list.is_array()) place.refuse(fmt::format("\"{}\" is not a list", key));
  std::vector<std::int64_t> numbers;
  for (const json& value : list) {
    const auto number = whole_number(value);
    if (!number)
      place.refuse(fmt::format("\"{}\" holds {} (not a whole number from 0 to 2^63 - 1)", key, value.dump()));
    numbers.push_back(*number);
  }
  return numbers;
}

/// Bytes of a tensor, or nothing when the product does not fit 64 bits.
std::optional<std::uint64_t> bytes_of(const std::vector<std::int64_t>& shape, std::size_t element) {
  std::uint64_t bytes = element;
  for (const std::int64_t extent : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes)) return std::nullopt;
  }
  return bytes;
}

Entry parse_entry(const std::string& file, const std::string& name, const json& value, std::uint64_t data_bytes) {
  const TensorPlace place{file, name};
  if (!value.is_object()) place.refuse("its header entry is not an object");
  Entry entry{name, &dtype_of(value, place), numbers_of(value, "shape", place), 0, 0};
  const std::vector<std::int64_t> offsets = numbers_of(value, "data_offsets", place);
  if (offsets.size() != 2) place.refuse(fmt::format("\"data_offsets\" holds {} numbers, not 2", offsets.size()));
  entry.begin = static_cast<std::uint64_t>(offsets[0]);
  entry.end = static_cast<std::uint64_t>(offsets[1]);
  if (entry.begin > entry.end) {
    place.refuse(fmt::format("its bytes begin at {} and end before, at {}", entry.begin, entry.end));
  }
  if (entry.end > data_bytes) {
    place.refuse(
        fmt::format("its bytes end at {} but the file has {} bytes of data (the download may have been cut short)",
                    entry.end, data_bytes));
  }
  const auto expected = bytes_of(entry.shape, entry.dtype->bytes);
  const std::string shape = fmt::format("[{}]", fmt::join(entry.shape, ", "));
  if (!expected) place.refuse(fmt::format("the shape {} has more bytes than 64 bits can count", shape));
  if (*expected != entry.end - entry.begin) {
    place.refuse(fmt::format("{} of shape {} needs {} bytes, its range {}..{} has {}", entry.dtype->name, shape,
                             *expected, entry.begin, entry.end, entry.end - entry.begin));
  }
  return entry;
}

/// Free words of whoever wrote the file; the format allows no others.
std::map<std::string, std::string> words_of(const std::string& file, const json& metadata) {
  const bool words = metadata.is_object() &&
                     std::all_of(metadata.begin(), metadata.end(), [](const json& value) { return value.is_string(); });
  if (words) return metadata.get<std::map<std::string, std::string>>();
  throw UserError(file,
                  "\"__metadata__\" in its header is no list of names with strings; the file is damaged, fetch or "
                  "write it again");
}

/// The format allows neither gaps nor overlaps: a byte that no tensor owns could hide anything.
void check_tiling(const std::string& file, std::vector<Entry>& entries, std::uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::uint64_t covered = 0;
  const std::string* before = nullptr;
  for (const Entry& entry : entries) {
    const TensorPlace place{file, entry.name};
    if (entry.begin < covered) {
      place.refuse(fmt::format("its bytes {}..{} overlap those of '{}', which end at {}", entry.begin, entry.end,
                               *before, covered));
    }
    if (entry.begin > covered) {
      place.refuse(fmt::format("bytes {}..{} before it belong to no tensor", covered, entry.begin));
    }
    covered = entry.end;
    before = &entry.name;
  }
  if (covered != data_bytes) {
    throw UserError(file, fmt::format("{} bytes after the last tensor belong to no tensor (data has {} bytes, tensors "
                                      "end at {}); the file is damaged, fetch or write it again",
                                      data_bytes - covered, data_bytes, covered));
  }
}

}  // namespace

SafetensorsContent read_safetensors(std::span<const std::byte> bytes, const std::string& name) {
  const std::uint64_t length = header_length(bytes, name);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + length_bytes, length);
  const JsonSource source{text, name + " (header)"};
  const json header = parse_json(source).root;
  if (!header.is_object())
    throw UserError(source.where(0), "the header is not a JSON object; fetch or write the file again");

  const std::uint64_t data_bytes = bytes.size() - length_bytes - length;
  SafetensorsContent content;
  std::vector<Entry> entries;
  for (const auto& [tensor, value] : header.items()) {
    if (tensor == "__metadata__") {
      content.metadata = words_of(name, value);
    } else {
      entries.push_back(parse_entry(name, tensor, value, data_bytes));
    }
  }
  check_tiling(name, entries, data_bytes);

  const std::byte* const data = bytes.data() + length_bytes + length;
  for (Entry& entry : entries) {
    if (!entry.dtype->stored) {
      content.skipped.insert(entry.name);
      continue;
    }
    StoredTensor tensor{*entry.dtype->stored, std::move(entry.shape), data + entry.begin, entry.end - entry.begin,
                        name};
    content.tensors.emplace(std::move(entry.name), std::move(tensor));
  }
  return content;
}

}  // namespace tributary::detail::checkpoint
