# A room is one static library made of the sources in its folder, and one test binary made of tests/<room>/.

# Warnings of all that we build ourselves.
function(tributary_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
  # gcc 13 takes a reference that a function returns for one into its temporary arguments.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wno-dangling-reference>)
  endif()
  if(TRIBUTARY_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# What is built for use: with TRIBUTARY_SANITIZE the sanitizers look at it.
function(tributary_flags target)
  tributary_warnings(${target})
  # Products and sums that are written apart are rounded apart, as LibTorch's are, on every processor.
  target_compile_options(${target} PRIVATE -ffp-contract=off)
  if(TRIBUTARY_SANITIZE)
    # No vptr check: it wants type information that the torch wheel does not export.
    target_compile_options(${target} PRIVATE -O1 -g1 -UNDEBUG
      -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=address,undefined)
  endif()
  if(TRIBUTARY_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# What is built for tests only is not optimised, and the sanitizers look at what it calls, not at it: so it is compiled
# with the same words in every preset of build type Release, and ccache needs to do that once.
function(tributary_test_flags target)
  tributary_warnings(${target})
  target_compile_options(${target} PRIVATE -O0)
  if(TRIBUTARY_SANITIZE)
    target_link_options(${target} PRIVATE -fsanitize=address,undefined)
  endif()
endfunction()

# tributary_room(NAME libraries…): names of other rooms stand for their libraries.
function(tributary_room name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${name}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(NOT sources)
    message(STATUS "room ${name}/ is empty")
    return()
  endif()
  add_library(tributary_${name} STATIC ${sources})
  target_include_directories(tributary_${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  foreach(library ${ARGN})
    if(TARGET tributary_${library})
      target_link_libraries(tributary_${name} PUBLIC tributary_${library})
    else()
      target_link_libraries(tributary_${name} PUBLIC ${library})
    endif()
  endforeach()
  tributary_flags(tributary_${name})
  tributary_unity(tributary_${name} ${sources})
endfunction()

# TRIBUTARY_UNITY: the sources of a folder are compiled as one, so that the headers they share are read and what they
# instantiate is compiled once. All in all that takes half the time; after a change of one source it takes longer.
function(tributary_unity target)
  if(NOT TRIBUTARY_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  foreach(source ${ARGN})
    cmake_path(RELATIVE_PATH source BASE_DIRECTORY "${PROJECT_SOURCE_DIR}" OUTPUT_VARIABLE group)
    cmake_path(GET group PARENT_PATH group)
    string(MAKE_C_IDENTIFIER "${group}" group)
    set_source_files_properties("${source}" PROPERTIES UNITY_GROUP "${group}")
  endforeach()
endfunction()

# tributary_tests(ROOM): tests/<room>/**/*_test.cpp, run by ctest under the label `unit`.
function(tributary_tests room)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/${room}/*_test.cpp")
  if(NOT sources OR NOT TARGET tributary_${room})
    message(STATUS "no tests of ${room}/")
    return()
  endif()
  add_executable(${room}_tests ${sources})
  target_link_libraries(${room}_tests PRIVATE tributary_${room} GTest::gmock GTest::gtest GTest::gtest_main)
  tributary_test_flags(${room}_tests)
  tributary_unity(${room}_tests ${sources})
  add_dependencies(unit_tests ${room}_tests)
  # Cut in two, which run side by side: every other test case each.
  foreach(half 0 1)
    add_test(NAME ${room}_${half} COMMAND ${room}_tests WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
    set_tests_properties(${room}_${half} PROPERTIES LABELS unit TIMEOUT 900
      ENVIRONMENT "${TRIBUTARY_TEST_ENVIRONMENT};GTEST_TOTAL_SHARDS=2;GTEST_SHARD_INDEX=${half}")
  endforeach()
endfunction()

# The loops of attribution/model/detail/cpu_kernels.inl, compiled once for each instruction set; the best one that the
# machine has is chosen when the program runs. -fopenmp-simd only lets sums be reordered where the source says so;
# without peeling, how they are does not depend on a row's address.
function(tributary_kernel_sets)
  set(folder "${PROJECT_SOURCE_DIR}/attribution/model/detail")
  set(common -O3 -fopenmp-simd -fno-math-errno -fno-trapping-math -ffp-contract=fast)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND common --param=vect-max-peeling-for-alignment=0)
  elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    list(APPEND common -Wno-pass-failed)  # it warns of each loop that it leaves scalar, which costs time only
  endif()
  set(sets baseline)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(APPEND sets avx2 avx512)
  endif()
  set(flags_avx2 -mavx2 -mfma)
  set(flags_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512)
  foreach(set baseline avx2 avx512)
    set(source "${folder}/cpu_kernels_${set}.cpp")
    if(set IN_LIST sets)
      set_source_files_properties("${source}" PROPERTIES
        SKIP_PRECOMPILE_HEADERS ON SKIP_UNITY_BUILD_INCLUSION ON COMPILE_OPTIONS "${common};${flags_${set}}")
    else()
      set_source_files_properties("${source}" PROPERTIES HEADER_FILE_ONLY ON)
    endif()
  endforeach()
endfunction()
