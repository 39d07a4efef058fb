// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/commands/progress_display.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ostream>
#include <utility>

#include "runner/commands/duration.h"

namespace tributary {
namespace {

constexpr double kRedrawEvery = 0.1;  // seconds
constexpr double kFirstLine = 2;
constexpr int kBarWidth = 24;
constexpr const char* kWipe = "\r\x1b[K";       // to the start of the line, erase it
constexpr const char* kNoWrap = "\x1b[?7l";     // cut a line longer than the terminal: a wrapped one
constexpr const char* kWrapAgain = "\x1b[?7h";  // could not be wiped

/// Seconds to the next plain line in a stage of this age: a long run must not fill its log.
double line_interval(double age) {
  constexpr std::pair<double, double> kTable[] = {{60, 5}, {600, 30}};
  for (const auto& [younger_than, interval] : kTable) {
    if (age < younger_than) return interval;
  }
  return 120;
}

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double fraction(const Progress& progress) {
  return progress.total > 0 ? static_cast<double>(progress.done + progress.failed) / static_cast<double>(progress.total)
                            : 1.0;
}

std::string bar(double part) {
  const int full = static_cast<int>(part * kBarWidth);
  return fmt::format("[{:#<{}}{:.<{}}]", "", full, "", kBarWidth - full);
}

}  // namespace

ProgressStyle progress_style_for(int file_descriptor) {
  return isatty(file_descriptor) == 1 ? ProgressStyle::Bar : ProgressStyle::Lines;
}

ProgressDisplay::ProgressDisplay(std::ostream& out, ProgressStyle style, Clock clock)
    : out_(out), style_(style), clock_(clock ? std::move(clock) : Clock(steady_seconds)) {}

ProgressDisplay::~ProgressDisplay() { clear(); }

void ProgressDisplay::update(const Progress& progress) {
  if (style_ == ProgressStyle::Silent) return;
  const double now = clock_();
  if (!begun_ || progress.stage != stage_) begin(progress, now);
  rate_.add(now, static_cast<double>(progress.done), progress.cost_done);
  if (now < next_) return;
  if (style_ == ProgressStyle::Bar) {
    out_ << kWipe << kNoWrap << describe(progress, now) << kWrapAgain << std::flush;
    drawn_ = true;
    next_ = now + kRedrawEvery;
  } else {
    out_ << describe(progress, now) << '\n' << std::flush;
    next_ = now + line_interval(now - started_);
  }
}

void ProgressDisplay::begin(const Progress& progress, double now) {
  begun_ = true;
  stage_ = progress.stage;
  rate_ = {};
  started_ = now;
  next_ = style_ == ProgressStyle::Bar ? now : now + kFirstLine;
}

std::string ProgressDisplay::describe(const Progress& progress, double now) const {
  const double part = fraction(progress);
  const double units_per_second = rate_.units_per_second();
  const double cost_per_second = rate_.cost_per_second();
  std::string text = progress.stage + ' ';
  if (style_ == ProgressStyle::Bar) text += bar(part) + ' ';
  text += fmt::format("{}/{} {:.0f}%", progress.done, progress.total, std::floor(100 * part));
  if (units_per_second > 0) text += fmt::format(" · {:.3g} units/s", units_per_second);
  if (cost_per_second > 0 && part < 1) {
    text += " · " + format_duration((progress.cost_total - progress.cost_done) / cost_per_second) + " left";
  }
  if (progress.failed > 0) text += fmt::format(" · {} failed", progress.failed);
  // Last, because a narrow terminal cuts the line.
  if (now - started_ >= 1) text += " · " + format_duration(now - started_) + " so far";
  return text;
}

void ProgressDisplay::clear() {
  if (drawn_) out_ << kWipe << std::flush;
  drawn_ = false;
}

}  // namespace tributary
