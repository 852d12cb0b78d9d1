// SPDX-License-Identifier: Apache-2.0
// See html.h. The style and the script stand in the page itself; the script only makes tables sortable, and the page is complete without
// it. Colours come from palette.h as variables, once for each scheme.
#include "host/study/html.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <iterator>

#include "host/study/palette.h"

namespace fryer::study {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Bytes of the UTF-8 sequence that `text` begins with, 0 if it is none, or a character that XML does not allow.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return first >= 0x20 || first == '\n' || first == '\t' ? 1 : 0;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  std::uint32_t point = first & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    point = point << 6 | (byte(i) & 0x3F);
  }
  const bool overlong = point < (length == 4 ? 0x10000u : length == 3 ? 0x800u : 0x80u);
  const bool surrogate = point >= 0xD800 && point < 0xE000;
  return overlong || surrogate || point > 0x10FFFF || point < 0xA0 || point == 0xFFFE || point == 0xFFFF ? 0 : length;
}

constexpr std::string_view kStyle = R"(
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:84rem;padding:2.5rem clamp(1rem,4vw,2rem) 4rem;background:var(--background);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:break-word}
h1{font-size:clamp(1.6rem,4vw,2.2rem);line-height:1.2;margin:0 0 .4rem;font-weight:650;letter-spacing:-.01em}
h2{font-size:1.3rem;line-height:1.3;margin:3rem 0 .8rem;padding-top:1.2rem;border-top:1px solid var(--line);font-weight:650}
h3{font-size:1rem;margin:1.6rem 0 .4rem;font-weight:650}
p,li,dd{max-width:46rem}
p{margin:.5rem 0}
.kind,.question,.note,figcaption{color:var(--muted)}
.kind{font-size:.85rem;margin:0 0 .6rem}
.question{font-size:1.1rem;font-style:italic}
.lead{font-size:1.2rem;line-height:1.45;margin:1.2rem 0;max-width:52rem}
.note{font-size:.9rem}
.banner{border-left:.35rem solid var(--series-2);background:var(--soft);padding:.8rem 1rem;margin:1.2rem 0;max-width:none}
.key{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:1px;margin:1.8rem 1px}
.key div{box-shadow:0 0 0 1px var(--line);padding:.7rem .9rem}
.key dt{font-size:.8rem;color:var(--muted)}
.key dd{margin:0;font-size:1.25rem;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.3}
.key small{display:block;font-size:.8rem;font-weight:400;color:var(--muted)}
.scroll{overflow-x:auto;margin:.8rem 0;-webkit-overflow-scrolling:touch}
.scroll:focus-visible{outline:2px solid var(--series-1);outline-offset:2px}
table{border-collapse:collapse;font-size:.88rem;line-height:1.4}
th,td{padding:.4rem .5rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line);white-space:nowrap}
thead th{vertical-align:bottom;border-bottom:2px solid var(--axis);font-weight:600;white-space:normal;min-width:4rem}
th.n,td.n{text-align:right;font-variant-numeric:tabular-nums}
td small{display:block;color:var(--muted)}
td.w{white-space:normal;min-width:15rem;max-width:34rem}
tbody th{font-weight:400;background:var(--background);position:sticky;left:0}
thead th:first-child{background:var(--background);position:sticky;left:0}
tbody tr:hover td,tbody tr:hover th{background:var(--soft)}
th button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer;text-align:inherit}
th button:focus-visible{outline:2px solid var(--series-1)}
th button::after{content:"\a0\2195";color:var(--muted);font-weight:400}
th[aria-sort=ascending] button::after{content:"\a0\2191";color:inherit}
th[aria-sort=descending] button::after{content:"\a0\2193";color:inherit}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,29rem),1fr));gap:2rem 2.5rem;align-items:start}
figure{margin:0;min-width:0}
figure.wide{grid-column:1/-1}
figure svg{display:block;width:100%;height:auto;max-width:46rem}
figure.wide svg{min-width:44rem;max-width:none}
svg text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
figcaption{font-size:.88rem;line-height:1.45;margin-top:.4rem;max-width:46rem}
figcaption strong{color:var(--ink);display:block}
pre{background:var(--soft);border:1px solid var(--line);padding:.8rem 1rem;overflow-x:auto;font-size:.85rem;line-height:1.5;tab-size:2}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
dl.list{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.3rem 1.2rem;margin:.8rem 0}
dl.list dt{color:var(--muted)}
dl.list dd{margin:0;min-width:0}
@media(max-width:30rem){dl.list{grid-template-columns:1fr;gap:0}dl.list dd{margin-bottom:.5rem}}
@media print{
:root{color-scheme:light}
body{max-width:none;padding:0;font-size:10pt}
h2{break-after:avoid;margin-top:1.5rem}
figure,tr,.banner,.key{break-inside:avoid}
.scroll{overflow:visible}
figure svg{max-width:32rem}figure.wide svg{min-width:0;max-width:none}
table{font-size:7pt}th,td{padding:.2rem .3rem;white-space:normal}thead th{min-width:0}td.w{min-width:7rem}
tbody th,thead th:first-child{position:static}
th button::after{content:none}
pre{white-space:pre-wrap}
.key dd{font-size:11pt}
}
)";

