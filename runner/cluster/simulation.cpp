// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/cluster/simulation.h"

#include <algorithm>
#include <deque>
#include <map>
#include <queue>
#include <utility>

#include "runner/cluster/fold.h"
#include "runner/cluster/scheduler.h"

namespace tributary {
namespace {

SchedulerOptions options_of(const ClusterModel& model) {
  SchedulerOptions options;
  options.ranks = model.ranks;
  options.workers = static_cast<std::int64_t>(model.ranks) * model.threads;
  options.block_seconds = model.block_seconds;
  return options;
}

std::vector<UnitSpec> specs_of(const std::vector<SimulatedUnit>& units) {
  std::vector<UnitSpec> specs;
  for (const SimulatedUnit& unit : units) specs.push_back(unit.spec);
  return specs;
}

class Simulation {
 public:
  Simulation(const std::vector<SimulatedUnit>& units, const ClusterModel& model)
      : units_(units), model_(model), table_(specs_of(units)), scheduler_(table_, options_of(model)) {
    for (std::int64_t lane = 0; lane < table_.lanes(); ++lane) folds_.emplace_back(lane, table_.lane_size(lane));
    partials_.resize(folds_.size(), 0);
    ranks_.resize(static_cast<std::size_t>(model.ranks));
  }

  SimulationResult run() {
    hand_out_all();
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.time;
      if (event.kind == Kind::arrived) {
        arrive(event);
      } else if (event.kind == Kind::computed) {
        computed(event);
      } else {
        handled(event);
      }
    }
    SimulationResult result = result_;
    const double threads = static_cast<double>(model_.ranks) * model_.threads;
    result.seconds = end_;
    result.efficiency = computing_ / (threads * end_);
    result.rank_0_busy = busy_ / end_;
    for (const auto& [second, bytes] : by_second_) result.busiest_second = std::max(result.busiest_second, bytes);
    return result;
  }

 private:
  enum class Kind { arrived, computed, handled };  // a block at its rank, at its end, its result at rank 0
  struct Event {
    double time;
    std::int64_t order;  // of equal times the earlier
    Kind kind;
    int rank;
    Block block;
    bool operator<(const Event& other) const { return std::pair(time, order) > std::pair(other.time, other.order); }
  };
  struct Rank {
    std::int64_t held = 0;
    int computing = 0;
    std::deque<Block> waiting;
  };

  void at(double time, Kind kind, int rank, const Block& block) { events_.push({time, order_++, kind, rank, block}); }

  [[nodiscard]] double seconds_of(const Block& block) const {
    double seconds = 0;
    for (std::int64_t i = 0; i < block.count; ++i) seconds += unit(block, i).seconds;
    return seconds;
  }
  [[nodiscard]] const SimulatedUnit& unit(const Block& block, std::int64_t i) const {
    return units_[static_cast<std::size_t>(table_.unit_at(block.lane, block.first + i))];
  }
  [[nodiscard]] double bytes_of(const Block& block) const { return unit(block, 0).bytes; }

  void hand_out_all() {
    for (const Demand demand : {Demand::Idle, Demand::Prefetch}) {
      for (bool any = true; any;) {
        any = false;
        for (int rank = 0; rank < model_.ranks; ++rank) any = hand_out(rank, demand) || any;
      }
    }
  }

  bool hand_out(int number, Demand demand) {
    Rank& rank = ranks_[static_cast<std::size_t>(number)];
    if (rank.held >= model_.threads + (demand == Demand::Prefetch ? 1 : 0)) return false;
    const std::optional<Block> block = scheduler_.next(number, demand);
    if (!block) return false;
    ++rank.held;
    ++result_.blocks;
    work_main_thread(model_.handling);
    at(main_free_ + (number == 0 ? 0 : model_.latency), Kind::arrived, number, *block);
    return true;
  }

  void work_main_thread(double seconds) {
    main_free_ = std::max(main_free_, now_) + seconds;
    busy_ += seconds;
  }

  void arrive(const Event& event) {
    Rank& rank = ranks_[static_cast<std::size_t>(event.rank)];
    rank.waiting.push_back(event.block);
    begin(event.rank);
  }

  void begin(int number) {
    Rank& rank = ranks_[static_cast<std::size_t>(number)];
    while (rank.computing < model_.threads && !rank.waiting.empty()) {
      const Block block = rank.waiting.front();
      rank.waiting.pop_front();
      ++rank.computing;
      const double seconds = seconds_of(block);
      computing_ += seconds;
      const double journal = model_.journal_file + bytes_of(block) / model_.journal_bytes;
      at(now_ + seconds + journal, Kind::computed, number, block);
    }
  }

  void computed(const Event& event) {
    --ranks_[static_cast<std::size_t>(event.rank)].computing;
    begin(event.rank);
    double there = now_;
    const double bytes = bytes_of(event.block);
    if (event.rank != 0) {
      link_free_ = std::max(link_free_, now_ + model_.latency) + bytes / model_.link;
      there = link_free_;
      result_.bytes_in += bytes;
      by_second_[static_cast<std::int64_t>(there)] += bytes;
    }
    at(there, Kind::handled, event.rank, event.block);
  }

  void handled(const Event& event) {
    const Block& block = event.block;
    work_main_thread(model_.handling + bytes_of(block) / model_.fold);
    BlockResult result;
    result.block = block.id;
    result.seconds = seconds_of(block);
    LaneFold part(block.lane, table_.lane_size(block.lane));  // merged as far as the worker could
    for (std::int64_t i = 0; i < block.count; ++i) part.add({block.lane, 0, block.first + i, {}});
    result.nodes = part.take_partials();
    scheduler_.finish(event.rank, result);
    LaneFold& fold = folds_[static_cast<std::size_t>(block.lane)];
    for (TreeNode& node : result.nodes) fold.add(std::move(node));
    const auto now_held = static_cast<double>(fold.partials()) * bytes_of(block);
    double& held = partials_[static_cast<std::size_t>(block.lane)];
    held_ += now_held - held;
    held = now_held;
    result_.peak_bytes = std::max(result_.peak_bytes, held_);
    --ranks_[static_cast<std::size_t>(event.rank)].held;
    end_ = std::max(end_, main_free_);
    for (const Demand demand : {Demand::Idle, Demand::Prefetch}) {
      while (hand_out(event.rank, demand)) {
      }
    }
  }

  const std::vector<SimulatedUnit>& units_;
  const ClusterModel& model_;
  UnitTable table_;
  Scheduler scheduler_;
  std::vector<LaneFold> folds_;
  std::vector<double> partials_;  // bytes held, by lane
  std::vector<Rank> ranks_;
  std::priority_queue<Event> events_;
  std::map<std::int64_t, double> by_second_;
  SimulationResult result_;
  std::int64_t order_ = 0;
  double now_ = 0, end_ = 0, main_free_ = 0, link_free_ = 0, computing_ = 0, busy_ = 0, held_ = 0;
};

}  // namespace

SimulationResult simulate(const std::vector<SimulatedUnit>& units, const ClusterModel& model) {
  return Simulation(units, model).run();
}

}  // namespace tributary
