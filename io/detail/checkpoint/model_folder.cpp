// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/checkpoint/model_folder.h"

#include <string>

#include <fmt/format.h>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/checkpoint/other_formats.h"

namespace tributary::detail::checkpoint {
namespace {

constexpr const char* checkpoint_wanted = "give the folder of a Hugging Face checkpoint";

}  // namespace

void require_model_folder(const std::filesystem::path& given) {
  std::error_code ignored;
  const std::filesystem::path folder = given.has_filename() ? given : given.parent_path();  // "model/" is "model"
  if (!std::filesystem::exists(folder, ignored)) {
    const std::string link = about_dangling_link(folder.string());
    throw UserError(folder.string(), "no such folder" + (link.empty() ? std::string("; ") + checkpoint_wanted : link));
  }
  if (!std::filesystem::is_directory(folder, ignored)) {
    throw UserError(folder.string(), "is a file; give the folder that holds config.json and the weights");
  }
  const std::string config = (folder / "config.json").string();
  if (std::filesystem::exists(config, ignored)) return;
  if (const std::string link = about_dangling_link(config); !link.empty()) {
    throw UserError(config, "cannot be read" + link);
  }
  if (const std::string adapter = about_adapter(folder); !adapter.empty()) throw UserError(folder.string(), adapter);
  throw UserError(folder.string(),
                  fmt::format("has no config.json (it says what kind of model this is); {}", checkpoint_wanted));
}

}  // namespace tributary::detail::checkpoint
