// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// From a run's configuration to a job: reads model, tokenizer and pairs, and settles what depends on them.
#pragma once

#include "io/config.h"
#include "runner/job/job.h"
#include "runner/job/model.h"

namespace tributary {

/// Throws UserError for anything the user must mend. Collective.
Job prepare_job(const Settings& settings, ModelShelf& shelf);

}  // namespace tributary
