// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/results/hdf5.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary::hdf5 {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Hdf5, FailuresCarryTheErrorStackAndPrintNothing) {
  testing::internal::CaptureStderr();
  std::string message;
  {
    const Library library;
    try {
      const File file(H5Fopen("/nowhere/at/all.h5", H5F_ACC_RDONLY, H5P_DEFAULT), "open the file");
    } catch (const Failure& failure) {
      message = failure.what();
    }
  }
  EXPECT_THAT(message, AllOf(StartsWith("cannot open the file (HDF5: H5Fopen: "), HasSubstr("No such file")));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Hdf5, TheCallersErrorPrinterComesBack) {
  H5E_auto2_t before = nullptr;
  H5E_auto2_t after = nullptr;
  void* data = nullptr;
  H5Eget_auto2(H5E_DEFAULT, &before, &data);
  { const Library library; }
  H5Eget_auto2(H5E_DEFAULT, &after, &data);
  EXPECT_NE(before, nullptr);
  EXPECT_EQ(before, after);
}

TEST(Hdf5, HandlesCloseWhatTheyOwnOnce) {
  const Library library;
  hid_t id = H5I_INVALID_HID;
  {
    Dataspace first = dataspace({2});
    id = first.get();
    const Dataspace second = std::move(first);
    EXPECT_EQ(second.get(), id);
    EXPECT_EQ(H5Iget_ref(id), 1);
  }
  EXPECT_LE(H5Iis_valid(id), 0);
}

TEST(Hdf5, AnIdentifierLeftOpenDoesNotKeepItsFileAlive) {
  const Library library;
  const auto leak = [] {
    const File file = create_in_memory(512);
    return H5Gopen2(file.get(), "/", H5P_DEFAULT);
  };
  EXPECT_GE(leak(), 0);
  EXPECT_NO_THROW(create_in_memory(512));
}

TEST(ChunkShape, CutsLeadingDimensionsIntoEqualPiecesOfAtMostOneMebibyte) {
  EXPECT_THAT(chunk_shape({30, 5, 1536}, 4), ElementsAre(30, 5, 1536));     // 0.9 MB: whole
  EXPECT_THAT(chunk_shape({32, 12, 14336}, 4), ElementsAre(1, 12, 14336));  // a layer is 0.66 MB
  EXPECT_THAT(chunk_shape({100, 12, 1536}, 4), ElementsAre(13, 12, 1536));  // 14 fit; 8 pieces of 13
  EXPECT_THAT(chunk_shape({2, 3, 1000000}, 4), ElementsAre(1, 1, 250000));  // a row is 4 MB: 4 pieces
  EXPECT_THAT(chunk_shape({262145}, 4), ElementsAre(131073));               // one too many: two halves
}

TEST(DatasetCreation, FiltersOnlyLargeArrays) {
  const Library library;
  EXPECT_EQ(H5Pget_nfilters(dataset_creation({128, 128}, 4).get()), 0);  // exactly 64 KiB
  const PropertyList large = dataset_creation({16385}, 4);
  ASSERT_EQ(H5Pget_nfilters(large.get()), 3);
  const auto filter = [&](unsigned i, unsigned* value) {
    unsigned flags = 0;
    std::size_t count = 1;
    return H5Pget_filter2(large.get(), i, &flags, &count, value, 0, nullptr, nullptr);
  };
  unsigned level = 0;
  unsigned ignored = 0;
  EXPECT_EQ(filter(0, &ignored), H5Z_FILTER_SHUFFLE);
  EXPECT_EQ(filter(1, &level), H5Z_FILTER_DEFLATE);
  EXPECT_EQ(filter(2, &ignored), H5Z_FILTER_FLETCHER32);
  EXPECT_EQ(level, 4U);
  EXPECT_EQ(H5Pget_nfilters(dataset_creation({}, 100000).get()), 0);  // scalars cannot be chunked
}

}  // namespace
}  // namespace tributary::hdf5
