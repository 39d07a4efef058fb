// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Files of a checkpoint that somebody changes while they are mapped.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "io/checkpoint.h"
#include "io/mapped_files.h"
#include "tests/io/checkpoint_fixture.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class ChangedCheckpoint : public CheckpointFolder {
 protected:
  void SetUp() override {
    CheckpointFolder::SetUp();
    write_model(header_, "abcd");
    file_ = folder_ / "model.safetensors";
    ASSERT_EQ(::stat(file_.c_str(), &before_), 0);
  }

  /// Other bytes in the file that is there.
  void write_in_place(const std::string& data) const {
    std::fstream out(file_, std::ios::in | std::ios::out | std::ios::binary);
    const std::string bytes = safetensors(header_, data);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  /// The times that the file had at first: only the time of any change tells then.
  void set_times_back() const {
    const std::array<timespec, 2> times{before_.st_atim, before_.st_mtim};
    ASSERT_EQ(::utimensat(AT_FDCWD, file_.c_str(), times.data(), 0), 0);
  }

  /// Away from the time at which the file was made, as clocks of files have steps.
  void age() {
    const std::array<timespec, 2> times{{{1'700'000'000, 5}, {1'700'000'000, 5}}};
    ASSERT_EQ(::utimensat(AT_FDCWD, file_.c_str(), times.data(), 0), 0);
    ASSERT_EQ(::stat(file_.c_str(), &before_), 0);
  }

  static std::string change_of(const Checkpoint& checkpoint) {
    try {
      checkpoint.require_unchanged();
    } catch (const CheckpointChanged& changed) {
      return changed.what();
    }
    return "";
  }

  const std::string header_ = R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  fs::path file_;
  struct stat before_ {};
};

TEST_F(ChangedCheckpoint, OtherBytesInPlaceAreFound) {
  age();
  const Checkpoint checkpoint = Checkpoint::open(folder_);
  EXPECT_EQ(change_of(checkpoint), "");
  write_in_place("wxyz");
  EXPECT_THAT(change_of(checkpoint),
              AllOf(HasSubstr(file_.string() + ": was written to"), HasSubstr("Put the file back as it was")));
}

/// A page that was written to already is written to again: no time of the file moves.
TEST_F(ChangedCheckpoint, WritersThroughAMappingAreFoundByTheContents) {
  const int descriptor = ::open(file_.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  const auto size = static_cast<std::size_t>(before_.st_size);
  void* const mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  auto* const last = static_cast<volatile char*>(mapped) + size - 1;
  *last = 'd';
  const Checkpoint checkpoint = Checkpoint::open(folder_);
  (void)checkpoint.hash();
  EXPECT_NO_THROW(checkpoint.require_same_contents());
  *last = 'z';
  EXPECT_THROW(checkpoint.require_same_contents(), CheckpointChanged);
  ::munmap(mapped, size);
  ::close(descriptor);
}

TEST_F(ChangedCheckpoint, ACutOrGrownFileIsFoundWithItsSizes) {
  age();
  const Checkpoint checkpoint = Checkpoint::open(folder_);
  const auto size = fs::file_size(file_);
  fs::resize_file(file_, size - 2);
  set_times_back();
  EXPECT_THAT(change_of(checkpoint),
              HasSubstr("has " + std::to_string(size - 2) + " bytes, not " + std::to_string(size)));
  fs::resize_file(file_, size + 1);
  EXPECT_THAT(change_of(checkpoint), HasSubstr("bytes, not "));
}

TEST_F(ChangedCheckpoint, OtherBytesAreFoundBehindTheOldTimeOfModification) {
  age();
  const Checkpoint checkpoint = Checkpoint::open(folder_);
  (void)checkpoint.hash();
  write_in_place("wxyz");
  set_times_back();
  EXPECT_THAT(change_of(checkpoint), HasSubstr("was written to"));
}

TEST_F(ChangedCheckpoint, AnotherFileUnderTheNameAndOtherPermissionsChangeNothing) {
  age();
  const Checkpoint checkpoint = Checkpoint::open(folder_);
  fs::rename(write("new.safetensors", safetensors(header_, "wxyz")), file_);
  EXPECT_EQ(change_of(checkpoint), "") << "before the contents are known, too";
  EXPECT_EQ(std::memcmp(checkpoint.tensors().at("t").data, "abcd", 4), 0);

  const Checkpoint other = Checkpoint::open(folder_);
  const std::string& hash = other.hash();
  EXPECT_NE(hash, checkpoint.hash());
  fs::permissions(file_, fs::perms::owner_read);
  fs::create_hard_link(file_, folder_ / "link");
  EXPECT_EQ(change_of(other), "");
  EXPECT_EQ(other.hash(), hash);
}

TEST_F(ChangedCheckpoint, AMappedAddressKnowsItsFile) {
  const void* inside = nullptr;
  {
    const Checkpoint checkpoint = Checkpoint::open(folder_);
    const Checkpoint copy = checkpoint;
    inside = copy.tensors().at("t").data;
    ASSERT_NE(file_mapped_at(inside), nullptr);
    EXPECT_EQ(file_mapped_at(inside), file_.string());
    EXPECT_EQ(file_mapped_at(&checkpoint), nullptr);
  }
  EXPECT_EQ(file_mapped_at(inside), nullptr) << "closed";
}

TEST_F(ChangedCheckpoint, PipesAsFilesOfAModelAreRefusedAtOnce) {
  for (const char* const name : {"model.safetensors", "config.json"}) {
    const fs::path path = folder_ / name;
    fs::remove(path);
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_THAT(refusal(), HasSubstr(path.string() + ": this is a pipe"));
  }
}

}  // namespace
}  // namespace tributary
