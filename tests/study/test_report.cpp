// SPDX-License-Identifier: Apache-2.0
// Pages and plots of studies, from fabricated summaries: every part is there, everything from a file stays text, the markup is
// well-formed, nothing is loaded, and no number says more than it should. FRYER_KEEP_PAGES=DIR keeps the pages, to be looked at.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "fryer/core/error.h"
#include "host/study/cell_order.h"
#include "host/study/figure.h"
#include "host/study/gnuplot.h"
#include "host/study/html.h"
#include "host/study/palette.h"
#include "host/study/report.h"
#include "host/study/svg.h"
#include "host/study/wording.h"
#include "tests/study/fabricated.h"

namespace fryer::study {
namespace {

using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;

constexpr const char* kRepeat = "fryer study run rates.toml --output rates.db";

// XML as far as a page uses it: elements closed in order, quoted attributes of distinct names, the five entities and numbers,
// unique ids.
AssertionResult well_formed(std::string_view text) {
  std::vector<std::string> open;
  std::vector<std::string> ids;
  std::size_t at = 0;
  const auto failure = [&](const char* what) { return AssertionFailure() << what << " at: " << text.substr(at, 120); };
  const auto entity = [&](std::size_t i) {
    for (const char* name : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"}) {
      if (text.substr(i).starts_with(name)) return true;
    }
    return false;
  };
  if (text.starts_with("<!DOCTYPE html>")) at = 15;
  while (at < text.size()) {
    if (text[at] != '<') {
      if (text[at] == '&' && !entity(at)) return failure("a bare ampersand");
      if (open.empty() && text[at] != '\n') return failure("text outside");
      ++at;
      continue;
    }
    const bool closing = text.substr(at).starts_with("</");
    std::size_t i = at + (closing ? 2 : 1);
    const std::size_t name_begin = i;
    while (i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) || text[i] == '-')) ++i;
    const std::string name(text.substr(name_begin, i - name_begin));
    if (name.empty()) return failure("no name");
    if (closing) {
      if (open.empty() || open.back() != name || text[i] != '>') return failure("closes what is not open");
      open.pop_back();
      at = i + 1;
      continue;
    }
    std::vector<std::string> attributes;
    while (true) {
      while (text[i] == ' ' || text[i] == '\n') ++i;
      if (text[i] == '>' || text.substr(i).starts_with("/>")) break;
      const std::size_t equals = text.find('=', i);
      if (equals == std::string::npos) return failure("an attribute without value");
      std::string attribute(text.substr(i, equals - i));
      while (attribute.ends_with(' ')) attribute.pop_back();
      for (const char c : attribute) {
        if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-') return failure("an attribute's name");
      }
      if (std::find(attributes.begin(), attributes.end(), attribute) != attributes.end()) return failure("an attribute twice");
      attributes.push_back(attribute);
      i = equals + 1;
      while (text[i] == ' ') ++i;
      const char quote = text[i];
      const std::size_t end = text.find(quote, i + 1);
      if ((quote != '"' && quote != '\'') || end == std::string::npos) return failure("a value without quotes");
      for (std::size_t k = i + 1; k < end; ++k) {
        if (text[k] == '<' || (text[k] == '&' && !entity(k))) return failure("an attribute's value");
      }
      if (attribute == "id") {
        const std::string id(text.substr(i + 1, end - i - 1));
        if (std::find(ids.begin(), ids.end(), id) != ids.end()) return failure("an id twice");
        ids.push_back(id);
      }
      i = end + 1;
    }
    const bool empty = text[i] == '/';
    at = i + (empty ? 2 : 1);
    if (!empty) open.push_back(name);
  }
  return open.empty() ? AssertionSuccess() : AssertionFailure() << "never closed: " << open.back();
}

std::size_t occurrences(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++count;
  return count;
}
bool has(std::string_view text, std::string_view what) { return text.find(what) != std::string_view::npos; }

