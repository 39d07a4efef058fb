// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "runner/cluster/comm.h"
#include "tests/attribution/stored_llama.h"
#include "tests/io/checkpoint_fixture.h"

namespace tributary::testing {
namespace {

using ::testing::HasSubstr;

class StoredModel : public CheckpointFolder {
 protected:
  /// Writes tensors in float64, and says what is found of the network in float32.
  [[nodiscard]] std::string refusal(const stored::Stored& tensors) const {
    write("config.json", stored::llama_config().dump());
    nlohmann::json header;
    std::string data;
    for (const auto& [name, tensor] : tensors.tensors) {
      const at::Tensor numbers = tensor.to(at::kDouble).contiguous();
      const std::size_t begin = data.size();
      data.append(static_cast<const char*>(numbers.const_data_ptr()), numbers.nbytes());
      header[name] = {{"dtype", "F64"}, {"shape", numbers.sizes().vec()}, {"data_offsets", {begin, data.size()}}};
    }
    write_model(header.dump(), data);
    LoadedModel model(folder_);
    const auto network = model.network(at::kFloat, at::Device(at::kCPU), Communicator(), [](const std::string&) {});
    return message_of([&] { model.require_finite(*network); });
  }
};

TEST_F(StoredModel, NumbersThatAreNotFiniteAreNamedAsTheFileHasThem) {
  stored::Stored tensors = stored::llama_tensors();
  EXPECT_EQ(refusal(tensors), "nothing was thrown");
  tensors.tensors[stored::up][2][1] = std::numeric_limits<double>::quiet_NaN();
  tensors.tensors[stored::up][5][3] = std::numeric_limits<double>::infinity();
  EXPECT_THAT(refusal(tensors), HasSubstr("model.layers.0.mlp.up_proj.weight [2, 1] is NaN (2 of 24 are not finite); "
                                          "the checkpoint is damaged"));
}

TEST_F(StoredModel, NumbersThatTheDtypeCannotHoldAreNoDamage) {
  stored::Stored tensors = stored::llama_tensors();
  tensors.tensors[stored::up] = tensors.tensors[stored::up].to(at::kDouble);
  tensors.tensors[stored::up][2][1] = 1e300;
  EXPECT_THAT(refusal(tensors), HasSubstr("layer 0 gate and up [8, 1] is infinite (1 of 48 is not finite); stored, all "
                                          "numbers are finite"));
}

}  // namespace
}  // namespace tributary::testing
