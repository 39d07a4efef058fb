// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Node-level circuits as MIB's code writes and reads them (Graph.to_json of hannamw/EAP-IG): nodes by name, `input`,
// `a0.h1`, `m0`, each with a score.
#pragma once

#include <string>

#include "io/score_file.h"

namespace tributary::detail::scores {

/// `input` is of the kind embeddings; `logits` is left out. Throws UserError.
ScoreFile read_importances(const std::string& file);

}  // namespace tributary::detail::scores