// What any page must be, whatever is in it.
void check_page(const std::string& page) {
  EXPECT_TRUE(well_formed(page));
  for (const char* loads : {" src=", " href=", "url(", "@import", "xlink", "http:", "https:"})
    EXPECT_FALSE(has(page, loads)) << loads;
  for (const char* number : {">nan", "NaN", ">-nan", "[nan", ">inf", "-inf", "[inf", ", inf", " nan"})
    EXPECT_FALSE(has(page, number)) << number;
  EXPECT_EQ(occurrences(page, "<figure"), occurrences(page, "<svg role=\"img\""));
  EXPECT_EQ(occurrences(page, "<figure"), occurrences(page, "<figcaption>"));
  for (const char* fixed : {"rgb(  0, 114, 178)", "rgb(87,97,107)", "rgb(125, 135, 144)"})
    EXPECT_FALSE(has(page, fixed)) << "of any scheme";
}

struct Named {
  const char* name;
  StudySummary (*make)();
};
constexpr Named kStudies[] = {{"one_cell", fabricated::one_cell}, {"four_cells", fabricated::four_cells},
                              {"grid", fabricated::grid},         {"thirty_cells", fabricated::thirty_cells},
                              {"notebook", fabricated::notebook}, {"gradients", fabricated::gradients},
                              {"empty", fabricated::empty}};

TEST(Report, EveryKindOfStudyIsAWellFormedPageThatLoadsNothing) {
  for (const Named& study : kStudies) {
    SCOPED_TRACE(study.name);
    const std::string page = report_html(study.make(), kRepeat);
    check_page(page);
    if (const char* folder = std::getenv("FRYER_KEEP_PAGES"))
      std::ofstream(fmt::format("{}/{}.html", folder, study.name)) << page;
  }
}

TEST(Report, HasEveryPartInOrder) {
  const std::string page = report_html(fabricated::grid(), kRepeat);
  std::size_t at = 0;
  for (const char* part : {"<h1>Learning rate and batch size",
                           "How often, and after how many",
                           "With 1,000 seeds a cell",
                           "class=\"key\"",
                           "id=\"cells\"",
                           "success_rate-title",
                           "success_rate_map-title",
                           "result_map-title",
                           "learning_curves-title",
                           "learning_curve_bands-title",
                           "result_quantiles-title",
                           "parameter_quantiles-title",
                           "time_to_threshold-title",
                           "id=\"distributions\"",
                           "id=\"comparisons\"",
                           "id=\"methods\"",
                           "id=\"configuration\"",
                           "id=\"provenance\"",
                           "id=\"repeat\"",
                           "0123456789abcdef"}) {
    const std::size_t found = page.find(part, at);
    ASSERT_NE(found, std::string::npos) << part;
    at = found;
  }
  for (const char* text : {"Wilson 1927",
                           "Clopper &amp; Pearson 1934",
                           "Kaplan &amp; Meier 1958",
                           "Brookmeyer &amp; Crowley 1982",
                           "Greenwood",
                           "log-log",
                           "Agarwal et al. 2021",
                           "Tukey &amp; McLaughlin 1963",
                           "Yuen 1974",
                           "Order statistics",
                           "Massart 1990",
                           "Holm 1979",
                           "exact sign test",
                           "Probability of improvement",
                           "lab-7",
                           "AMD EPYC 9454",
                           "avx512",
                           "g++ 12.2.0",
                           "2026-11-22T20:15:00Z",
                           "count = 1000",
                           kRepeat,
                           "<dt>optimizer</dt><dd>adam</dd>"}) {
    EXPECT_TRUE(has(page, text)) << text;
  }
  EXPECT_EQ(occurrences(page, "60 updates; that the others would"), 20u) << "a sentence a cell";
  EXPECT_TRUE(has(page, "prefers-color-scheme:dark"));
  EXPECT_TRUE(has(page, "@media print"));
  EXPECT_FALSE(has(page, "class=\"banner\""));
}

