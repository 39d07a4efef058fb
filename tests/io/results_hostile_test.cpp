// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Files that are not what the reader expects: damaged, foreign, or sealed by us around foreign contents.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5_hl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <functional>

#include "common/errors.h"
#include "io/detail/results/hdf5.h"
#include "io/detail/results/hdf5_attributes.h"
#include "io/detail/results/results_seal.h"
#include "io/results.h"
#include "tests/io/slurp.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using testing::AnyOf;
using testing::HasSubstr;

ResultsFile small() {
  ResultsFile file;
  file.datasets = {{"/a/x", {"i"}, {2}, std::vector<float>{1, 2}, "x", "1", {{"k", std::string("v")}}}};
  return file;
}

class HostileFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "tributary-hostile-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path put(const std::string& bytes) {
    fs::path path = folder_ / "results.h5";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  std::string bytes_of_small() {
    write_results(folder_ / "small.h5", small());
    return slurp(folder_ / "small.h5");
  }

  /// What the reader says of `path`; a test failure when it says nothing.
  static std::string refusal(const fs::path& path) {
    try {
      read_results(path);
      ADD_FAILURE() << "accepted";
      return "";
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr(path.string() + ": "));
      return error.what();
    }
  }

  /// A file of HDF5's making and with our seal, but with contents of `fill`'s.
  std::string sealed(const std::function<void(hid_t)>& fill) {
    const hdf5::Library library;
    const hdf5::File file = hdf5::create_in_memory(detail::kSealBytes);
    fill(file.get());
    std::string image = hdf5::image_of(file, detail::kSealBytes);
    detail::seal(image);
    return image;
  }

  fs::path folder_;
};

TEST_F(HostileFile, NoFileAtAll) {
  refusal(folder_ / "missing.h5");
  EXPECT_THAT(refusal(folder_), HasSubstr("folder"));
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  refusal(folder_ / "pipe");  // must not wait for a writer
}

TEST_F(HostileFile, OtherKindsOfFile) {
  for (const std::string& bytes : {std::string(), std::string("schema: 1\n"), std::string("\x89HDF\r\n\x1a\n", 8),
                                   std::string(5000, '\0'), bytes_of_small().substr(512)}) {
    EXPECT_THAT(refusal(put(bytes)), HasSubstr("not a results file"));
  }
}

TEST_F(HostileFile, EveryTruncationBreaksTheSeal) {
  const std::string whole = bytes_of_small();
  const auto broken = AnyOf(HasSubstr("its bytes do not match their hash"), HasSubstr("it does not begin as one"));
  for (std::size_t size = 0; size < whole.size(); size += 37) EXPECT_THAT(refusal(put(whole.substr(0, size))), broken);
  EXPECT_THAT(refusal(put(whole.substr(0, whole.size() - 1))), broken);
  EXPECT_THAT(refusal(put(whole + " ")), broken);
}

TEST_F(HostileFile, EveryChangedByteBreaksTheSeal) {
  const std::string whole = bytes_of_small();
  const auto broken = AnyOf(HasSubstr("its bytes do not match their hash"), HasSubstr("it does not begin as one"));
  const auto change = [&](std::size_t at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_THAT(refusal(put(changed)), broken) << "byte " << at;
  };
  for (std::size_t at = 0; at < whole.size(); at += at < 600 ? 1 : 101) change(at);
  change(whole.size() - 1);
}

TEST_F(HostileFile, ASealAroundNoHdf5) {
  std::string file(detail::kSealBytes + 1000, 'x');
  detail::seal(file);
  EXPECT_THAT(refusal(put(file)), HasSubstr("cannot open it as an HDF5 file"));
}

TEST_F(HostileFile, ASealMadeHereIsNoReasonToRefuse) {
  const std::string bytes = sealed([](hid_t file) {
    const double half = 0.5;
    H5LTset_attribute_double(file, "/", "half", &half, 1);
  });
  const ResultsFile contents = read_results(put(bytes));
  EXPECT_EQ(contents.group_attributes.at("/").at("half"), Attribute(std::vector<double>{0.5}));
}

