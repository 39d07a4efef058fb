// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Scores from elsewhere, in the forms that we take apart ourselves: the first byte chooses one.
#include <cmath>
#include <string>
#include <string_view>

#include "io/detail/scores/importances.h"
#include "io/detail/scores/npy.h"
#include "io/detail/scores/score_list.h"
#include "tests/fuzz/targets.h"

namespace tributary::fuzz {
namespace {

void require_nodes(const std::vector<ListedScore>& list) {
  for (const ListedScore& one : list) {
    require(std::isfinite(one.score), "scores of single nodes are finite");
    require(!one.where.empty(), "every node says where it stands");
  }
}

}  // namespace

void read_scores(Bytes bytes) {
  if (bytes.empty()) return;
  const Bytes rest = bytes.subspan(1);
  const std::string_view text(reinterpret_cast<const char*>(rest.data()), rest.size());
  switch (bytes.front() % 3) {
    case 0: {
      const ScoreArray array = detail::scores::read_npy(text, "scores.npy");
      std::size_t count = 1;
      for (const std::int64_t extent : array.shape) count *= static_cast<std::size_t>(extent);
      require(count == array.values.size(), "as many values as the shape says");
      break;
    }
    case 1:
      require_nodes(*detail::scores::read_importances(file_of(rest).string()).list);
      break;
    default:
      require_nodes(detail::scores::read_score_list(text, "scores.csv"));
  }
}

}  // namespace tributary::fuzz
