// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Where libraries, which never print, send what a user should know and what stops nothing.
#pragma once

#include <functional>
#include <string>

namespace tributary {

using Warn = std::function<void(const std::string& text)>;

}  // namespace tributary
