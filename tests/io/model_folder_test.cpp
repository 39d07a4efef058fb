// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What people give for a model's folder: names of the Hugging Face Hub, roots of its cache, caches half cleared.
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "io/checkpoint.h"
#include "tests/io/temporary_folder.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A Hub cache with the repository acme/tiny, of whose two snapshots `main` is the second.
class ModelFolderTest : public TemporaryFolder {
 protected:
  void SetUp() override {
    TemporaryFolder::SetUp();
    cache_ = folder_ / "home" / "hub";
    root_ = cache_ / "models--acme--tiny";
    for (const char* const hash : {"0a", "1b"}) {
      fs::create_directories(root_ / "snapshots" / hash);
      write("home/hub/models--acme--tiny/snapshots/" + std::string(hash) + "/config.json", "{}");
    }
    fs::create_directories(root_ / "refs");
    setenv("HF_HOME", (folder_ / "home").c_str(), 1);
    unsetenv("HF_HUB_CACHE");
  }
  void TearDown() override {
    unsetenv("HF_HOME");
    TemporaryFolder::TearDown();
  }
  static std::string refusal_of(const fs::path& folder) {
    return message_of([&] { read_model_config(folder); });
  }

  fs::path cache_, root_;
};

TEST_F(ModelFolderTest, ANameOfTheHubIsFoundInTheCache) {
  write("home/hub/models--acme--tiny/refs/main", "1b\n");
  EXPECT_THAT(refusal_of(folder_ / "acme" / "tiny"),
              AllOf(HasSubstr("the local cache of the Hugging Face Hub has acme/tiny: give " +
                              (root_ / "snapshots" / "1b").string()),
                    Not(HasSubstr("0a"))));
  fs::rename(root_, cache_ / "models--tiny");
  EXPECT_THAT(refusal_of(folder_ / "tiny"), HasSubstr("has tiny: give "));
}

TEST_F(ModelFolderTest, ANameThatTheCacheDoesNotHaveIsToldToBeOne) {
  EXPECT_THAT(
      refusal_of(folder_ / "acme" / "other"),
      AllOf(HasSubstr("no such folder"), HasSubstr("a name of the Hugging Face Hub, such as acme/other, is no folder"),
            HasSubstr("downloads nothing")));
  // In a folder that is there, a missing one is a slip.
  EXPECT_THAT(refusal_of(folder_ / "other"), Not(HasSubstr("downloads nothing")));
}

TEST_F(ModelFolderTest, ARootOfTheCacheNamesItsSnapshot) {
  const std::string both = refusal_of(root_);
  EXPECT_THAT(both,
              AllOf(HasSubstr("keeps acme/tiny, not a checkpoint"), HasSubstr((root_ / "snapshots" / "0a").string()),
                    HasSubstr(" or " + (root_ / "snapshots" / "1b").string())));
  write("home/hub/models--acme--tiny/refs/main", "1b");
  EXPECT_THAT(refusal_of(root_.string() + "/"), AllOf(HasSubstr("snapshots/1b"), Not(HasSubstr("snapshots/0a"))));
  EXPECT_THAT(refusal_of(root_ / "snapshots"), HasSubstr("give " + (root_ / "snapshots" / "1b").string()));
  fs::remove_all(root_ / "snapshots" / "0a");
  fs::remove_all(root_ / "snapshots" / "1b");
  EXPECT_THAT(refusal_of(root_), HasSubstr("no snapshot in it holds a config.json"));
}

TEST_F(ModelFolderTest, LinksThatLeadNowhereAreNamed) {
  const fs::path snapshot = root_ / "snapshots" / "0a";
  for (const char* const name : {"model.safetensors", "model.safetensors.index.json"}) {
    fs::create_symlink("../../blobs/77", snapshot / name);
    EXPECT_THAT(message_of([&] { Checkpoint::open(snapshot); }),
                AllOf(HasSubstr(name), HasSubstr("it is a link to ../../blobs/77, which is missing"),
                      Not(HasSubstr("rename"))));
    fs::remove(snapshot / name);
  }
  write("home/hub/models--acme--tiny/snapshots/0a/model.safetensors.index.json",
        R"({"weight_map": {"t": "model-1.safetensors"}})");
  fs::create_symlink("../../blobs/78", snapshot / "model-1.safetensors");
  EXPECT_THAT(message_of([&] { Checkpoint::open(snapshot); }),
              AllOf(HasSubstr("model-1.safetensors"), HasSubstr("link to ../../blobs/78")));
  fs::remove(snapshot / "config.json");
  fs::create_symlink("../../blobs/79", snapshot / "config.json");
  EXPECT_THAT(refusal_of(snapshot), HasSubstr("link to ../../blobs/79"));
  fs::create_symlink("elsewhere", folder_ / "model");
  EXPECT_THAT(refusal_of(folder_ / "model"), HasSubstr("link to elsewhere"));
}

}  // namespace
}  // namespace tributary
