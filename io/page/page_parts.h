// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The files that a report page is made of, as they were when the program was built (cmake/Embed.cmake).
#pragma once

#include <string_view>

namespace tributary::detail {

std::string_view page_skeleton();  //!< io/page/report.html
std::string_view page_style();     //!< io/page/report.css
std::string_view page_script();    //!< io/page/{document,tables,charts,report}.js
std::string_view page_plotly();    //!< Plotly's script, from the PyPI package plotly

}  // namespace tributary::detail