TEST(Report, TablesHoldTheNumbers) {
  const std::string page = report_html(fabricated::notebook(), kRepeat);
  EXPECT_TRUE(has(page, "exact expected return</td><td class=\"n\" data-sort=\"1000000\">1,000,000</td>"));
  EXPECT_TRUE(has(page, "-10.1000<small>[-10.1018, -10.0982]</small>"));
  const std::string several = report_html(fabricated::four_cells(), kRepeat);
  EXPECT_TRUE(has(
      several,
      "0.3</td><td class=\"n\" data-sort=\"1000\">1,000<small>of 1,000</small></td><td class=\"n\" data-sort=\"10\">10</td>"));
  EXPECT_TRUE(has(several, "79.8 %<small>[77.3 %, 82.3 %]</small>"));
  EXPECT_TRUE(has(several, "not reached"));
  EXPECT_TRUE(has(several,
                  "62.0 %<small>[59.0 %, 65.0 %]</small></td><td class=\"n\" data-sort=\"0.0012\">0.0012</td><td class=\"n\" "
                  "data-sort=\"0.0072\">"));
  EXPECT_TRUE(has(several, "475 (stops)"));
  const std::string gradients = report_html(fabricated::gradients(), kRepeat);
  EXPECT_TRUE(has(gradients, "0.02100<small>[0.02075, 0.02125]</small>"));
  StudySummary few = fabricated::one_cell();
  few.cells[0].result = fabricated::bell(10, 1, 10);
  EXPECT_TRUE(has(report_html(few, kRepeat), "<small>at most ")) << "a quantile's end that no value covers";
}

TEST(Report, AThousandCellsAreDrawnSoon) {
  fabricated::Shape shape;
  shape.axes = {{"learning_rate", {}}, {"batch", {}}};
  for (int i = 0; i < 40; ++i) shape.axes[0].second.push_back(fmt::format("{:.3f}", 0.01 * (i + 1)));
  for (int i = 0; i < 25; ++i) shape.axes[1].second.push_back(std::to_string(i + 1));
  const StudySummary study = fabricated::training(shape);
  const std::string page = report_html(study, kRepeat);
  check_page(page);
  EXPECT_EQ(occurrences(page, "60 updates; that the others would"), 1000u);
  for (const Plot& plot : make_plots(study)) EXPECT_LT(plot.script.size(), 300000u) << plot.name;
}

TEST(Report, SaysWhatIsMissing) {
  StudySummary study = fabricated::four_cells();
  study.complete = false;
  study.finished = 3100;
  study.shard = {2, 5};
  const std::string page = report_html(study, kRepeat);
  EXPECT_TRUE(has(page, "not complete: 3,100 of 4,000 trainings are finished"));
  EXPECT_TRUE(has(page, "shard 2 of 5"));
  const std::string nothing = report_html(fabricated::empty(), kRepeat);
  EXPECT_TRUE(has(nothing, "0 of 4,000 trainings"));
  EXPECT_TRUE(has(nothing, "There is nothing to draw yet."));
  EXPECT_FALSE(has(nothing, "<svg"));
}

TEST(Report, TextFromAFileStaysText) {
  const std::string hostile =
      "</title><script>alert(1)</script>\"; system(\"touch /tmp/fryer_pwned\") '`touch /tmp/fryer_pwned`' \\ %s %d @x "
      "\xff\x01\nEND\n$data1 & ";
  StudySummary study = fabricated::grid();
  study.title = study.question = study.sentence = study.result_name = study.source = study.compared_by = study.comparison_note =
      hostile;
  study.environment = study.algorithm = hostile;
  study.axes[0].first = hostile;
  study.axes[0].second[0] = hostile;
  study.runs[0].host = study.runs[0].command_line = hostile;
  study.fixed[0] = {hostile, hostile};
  for (CellSummary& cell : study.cells) {
    cell.label = cell.sentence = hostile;
    cell.point[0].first = hostile;
    if (cell.point[0].second == "0.02") cell.point[0].second = hostile;
    cell.parameters[0].first = hostile;
  }
  std::filesystem::remove("/tmp/fryer_pwned");
  const std::string page = report_html(study, hostile);
  check_page(page);
  EXPECT_EQ(occurrences(page, "<script"), 1u);
  EXPECT_FALSE(std::filesystem::exists("/tmp/fryer_pwned"));
  EXPECT_EQ(occurrences(page, "<svg"), make_plots(fabricated::grid()).size()) << "no plot is lost to a label";
}

