// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What people give for a model: folders, names of the Hugging Face Hub, roots of its cache, caches half cleared.
#include <chrono>
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
    for (const char* const name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"}) unsetenv(name);
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

TEST_F(ModelFolderTest, ANameOfTheHubIsTheSnapshotOfItsMainBranch) {
  write("home/hub/models--acme--tiny/refs/main", "1b\n");
  const ModelPlace expected{root_ / "snapshots" / "1b", "acme/tiny", "1b"};
  EXPECT_EQ(find_model("acme/tiny", ""), expected);
  EXPECT_EQ(find_model(root_, ""), expected);
  EXPECT_EQ(find_model(root_.string() + "/", ""), expected);
  EXPECT_EQ(find_model(root_ / "snapshots", ""), expected);
  EXPECT_EQ(find_model(root_ / "snapshots" / "1b", ""), expected);
  EXPECT_EQ(text_of(expected), (root_ / "snapshots" / "1b").string() + " (acme/tiny, commit 1b)");
  fs::rename(root_, cache_ / "models--tiny");
  EXPECT_EQ(find_model("tiny", ""), (ModelPlace{cache_ / "models--tiny" / "snapshots" / "1b", "tiny", "1b"}));
}

TEST_F(ModelFolderTest, WhereTheMainBranchIsNotKnownItIsTheNewestSnapshot) {
  const auto now = fs::file_time_type::clock::now();
  for (const char* const newest : {"0a", "1b"}) {
    fs::last_write_time(root_ / "snapshots" / "0a", now - std::chrono::hours(2));
    fs::last_write_time(root_ / "snapshots" / "1b", now - std::chrono::hours(2));
    fs::last_write_time(root_ / "snapshots" / newest, now - std::chrono::hours(1));
    EXPECT_EQ(find_model("acme/tiny", "").commit, newest);
  }
  write("home/hub/models--acme--tiny/refs/main", "2c");  // a branch whose snapshot was cleared away: no other is it
  EXPECT_THROW(find_model("acme/tiny", ""), UserError);
  EXPECT_EQ(find_model("acme/tiny", "1b").commit, "1b");
}

TEST_F(ModelFolderTest, ARevisionIsABranchATagOrTheBeginningOfACommit) {
  fs::create_directories(root_ / "snapshots" / "1bff");
  write("home/hub/models--acme--tiny/refs/step100", "0a");
  fs::create_directories(root_ / "refs" / "refs" / "pr");
  write("home/hub/models--acme--tiny/refs/refs/pr/1", "1b");
  EXPECT_EQ(find_model("acme/tiny", "step100").commit, "0a");
  EXPECT_EQ(find_model("acme/tiny", "refs/pr/1").commit, "1b");
  EXPECT_EQ(find_model("acme/tiny", "0").commit, "0a");
  EXPECT_EQ(find_model("acme/tiny", "1bf").commit, "1bff");
  EXPECT_EQ(find_model(root_, "0a").commit, "0a");
  EXPECT_EQ(find_model(root_ / "snapshots" / "0a", "0a").commit, "0a");
  const auto refusal = [](const fs::path& given, const std::string& revision) {
    return message_of([&] { find_model(given, revision); });
  };
  EXPECT_THAT(refusal("acme/tiny", "1b"), AllOf(HasSubstr("several commits that begin with '1b'"), HasSubstr("1bff")));
  EXPECT_THAT(refusal("acme/tiny", "step200"),
              AllOf(HasSubstr("no snapshot of the revision 'step200'"), HasSubstr("it has 0a, 1b, 1bff"),
                    HasSubstr("`hf download acme/tiny --revision step200`")));
  write("home/hub/models--acme--tiny/refs/cleared", "77");
  EXPECT_THAT(refusal("acme/tiny", "cleared"), HasSubstr("no snapshot of the revision 'cleared'"));
  write("outside", "0a");
  EXPECT_THAT(refusal("acme/tiny", "../../../../outside"), HasSubstr("no snapshot of the revision"));
  EXPECT_THAT(refusal(root_ / "snapshots" / "0a", "1b"), HasSubstr("is one folder, and 'model.revision' is '1b'"));
  EXPECT_THAT(refusal(folder_, "main"), HasSubstr("is one folder"));
}

TEST_F(ModelFolderTest, ANameThatTheCacheDoesNotHaveIsToldHowToFetch) {
  const std::string message = message_of([] { find_model("acme/other", ""); });
  EXPECT_THAT(message, AllOf(HasSubstr("acme/other: there is no such folder"),
                             HasSubstr((cache_ / "models--acme--other").string()), HasSubstr("downloads nothing"),
                             HasSubstr("`hf download acme/other`")));
  EXPECT_THAT(message_of([] { find_model("acme/other", "v2"); }), HasSubstr("`hf download acme/other --revision v2`"));
  fs::remove_all(root_ / "snapshots" / "0a");
  fs::remove_all(root_ / "snapshots" / "1b");
  EXPECT_THAT(message_of([&] { find_model(root_, ""); }),
              AllOf(HasSubstr("has no snapshot"), HasSubstr("`hf download acme/tiny`")));
}

TEST_F(ModelFolderTest, AFolderWinsOverAName) {
  fs::create_directories(folder_ / "acme" / "tiny");
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  EXPECT_EQ(find_model("acme/tiny", ""), ModelPlace{"acme/tiny"});
  fs::current_path(before);
  EXPECT_EQ(find_model(folder_ / "acme" / "tiny", ""), ModelPlace{folder_ / "acme" / "tiny"});
  // A path that leads nowhere is no name, whatever the cache holds.
  EXPECT_EQ(find_model(folder_ / "elsewhere" / "acme" / "tiny", ""),
            ModelPlace{folder_ / "elsewhere" / "acme" / "tiny"});
  EXPECT_EQ(find_model("../tiny", ""), ModelPlace{"../tiny"});
  EXPECT_EQ(find_model("./acme/tiny", ""), ModelPlace{"./acme/tiny"});
}

TEST_F(ModelFolderTest, TheCacheLiesWhereTheEnvironmentSays) {
  const auto found = [] { return find_model("acme/tiny", "0a").folder; };
  const fs::path within = fs::path("models--acme--tiny") / "snapshots" / "0a";
  EXPECT_EQ(found(), cache_ / within);
  unsetenv("HF_HOME");
  const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
  setenv("HOME", (folder_ / "person").c_str(), 1);
  setenv("XDG_CACHE_HOME", (folder_ / "caches").c_str(), 1);
  fs::create_directories(folder_ / "person" / ".cache" / "huggingface");
  fs::create_directories(folder_ / "caches" / "huggingface");
  fs::rename(cache_, folder_ / "caches" / "huggingface" / "hub");
  EXPECT_EQ(found(), folder_ / "caches" / "huggingface" / "hub" / within);
  unsetenv("XDG_CACHE_HOME");
  fs::rename(folder_ / "caches" / "huggingface" / "hub", folder_ / "person" / ".cache" / "huggingface" / "hub");
  EXPECT_EQ(found(), folder_ / "person" / ".cache" / "huggingface" / "hub" / within);
  fs::rename(folder_ / "person" / ".cache" / "huggingface" / "hub", folder_ / "person" / "models");
  for (const char* const name : {"HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE"}) {
    setenv(name, "~/models", 1);
    EXPECT_EQ(found(), folder_ / "person" / "models" / within);
    unsetenv(name);
  }
  setenv("HOME", home.c_str(), 1);
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
