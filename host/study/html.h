// SPDX-License-Identifier: Apache-2.0
// The pieces of a self-contained page: escaped text, tables, and the frame with its style and its only script. What these
// functions write is well-formed XML too. They load nothing and refer to nothing outside the page.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fryer::study {

// `text` as valid UTF-8 that XML allows: other bytes become U+FFFD. Newlines and tabs stay.
std::string clean_text(std::string_view text);
// clean_text with & < > " ' escaped: for elements and for attributes in either kind of quotes.
std::string escape_html(std::string_view text);

struct TableColumn {
  std::string heading;  // text
  bool number = false;  // right-aligned
  bool wide = false;    // sentences: they wrap
};
struct TableCell {
  std::string text;
  std::optional<double> sort_by;  // of a column of numbers; without it the row sorts last
  std::string detail = {};        // smaller, on a line of its own
};
// A table in a box that scrolls by itself, its first column the rows' heading. `name`: what the table holds, for those who do
// not see it.
std::string html_table(std::string_view name, const std::vector<TableColumn>& columns,
                       const std::vector<std::vector<TableCell>>& rows, bool sortable);

// The whole page. `body` is markup.
std::string html_page(std::string_view title, std::string_view body);

}  // namespace fryer::study