TEST(Report, LabelsComeThroughGnuplotUnchanged) {
  for (const std::string label : {"\"c\" \\n `d` 5% @e _f^g{h} \u00e9",
                                  "\"",
                                  "`",
                                  "`echo x`",
                                  "@x",
                                  "{",
                                  "}",
                                  "\\",
                                  "a\\",
                                  "%s %d %%",
                                  "#",
                                  "a # b",
                                  ";",
                                  "$1",
                                  "', '",
                                  "'b",
                                  "b'",
                                  "''",
                                  "'`echo x`'",
                                  "'; system(\"x\"); '"}) {
    SCOPED_TRACE(label);
    Figure figure;
    Panel panel;
    panel.title = panel.x.label = panel.y.label = label;
    panel.x.names = {{0.5, label}};
    panel.layers = {figure.data({{0, 0}, {1, 1}}) + " using 1:2 with lines"};
    figure.panels = {panel};
    figure.legend = {{label, kInk.light, "lw 1"}};
    std::string shown;  // typographic quotes; gnuplot escapes < and &, which these do not hold
    for (const char c : label) shown += c == '\'' ? std::string("\u2019") : std::string(1, c);
    const std::string svg = draw({"x", "t", "c", figure.script(), figure.width, figure.height()}, "svg");
    EXPECT_EQ(occurrences(svg, "<text>" + shown + "</text>"), 5u);
  }
  EXPECT_EQ(gnuplot_string("a'b\nc"), "'a\u2019b c'");
  EXPECT_EQ(gnuplot_tic("5 %"), "'5 %%'");
}

TEST(Plots, EachIsASoundFileInEveryFormatAndGnuplotHasNothingToComplainOf) {
  for (const Named& study : kStudies) {
    for (const Plot& plot : make_plots(study.make())) {
      SCOPED_TRACE(std::string(study.name) + " " + plot.name);
      EXPECT_FALSE(plot.title.empty());
      EXPECT_FALSE(plot.caption.empty());
      EXPECT_FALSE(has(plot.script, "nan"));
      EXPECT_FALSE(has(plot.script, "inf"));
      const GnuplotOutput drawn = run_gnuplot("set terminal svg size 480,320 noenhanced\n" + plot.script);
      EXPECT_EQ(drawn.messages, "");
      EXPECT_TRUE(well_formed(inline_svg(drawn.output, plot.name, plot.title, plot.caption)));
      EXPECT_LT(drawn.output.size(), 400000u) << "thin data";
    }
  }
  const std::vector<Plot> plots = make_plots(fabricated::one_cell());
  ASSERT_FALSE(plots.empty());
  EXPECT_TRUE(draw(plots[0], "pdf").starts_with("%PDF-"));
  EXPECT_TRUE(draw(plots[0], "png").starts_with("\x89PNG"));
  EXPECT_TRUE(has(draw(plots[0], "svg"), "</svg>"));
  EXPECT_THROW(draw(plots[0], "gif"), ConfigurationError);
}

std::vector<std::string> names(const StudySummary& study) {
  std::vector<std::string> list;
  for (const Plot& plot : make_plots(study)) list.push_back(plot.name);
  return list;
}
const Plot& plot_of(const std::vector<Plot>& plots, const std::string& name) {
  for (const Plot& plot : plots) {
    if (plot.name == name) return plot;
  }
  throw Error("no plot " + name);
}

TEST(Plots, AreThoseThatTheDataAllow) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(names(fabricated::one_cell()), (Names{"success_rate", "learning_curve_bands", "result_histogram",
                                                  "result_distribution", "parameter_histograms", "time_to_threshold"}));
  EXPECT_EQ(names(fabricated::four_cells()), (Names{"success_rate", "learning_curves", "learning_curve_bands", "result_quantiles",
                                                    "result_distribution", "parameter_quantiles", "time_to_threshold"}));
  EXPECT_EQ(names(fabricated::notebook()),
            (Names{"result_histogram", "result_distribution", "parameter_histograms", "parameter_distribution"}));
  EXPECT_EQ(names(fabricated::gradients()), (Names{"gradient_estimates", "gradient_second_moments"}));
  EXPECT_EQ(names(fabricated::empty()), Names{});
  EXPECT_EQ(names({}), Names{});
}

