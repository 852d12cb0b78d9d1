// SPDX-License-Identifier: Apache-2.0
// Works line by line on what gnuplot 5.4's svg terminal writes; the test parses the result as XML.
#include "host/study/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>
#include <vector>

#include "fryer/core/error.h"
#include "host/study/html.h"
#include "host/study/palette.h"

namespace fryer::study {
namespace {

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

// As gnuplot writes a colour: rgb(  0, 114, 178) of lines, rgb(0,114,178) of text.
std::pair<std::string, std::string> as_drawn(std::string_view hex) {
  unsigned red = 0, green = 0, blue = 0;
  std::sscanf(std::string(hex).c_str(), "#%2x%2x%2x", &red, &green, &blue);
  return {fmt::format("rgb({:3}, {:3}, {:3})", red, green, blue), fmt::format("rgb({},{},{})", red, green, blue)};
}

std::vector<std::pair<std::string, std::string>> replacements() {
  std::vector<std::pair<std::string, std::string>> list;
  const auto add = [&](const PageColour& colour) {
    const auto [line, text] = as_drawn(colour.light);
    const std::string variable = fmt::format("var({})", colour.variable);
    list.emplace_back(line, variable);
    list.emplace_back(text, variable);
  };
  for (const PageColour& colour : kSeries) add(colour);
  for (const PageColour& colour : {kAxis, kGrid, kBackground, kInk, kMuted}) add(colour);
  // Text and what else is black.
  list.emplace_back("=\"black\"", "=\"currentColor\"");
  list.emplace_back("='black'", "='currentColor'");
  // Attributes that say nothing here: the inherited ones are the same, and `color` only served the points' symbols.
  for (const char* attribute :
       {" color=\"currentColor\"", " color=\"white\"", " color=\"gray\"", " stroke-linecap=\"butt\"",
        " stroke-linejoin=\"miter\"", " font-family=\"sans\"", " class=\"gridline\"", " stroke-width=\"1.00\""}) {
    list.emplace_back(attribute, "");
  }
  return list;
}

}  // namespace

std::string inline_svg(const std::string& drawn, std::string_view name, std::string_view title, std::string_view description) {
  static const std::vector<std::pair<std::string, std::string>> kReplacements = replacements();
  constexpr std::string_view kViewBox = "viewBox=\"";
  constexpr std::string_view kPoint = "<use xlink:href='#gpPt6'";  // the filled circle, pointtype 7
  const std::size_t box = drawn.find(kViewBox);
  const std::size_t box_end = drawn.find('"', box + kViewBox.size());
  const std::size_t definitions = drawn.find("</defs>");
  if (box == std::string::npos || definitions == std::string::npos) throw Error("gnuplot drew no SVG");

  std::string svg = fmt::format(
      "<svg role=\"img\" aria-labelledby=\"{0}-title {0}-description\" {1}>\n<title id=\"{0}-title\">{2}</title>\n"
      "<desc id=\"{0}-description\">{3}</desc>\n<g>\n",
      escape_html(name), std::string_view(drawn).substr(box, box_end + 1 - box), escape_html(title), escape_html(description));

  std::string group;  // an opened <g ...> that may turn out empty
  for (std::size_t at = drawn.find('\n', definitions) + 1; at < drawn.size();) {
    const std::size_t end = std::min(drawn.find('\n', at), drawn.size());
    std::string line = drawn.substr(at, end - at);
    at = end + 1;
    line.erase(0, line.find_first_not_of("\t "));
    if (line.empty()) continue;
    if (line.starts_with("<text")) {
      line.replace(0, line.find('>'), "<text");  // without xml:space, which HTML does not have
      svg += group + line + "\n";
      group.clear();
      continue;
    }
    if (const std::size_t id = line.find("<g id="); id != std::string::npos) line = "<g>";  // and its title, which names nothing
    for (const auto& [from, to] : kReplacements) replace_all(line, from, to);
    if (line.starts_with("<use")) {
      if (!line.starts_with(kPoint)) throw Error("a plot uses a symbol that a page does not have");
      line.replace(0, kPoint.size(), "<circle r='1' stroke='none'");
      replace_all(line, " color=", " fill=");
    }
    if (line == "</g>" && !group.empty()) {
      group.clear();
    } else if (line.starts_with("<g ") && line.ends_with(">") && line.find('>') == line.size() - 1 && group.empty()) {
      group = line + "\n";
    } else {
      svg += group + line + "\n";
      group.clear();
    }
  }
  return svg;
}

}  // namespace fryer::study
