// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The kind of processor that computes: sums may only be folded together when all parts come from one kind.
#pragma once

#include <c10/core/DeviceType.h>

#include <string>

namespace tributary {

/// What the last digits of numbers depend on that this machine computes on a kind of device: the CPU's model and
/// instruction set, the libraries and the compiler that its loops come from, and the cards where they compute.
std::string processor_kind(c10::DeviceType device);

}  // namespace tributary