TEST(Plots, ShowAtMostSixLinesAPanelAndSayWhatIsLeftOut) {
  const std::vector<Plot> grid = make_plots(fabricated::grid());
  const Plot& faceted = plot_of(grid, "learning_curves");  // 4 panels of 5 lines: nothing is left out
  EXPECT_EQ(occurrences(faceted.script, "\nplot "), 4u);
  EXPECT_EQ(occurrences(faceted.script, "with lines"), 20u);
  EXPECT_FALSE(has(faceted.caption, "left out"));
  EXPECT_EQ(occurrences(plot_of(grid, "learning_curve_bands").script, "\nplot "), 12u);
  EXPECT_TRUE(has(plot_of(grid, "learning_curve_bands").caption, "best 12 of 20 cells; left out"));

  const std::vector<Plot> thirty = make_plots(fabricated::thirty_cells());
  EXPECT_EQ(occurrences(plot_of(thirty, "learning_curves").script, "with lines"), 6u);
  EXPECT_TRUE(has(plot_of(thirty, "learning_curves").caption, "best 6 of 30 cells; left out"));
  EXPECT_TRUE(has(plot_of(thirty, "time_to_threshold").caption, "best 6 of 30 cells"));
}

TEST(Plots, SurviveCellsWithoutData) {
  StudySummary study = fabricated::four_cells();
  study.cells[0].result.reset();
  study.cells[0].curve.clear();
  study.cells[1].parameters.clear();
  study.cells[1].thresholds.clear();
  study.cells[2].result = Distribution{};
  study.cells[2].finished = 0;
  for (ThresholdSummary& threshold : study.cells[3].thresholds) threshold.time = threshold.episodes = threshold.steps = {};
  Distribution& alone = *(study.cells[3].result = fabricated::bell(500, 0, 1));  // one value, no histogram
  alone.histogram.clear();
  alone.min = alone.max = alone.low = alone.high = 500;
  for (CurveSummary& point : study.cells[3].curve) point.quantiles[0] = std::numeric_limits<double>::quiet_NaN();
  check_page(report_html(study, kRepeat));
}

TEST(Plots, SurviveNumbersOfAnySize) {
  for (const auto& [middle, width] : {std::pair(1e30, 1e29), {-1e-12, 1e-14}, {1e6, 1e-9}, {0.0, 0.0}}) {
    SCOPED_TRACE(middle);
    for (StudySummary study : {fabricated::one_cell(), fabricated::grid()}) {
      for (CellSummary& cell : study.cells) {
        cell.result = fabricated::bell(middle, width, 1000);
        for (auto& [name, d] : cell.parameters) d = fabricated::bell(middle, width, 1000);
      }
      check_page(report_html(study, kRepeat));
    }
  }
}

TEST(Page, OfVeryManyCellsShowsTheBestAndSaysSo) {
  fabricated::Shape shape;
  shape.axes = {{"gamma", {}}};
  for (int i = 0; i < 2500; ++i) shape.axes[0].second.push_back(fmt::format("{}", 0.0001 * i));
  shape.seeds = 10;
  shape.curves = shape.parameters = false;
  StudySummary study = fabricated::training(shape);
  const std::string page = report_html(study, kRepeat);
  check_page(page);
  EXPECT_TRUE(has(page, "The tables show the best 2,000 of 2,500 cells"));
  const std::size_t worst = study.ranking.back(), best = study.ranking.front();
  EXPECT_TRUE(has(page, fmt::format("<dt>{}: {}</dt>", best, study.cells[best].label)));
  EXPECT_FALSE(has(page, fmt::format("<dt>{}: {}</dt>", worst, study.cells[worst].label)));
}

// Of numbers alone: tests/cli/test_text.cpp.
TEST(Cells, OfIntervalsSayWhereThereIsNoBound) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(bounds_cell(Interval{473.218, 472.911, 473.525, ""}), "[472.91, 473.52]");
  EXPECT_EQ(bounds_cell(Interval{12, 10, infinity, ""}), "at least 10");
  EXPECT_EQ(bounds_cell(Interval{12, -infinity, infinity, ""}), "");
  EXPECT_EQ(bounds_cell(std::nullopt, 31.0), "at most 31");
  EXPECT_EQ(p_cell(0.0321), "0.032");
  EXPECT_EQ(p_cell(1e-300), "< 0.0001");
}

