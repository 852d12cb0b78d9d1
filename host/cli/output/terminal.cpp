// SPDX-License-Identifier: Apache-2.0
// See terminal.h.
#include "host/cli/output/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "host/cli/output/json.h"
#include "host/cli/text.h"

namespace fryer::cli {
namespace {

// Columns that UTF-8 text takes: one for each character.
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string padded(std::string_view text, std::size_t width, bool left) {
  const std::string blanks(width - std::min(width, columns(text)), ' ');
  return left ? std::string(text) + blanks : blanks + std::string(text);
}

// 1, 2 or 5 times a power of ten, the smallest from `least` on.
double round_step(double least) {
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least) return factor * power;
  }
  return 10 * power;
}

}  // namespace

Terminal inspect_terminal(int descriptor) {
  Terminal terminal;
  const auto variable = [](const char* name) -> std::string_view {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
  };
  terminal.interactive = ::isatty(descriptor) == 1;
  terminal.color = terminal.interactive && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
  winsize size{};
  if (const auto wanted = parse_integer(variable("COLUMNS")); wanted && *wanted > 0) {
    terminal.width = *wanted;
  } else if (terminal.interactive && ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.width = size.ws_col;
  }
  terminal.width = std::clamp<std::size_t>(terminal.width, 40, 200);
  return terminal;
}

std::string paint(const Terminal& terminal, Style style, std::string_view text) {
  if (!terminal.color || style == Style::plain || text.empty()) return std::string(text);
  const char* const codes[] = {"0", "1", "2", "36", "32", "31"};
  return fmt::format("\x1b[{}m{}\x1b[0m", codes[static_cast<int>(style)], text);
}

std::string bar(double length, std::size_t width) {
  const char* const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  if (!(length > 0)) return "";
  const auto eighths = static_cast<std::size_t>(std::min(length, static_cast<double>(width)) * 8 + 0.5);
  std::string text;
  for (std::size_t i = 0; i < eighths / 8; ++i) text += "█";
  return text + parts[eighths % 8];
}

std::string render(const Terminal& terminal, const Table& table) {
  std::vector<std::size_t> widths;
  std::vector<bool> left;
  std::vector<std::string> headings;
  for (std::size_t i = 0; i < table.headings.size(); ++i) {
    left.push_back(table.headings[i].starts_with('<'));
    headings.push_back(table.headings[i].substr(left[i] ? 1 : 0));
    widths.push_back(columns(headings[i]));
    for (const auto& row : table.rows) widths[i] = std::max(widths[i], columns(row[i]));
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) text += (i == 0 ? "" : "  ") + padded(cells[i], widths[i], left[i]);
    return text.substr(0, text.find_last_not_of(' ') + 1);
  };
  std::string text = paint(terminal, Style::bold, line(headings)) + '\n';
  for (const auto& row : table.rows) text += line(row) + '\n';
  return text;
}

std::string short_number(double x) {
  const double magnitude = std::abs(x);
  if (magnitude == 0) return "0";
  if (magnitude >= 1e6 || magnitude < 1e-5) return fmt::format("{:.3e}", x);
  const int decimals = std::clamp(3 - static_cast<int>(std::floor(std::log10(magnitude))), 0, 8);
  return fmt::format("{:.{}f}", x, std::min(decimals, magnitude >= 1 ? 3 : 8));
}

std::string histogram(const Terminal& terminal, const std::vector<float>& values, const Summary& summary, double least_width) {
  const double low = summary.quantiles.front(), high = summary.quantiles.back();  // where all but the outer 0.1 % lie
  if (summary.count == 0 || !(high > low)) return "";
  const double step = std::max(round_step((high - low) / 16), least_width);
  const double start = std::floor(low / step) * step;
  const auto rows = static_cast<std::size_t>(std::floor((high - start) / step)) + 1;
  std::vector<std::uint64_t> counts(rows + 2);  // below, the rows, above
  for (const float value : values) {
    const double position = (static_cast<double>(value) - start) / step;
    if (!std::isfinite(position)) continue;
    ++counts[position < 0 ? 0 : position >= static_cast<double>(rows) ? rows + 1 : static_cast<std::size_t>(position) + 1];
  }
  const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
  const bool scientific = decimals > 6 || std::abs(start) >= 1e7;
  const auto edge = [&](std::size_t row) {
    const double x = start + static_cast<double>(row) * step;
    return scientific ? fmt::format("{:.3e}", x) : fmt::format("{:.{}f}", x == 0 ? 0.0 : x, decimals);
  };
  std::vector<std::string> labels;
  labels.push_back("below " + edge(0));
  for (std::size_t row = 0; row < rows; ++row) labels.push_back(edge(row) + " to " + edge(row + 1));
  labels.push_back("above " + edge(rows));
  std::size_t label_width = 0;
  for (const std::string& label : labels) label_width = std::max(label_width, label.size());
  const std::uint64_t most = *std::max_element(counts.begin(), counts.end());
  const std::size_t bar_width = terminal.width - std::min(terminal.width - 10, label_width + 12);
  std::string text;
  for (std::size_t row = 0; row < counts.size(); ++row) {
    if (counts[row] == 0 && (row == 0 || row == rows + 1)) continue;
    const double share = static_cast<double>(counts[row]) / static_cast<double>(summary.count);
    const double length = static_cast<double>(counts[row]) / static_cast<double>(most) * static_cast<double>(bar_width);
    const std::string drawn = paint(terminal, Style::bar, bar(length, bar_width));
    text += fmt::format("  {:>{}} {:>6.2f} %{}{}\n", labels[row], label_width, share * 100, drawn.empty() ? "" : " ", drawn);
  }
  return text;
}

std::string quantile_table(const Terminal& terminal, const std::vector<NamedSummary>& summaries) {
  constexpr std::array<std::size_t, 7> kShown = {0, 1, 3, 5, 7, 9, 10};  // 0.001 0.01 0.1 0.5 0.9 0.99 0.999
  Table table;
  table.headings = {"<", "mean", "sd", "min"};
  for (const std::size_t i : kShown) table.headings.push_back(fmt::format("{:g} %", kQuantiles[i] * 100));
  table.headings.push_back("max");
  for (const auto& [name, s] : summaries) {
    std::vector<std::string> row = {name, short_number(s.mean), short_number(s.sd), short_number(s.min)};
    for (const std::size_t i : kShown) row.push_back(short_number(s.quantiles[i]));
    row.push_back(short_number(s.max));
    table.rows.push_back(row);
  }
  return render(terminal, table);
}

}  // namespace fryer::cli
