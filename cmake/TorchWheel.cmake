# LibTorch from the installed `torch` wheel, as an imported target of our own: the wheel's own
# TorchConfig.cmake demands an installed CUDA toolkit, which our code does not need.
# TRIBUTARY_TORCH_DIR: the wheel's torch folder (…/site-packages/torch).

file(GLOB installed_torch "${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
find_path(TRIBUTARY_TORCH_DIR lib/libtorch_cpu.so PATHS ${installed_torch} NO_DEFAULT_PATH
  DOC "The torch folder of an installed torch wheel")
if(NOT EXISTS "${TRIBUTARY_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "no LibTorch at '${TRIBUTARY_TORCH_DIR}' (lib/libtorch_cpu.so is missing): "
    "run ./run setup, which installs the wheel, or give -DTRIBUTARY_TORCH_DIR=…/site-packages/torch")
endif()

# The wheel ships its own, newer fmt headers; a folder with nothing but the system's fmt goes before them.
set(fmt_first "${PROJECT_BINARY_DIR}/system-fmt")
file(MAKE_DIRECTORY "${fmt_first}")
find_path(SYSTEM_FMT_DIR fmt/format.h REQUIRED)
file(CREATE_LINK "${SYSTEM_FMT_DIR}/fmt" "${fmt_first}/fmt" SYMBOLIC)

add_library(torch_wheel INTERFACE)
target_include_directories(torch_wheel SYSTEM BEFORE INTERFACE "${fmt_first}")
target_include_directories(torch_wheel SYSTEM INTERFACE
  "${TRIBUTARY_TORCH_DIR}/include" "${TRIBUTARY_TORCH_DIR}/include/torch/csrc/api/include")
# Per-operator headers: a header of LibTorch then includes the operators it uses, not all two thousand.
target_compile_definitions(torch_wheel INTERFACE USE_DISTRIBUTED=0 AT_PER_OPERATOR_HEADERS)
# torch's folder comes before any system folder, or the loader takes an installed older LibTorch.
list(PREPEND CMAKE_BUILD_RPATH "${TRIBUTARY_TORCH_DIR}/lib")
# Not libtorch_cuda, which costs memory and start-up time: the program loads it where there is a card.
target_link_libraries(torch_wheel INTERFACE
  "${TRIBUTARY_TORCH_DIR}/lib/libtorch_cpu.so" "${TRIBUTARY_TORCH_DIR}/lib/libc10.so")

# The headers that nearly every source on tensors reads, compiled once.
set(TRIBUTARY_TORCH_HEADERS "${PROJECT_SOURCE_DIR}/attribution/model/tensors.h")