TEST(Html, CleansWhatIsNotUtf8OrNotXml) {
  EXPECT_EQ(escape_html("<a href='x'>&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
  EXPECT_EQ(clean_text("\u00e9\u20ac\U0001F600\t\n"), "\u00e9\u20ac\U0001F600\t\n");
  for (const char* bad : {"\xff", "\x01", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xef\xbf\xbf", "\xc2\x85"}) {
    const std::string cleaned = clean_text(bad);
    EXPECT_EQ(cleaned.size() % 3, 0u);
    EXPECT_TRUE(cleaned.starts_with("\uFFFD"));
  }
  EXPECT_EQ(shortened("\u00e9\u00e9\u00e9\u00e9", 3), "\u00e9\u00e9\u2026");
  EXPECT_EQ(shortened("abc", 3), "abc");
}

// WCAG 2.1: relative luminance and contrast ratio.
double luminance(std::string_view hex) {
  double result = 0;
  const double weights[] = {0.2126, 0.7152, 0.0722};
  for (std::size_t i = 0; i < 3; ++i) {
    const double c = std::stoi(std::string(hex.substr(1 + 2 * i, 2)), nullptr, 16) / 255.0;
    result += weights[i] * (c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4));
  }
  return result;
}
double contrast(std::string_view a, std::string_view b) {
  const double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

TEST(Palette, ContrastsWithBothBackgrounds) {
  for (const PageColour& colour : kSeries) {
    EXPECT_GE(contrast(colour.light, kBackground.light), 3) << colour.variable;
    EXPECT_GE(contrast(colour.dark, kBackground.dark), 3) << colour.variable;
  }
  for (const PageColour& text : {kInk, kMuted}) {
    EXPECT_GE(contrast(text.light, kSoft.light), 4.5) << text.variable;
    EXPECT_GE(contrast(text.dark, kSoft.dark), 4.5) << text.variable;
  }
  EXPECT_GE(contrast(kAxis.light, kBackground.light), 3);
  EXPECT_GE(contrast(kAxis.dark, kBackground.dark), 3);
}

// Sets a variable of this process's environment and puts the old value back.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name), old_(std::getenv(name) ? std::getenv(name) : "") {
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() { ::setenv(name_, old_.c_str(), 1); }

 private:
  const char* name_;
  std::string old_;
};

std::string folder_with_gnuplot(const std::string& name, const std::string& script) {
  const std::string folder = ::testing::TempDir() + "/" + name;
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/gnuplot") << script;
  ::chmod((folder + "/gnuplot").c_str(), 0755);
  return folder;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Gnuplot, SaysWhatToInstallWhereItIsMissing) {
  const Variable path("PATH", "/nowhere:/proc");
  const std::string message = "gnuplot was not found; to install: apt-get install gnuplot-nox";
  EXPECT_EQ(message_of([] { require_gnuplot(); }), message);
  EXPECT_EQ(message_of([] { report_html(fabricated::one_cell(), kRepeat); }), message);
}

TEST(Gnuplot, FailureCarriesItsOwnWords) {
  const std::string message = message_of([] { run_gnuplot("set terminal svg\nplot nonsense(1\n"); });
  EXPECT_TRUE(has(message, "gnuplot failed (exit code 1)")) << message;
  EXPECT_FALSE(has(message, "\n"));
  const std::string folder = folder_with_gnuplot("killed", "#!/bin/sh\necho going >&2\nkill -9 $$\n");
  const Variable path("PATH", folder + ":/usr/bin:/bin");
  EXPECT_EQ(message_of([] { run_gnuplot(""); }), "gnuplot failed (signal 9): going");
}

TEST(Gnuplot, IsStoppedWhenItTakesTooLong) {
  const std::string folder = folder_with_gnuplot("slow", "#!/bin/sh\nexec sleep 60\n");
  const Variable path("PATH", folder + ":/usr/bin:/bin");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(has(message_of([] { run_gnuplot("", std::chrono::milliseconds(100)); }), "gnuplot took longer than 100 ms"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(Gnuplot, DrawsTheSameInACommaLocale) {
  const std::vector<Plot> plots = make_plots(fabricated::one_cell());
  const std::string expected = draw(plots[0], "svg");
  const Variable all("LC_ALL", "de_DE.UTF-8"), numeric("LC_NUMERIC", "de_DE.UTF-8"), terminal("GNUTERM", "dumb");
  EXPECT_EQ(draw(plots[0], "svg"), expected);
}

}  // namespace
}  // namespace fryer::study