void make(hid_t file, hid_t type, const std::vector<hsize_t>& shape, hid_t creation = H5P_DEFAULT) {
  const hdf5::Dataspace space = hdf5::dataspace(shape);
  const hdf5::DatasetHandle dataset(H5Dcreate2(file, "x", type, space.get(), H5P_DEFAULT, creation, H5P_DEFAULT), "x");
  H5LTset_attribute_string(file, "x", "NAME", "x");
}

TEST_F(HostileFile, ForeignTypes) {
  for (const hid_t type : {H5T_STD_I16LE, H5T_STD_I64BE, H5T_STD_U64LE, H5T_IEEE_F64BE, H5T_C_S1, H5T_STD_REF_OBJ}) {
    EXPECT_THAT(refusal(put(sealed([&](hid_t file) { make(file, type, {2}); }))), HasSubstr("of a type"));
  }
  const std::string bytes = sealed([](hid_t file) { make(file, hdf5::variable_string().get(), {2}); });
  EXPECT_THAT(refusal(put(bytes)), HasSubstr("of a type"));
}

TEST_F(HostileFile, NoNames) {
  EXPECT_THAT(refusal(put(sealed([](hid_t file) { make(file, H5T_IEEE_F32LE, {2}); }))), HasSubstr("DIMENSION_LABELS"));
  EXPECT_THAT(refusal(put(sealed([](hid_t file) { make(file, H5T_IEEE_F32LE, {}); }))), HasSubstr("long_name"));
}

TEST_F(HostileFile, AxesOfAnotherNumber) {
  const std::string bytes = sealed([](hid_t file) {
    make(file, H5T_IEEE_F32LE, {2, 2});
    const hdf5::DatasetHandle dataset(H5Dopen2(file, "x", H5P_DEFAULT), "x");
    const hdf5::Dataspace space = hdf5::dataspace({1});
    const hdf5::Datatype type = hdf5::variable_string();
    const hdf5::AttributeHandle labels(
        H5Acreate2(dataset.get(), "DIMENSION_LABELS", type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), "labels");
  });
  EXPECT_THAT(refusal(put(bytes)), HasSubstr("axes without a name"));
}

TEST_F(HostileFile, AShapeThatTheFileCannotHold) {
  const hsize_t huge = hsize_t{1} << 40;
  const std::string bytes = sealed([&](hid_t file) {
    const hdf5::PropertyList creation(H5Pcreate(H5P_DATASET_CREATE), "list");
    const hsize_t chunk = 1024;
    H5Pset_chunk(creation.get(), 1, &chunk);
    make(file, H5T_IEEE_F32LE, {huge}, creation.get());
  });
  EXPECT_THAT(refusal(put(bytes)), HasSubstr("more values than the file can hold"));
}

TEST_F(HostileFile, StorageElsewhere) {
  const fs::path secret = folder_ / "secret";
  std::ofstream(secret) << "secrets!";
  const std::string bytes = sealed([&](hid_t file) {
    const hdf5::PropertyList creation(H5Pcreate(H5P_DATASET_CREATE), "list");
    H5Pset_external(creation.get(), secret.c_str(), 0, 8);
    make(file, H5T_IEEE_F32LE, {2}, creation.get());
  });
  EXPECT_THAT(refusal(put(bytes)), HasSubstr("stored in a way"));
}

TEST_F(HostileFile, AViewOfAnotherFile) {
  const std::string bytes = sealed([](hid_t file) {
    const hdf5::PropertyList creation(H5Pcreate(H5P_DATASET_CREATE), "list");
    const hdf5::Dataspace space = hdf5::dataspace({2});
    H5Pset_virtual(creation.get(), space.get(), "/etc/hosts", "x", space.get());
    make(file, H5T_IEEE_F32LE, {2}, creation.get());
  });
  EXPECT_THAT(refusal(put(bytes)), HasSubstr("stored in a way"));
}

