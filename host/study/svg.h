// SPDX-License-Identifier: Apache-2.0
// Gnuplot's SVG as part of a page.
#pragma once

#include <string>
#include <string_view>

namespace fryer::study {

// `drawn` (a whole SVG document by gnuplot 5.4) as an element: named and described for those who do not see it, ids that begin
// with `name`, in the page's colours (palette.h), without background, links and what is empty. Throws Error where it is no such
// document.
std::string inline_svg(const std::string& drawn, std::string_view name, std::string_view title, std::string_view description);

}  // namespace fryer::study
