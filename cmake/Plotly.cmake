# Plotly's script, as the PyPI package `plotly` ships it: the charts of report.html.
# TRIBUTARY_PLOTLY: the file plotly/package_data/plotly.min.js.

file(GLOB installed_plotly "${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/plotly/package_data")
find_file(TRIBUTARY_PLOTLY plotly.min.js PATHS ${installed_plotly} NO_DEFAULT_PATH
  DOC "plotly.min.js of an installed plotly package")
if(NOT EXISTS "${TRIBUTARY_PLOTLY}")
  message(FATAL_ERROR "no chart script at '${TRIBUTARY_PLOTLY}': run ./run setup, which installs the plotly package, "
    "or give -DTRIBUTARY_PLOTLY=…/plotly/package_data/plotly.min.js")
endif()
