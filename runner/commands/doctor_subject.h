// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What `doctor` examines: a model, loaded, and two pairs of prompts as a job that needs no sweep file.
#pragma once

#include <filesystem>
#include <string>

#include "runner/job/job.h"
#include "runner/job/model.h"

namespace tributary {

/// A job in float32 of IG-activations on two pairs of a file, or where none is named on two built-in ones: texts where
/// the tokenizer gives them ids that the model has, otherwise (and without a tokenizer) drawn ids. `loaded` must
/// outlive it. Throws UserError: no two pairs of the file fit, a checkpoint or tokenizer that cannot be read.
Job examined_job(LoadedModel& loaded, const std::filesystem::path& pairs_file);

}  // namespace tributary
