// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer's entry: io_fuzz --target=NAME [options of libFuzzer] CORPUS…
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "common/errors.h"
#include "tests/fuzz/targets.h"

namespace tributary::fuzz {
namespace {

const Target* chosen = nullptr;

/// The folder of file_of, removed when the process ends in good order.
class OwnFolder {
 public:
  OwnFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "io_fuzz_XXXXXX";
    require(mkdtemp(pattern.data()) != nullptr, "a folder for files");
    path_ = pattern;
  }
  ~OwnFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  OwnFolder(const OwnFolder&) = delete;
  OwnFolder& operator=(const OwnFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

std::filesystem::path file_of(Bytes bytes) {
  static const OwnFolder folder;
  const std::filesystem::path file = folder.path() / "input";
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return file;
}

void require(bool condition, const char* text) {
  if (condition) return;
  std::fprintf(stderr, "broken promise: %s\n", text);
  std::abort();
}

}  // namespace tributary::fuzz

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view option = "--target=";
  for (int i = 1; i < *argc; ++i) {
    const std::string_view word = (*argv)[i];
    if (!word.starts_with(option)) continue;
    for (const tributary::fuzz::Target& target : tributary::fuzz::targets) {
      if (word.substr(option.size()) == target.name) tributary::fuzz::chosen = &target;
    }
  }
  tributary::fuzz::require(tributary::fuzz::chosen != nullptr, "--target=NAME names one of targets.h");
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    tributary::fuzz::chosen->run({data, size});
  } catch (const tributary::UserError& error) {
    tributary::fuzz::require(!error.problems().empty(), "an error says what is wrong");
  }
  return 0;
}