TEST_F(HostileFile, AFilterThatMayBeAPlugin) {
  const std::string bytes = sealed([](hid_t file) {
    const hdf5::PropertyList creation(H5Pcreate(H5P_DATASET_CREATE), "list");
    const hsize_t chunk = 2;
    H5Pset_chunk(creation.get(), 1, &chunk);
    H5Pset_nbit(creation.get());  // HDF5 brings it along, but we never ask for it
    make(file, H5T_IEEE_F32LE, {2}, creation.get());
  });
  EXPECT_THAT(refusal(put(bytes)), HasSubstr("stored in a way"));
}

TEST_F(HostileFile, NoShape) {
  const std::string bytes = sealed([](hid_t file) {
    const hdf5::Dataspace none(H5Screate(H5S_NULL), "space");
    const hdf5::DatasetHandle dataset(
        H5Dcreate2(file, "x", H5T_IEEE_F32LE, none.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), "x");
  });
  EXPECT_THAT(refusal(put(bytes)), HasSubstr("it has no shape"));
}

TEST_F(HostileFile, LinksToOtherFilesAreNotFollowed) {
  const std::string bytes = sealed([](hid_t file) {
    H5Lcreate_external("/etc/hosts", "/", file, "outside", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/outside", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(file, "/", file, "loop", H5P_DEFAULT, H5P_DEFAULT);
  });
  EXPECT_TRUE(read_results(put(bytes)).datasets.empty());
}

TEST_F(HostileFile, ForeignAttributes) {
  const std::string bytes = sealed([](hid_t file) {
    const float value = 1;
    H5LTset_attribute_float(file, "/", "single", &value, 1);
  });
  EXPECT_THAT(refusal(put(bytes)), HasSubstr("neither text nor 64-bit numbers"));
}

TEST_F(HostileFile, AttributesThatAreNoShortList) {
  for (const std::vector<hsize_t>& shape : {std::vector<hsize_t>{2, 2}, std::vector<hsize_t>{8000}}) {
    const std::string bytes = sealed([&](hid_t file) {
      const hdf5::Dataspace space = hdf5::dataspace(shape);
      const hdf5::Group root(H5Gopen2(file, "/", H5P_DEFAULT), "root");
      const hdf5::AttributeHandle list(
          H5Acreate2(root.get(), "list", H5T_STD_I64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT), "list");
    });
    EXPECT_THAT(refusal(put(bytes)), HasSubstr("not a single value or a short list"));
  }
}

/// A dataset [length] of float32 as write_results describes it, but for its scale.
void describe(hid_t file, const std::string& path, hsize_t length, const std::string& axis) {
  const hdf5::Dataspace space = hdf5::dataspace({length});
  const hdf5::DatasetHandle dataset(
      H5Dcreate2(file, path.c_str(), H5T_IEEE_F32LE, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), path);
  H5DSset_label(dataset.get(), 0, axis.c_str());
  hdf5::write_attribute(dataset.get(), "long_name", std::string("a dataset"));
}

TEST_F(HostileFile, AxesOfOneNameThatDifferInLength) {
  const auto file_of = [&](hsize_t second) {
    return put(sealed([&](hid_t file) {
      describe(file, "first", 2, "pair");
      describe(file, "second", second, "pair");
    }));
  };
  EXPECT_EQ(read_results(file_of(2)).datasets.size(), 2U);
  EXPECT_THAT(refusal(file_of(3)), HasSubstr("not a results file as this program writes them: axis /pair has length"));
}

TEST_F(HostileFile, AScaleOfAnotherLengthThanItsAxis) {
  const std::string bytes = sealed([](hid_t file) {
    describe(file, "values", 2, "pair");
    describe(file, "pair", 2, "other");
  });
  EXPECT_THAT(refusal(put(bytes)), HasSubstr("/pair is the scale of an axis"));
}

}  // namespace
}  // namespace tributary