// Headings become buttons only where scripts run. No < and no &: the page stays XML.
constexpr std::string_view kScript = R"(
document.querySelectorAll("table[data-sortable]").forEach(function (table) {
  var body = table.tBodies[0];
  var headings = Array.prototype.slice.call(table.tHead.rows[0].cells);
  headings.forEach(function (heading, column) {
    var button = document.createElement("button");
    button.type = "button";
    while (heading.firstChild) button.appendChild(heading.firstChild);
    heading.appendChild(button);
    button.addEventListener("click", function () {
      var sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      headings.forEach(function (other) { other.removeAttribute("aria-sort"); });
      heading.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      var rows = Array.prototype.slice.call(body.rows);
      rows.sort(function (a, b) {
        var x = a.cells[column], y = b.cells[column];
        var xs = x.getAttribute("data-sort"), ys = y.getAttribute("data-sort");
        if (heading.classList.contains("n")) {
          if (xs === null || ys === null) return (xs === null ? 1 : 0) - (ys === null ? 1 : 0);
          return sign * (Number(xs) - Number(ys));
        }
        return sign * x.textContent.localeCompare(y.textContent, undefined, {numeric: true});
      });
      rows.forEach(function (row) { body.appendChild(row); });
    });
  });
});
)";

// The variables of one colour scheme.
std::string variables(bool dark) {
  std::string text = ":root{";
  const auto add = [&](const PageColour& colour) {
    fmt::format_to(std::back_inserter(text), "{}:{};", colour.variable, dark ? colour.dark : colour.light);
  };
  for (const PageColour& colour : kSeries) add(colour);
  for (const PageColour& colour : {kAxis, kGrid, kBackground, kInk, kMuted, kLine, kSoft}) add(colour);
  return text + "}";
}

}  // namespace

std::string clean_text(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    result += length > 0 ? text.substr(0, length) : kReplacement;
    text.remove_prefix(length > 0 ? length : 1);
  }
  return result;
}

std::string escape_html(std::string_view text) {
  std::string result;
  for (const char c : clean_text(text)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string html_table(std::string_view name, const std::vector<TableColumn>& columns,
                       const std::vector<std::vector<TableCell>>& rows, bool sortable) {
  std::string html =
      fmt::format("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{}\">\n<table{}>\n<thead><tr>",
                  escape_html(name), sortable ? " data-sortable=\"yes\"" : "");
  const auto out = std::back_inserter(html);
  const auto kind = [](const TableColumn& column) { return column.number ? " class=\"n\"" : column.wide ? " class=\"w\"" : ""; };
  for (const TableColumn& column : columns) {
    fmt::format_to(out, "<th scope=\"col\"{}>{}</th>", kind(column), escape_html(column.heading));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const std::vector<TableCell>& row : rows) {
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string_view tag = i == 0 ? "th" : "td";
      fmt::format_to(out, "<{}{}{}", tag, i == 0 ? " scope=\"row\"" : "", kind(columns[i]));
      if (sortable && row[i].sort_by && std::isfinite(*row[i].sort_by)) fmt::format_to(out, " data-sort=\"{}\"", *row[i].sort_by);
      fmt::format_to(out, ">{}", escape_html(row[i].text));
      if (!row[i].detail.empty()) fmt::format_to(out, "<small>{}</small>", escape_html(row[i].detail));
      fmt::format_to(out, "</{}>", tag);
    }
    html += "</tr>\n";
  }
  return html + "</tbody>\n</table>\n</div>\n";
}

std::string html_page(std::string_view title, std::string_view body) {
  // The policy lets the page load nothing at all, whatever a study file's texts hold.
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;; "
      "script-src "
      "&#39;unsafe-inline&#39;\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<meta name=\"color-scheme\" content=\"light "
      "dark\"/>\n"
      "<title>{}</title>\n<style>\n{}\n@media screen and (prefers-color-scheme:dark){{{}}}\n{}</style>\n</head>\n<body>\n{}"
      "<script>{}</script>\n</body>\n</html>\n",
      escape_html(title), variables(false), variables(true), kStyle, body, kScript);
}

}  // namespace fryer::study
