# The program links no MPI. For each MPI that is found there is a library lib/tributary/<mpi>.so, made of
# runner/mpi/mpi_layer.c by that MPI's own compiler, which knows best where everything is; the program opens the one
# whose launcher has started it.
# TRIBUTARY_MPI_COMPILERS: the compilers of the MPIs, by name or path; of several of one MPI the first counts.
# Sets TRIBUTARY_MPIS, their names, and for each of them TRIBUTARY_MPIRUN_<mpi> where its mpirun lies beside it.
set(TRIBUTARY_MPI_COMPILERS "mpicc;mpicc.openmpi;mpicc.mpich" CACHE STRING
  "Compilers of the MPIs that the program shall run under (empty: none, one rank only)")

# What mpi.h defines, the name of the library, and the MPI's own. MPICH's descendants define its version as well.
set(mpi_rows
  "OPEN_MPI|openmpi|Open MPI"
  "I_MPI_VERSION|intelmpi|Intel MPI"
  "CRAY_MPICH_VERSION|craympich|Cray MPICH"
  "MVAPICH2_VERSION|mvapich|MVAPICH2"
  "MVAPICH_VERSION|mvapich|MVAPICH"
  "MPICH_VERSION|mpich|MPICH")

# The library's name and the MPI's title with its version, both empty where the compiler does not work.
function(tributary_which_mpi compiler mpi title)
  set(source "${PROJECT_BINARY_DIR}/mpi/which.c")
  file(WRITE "${source}" "#include <mpi.h>\n")
  execute_process(COMMAND "${compiler}" -E -dM "${source}"
    RESULT_VARIABLE code OUTPUT_VARIABLE macros ERROR_VARIABLE problem)
  set(${mpi} "" PARENT_SCOPE)
  set(${title} "" PARENT_SCOPE)
  if(NOT code EQUAL 0)
    message(WARNING "${compiler} does not compile a line that includes mpi.h, so its MPI is left out:\n${problem}")
    return()
  endif()
  foreach(row ${mpi_rows})
    string(REPLACE "|" ";" row "${row}")
    list(POP_FRONT row macro name words)
    if(macros MATCHES "#define ${macro} \"?([^\"\n]*)")
      set(version "${CMAKE_MATCH_1}")
      if(name STREQUAL openmpi)
        string(REGEX REPLACE ".*#define OMPI_MAJOR_VERSION ([0-9]+).*" "\\1" major "${macros}")
        string(REGEX REPLACE ".*#define OMPI_MINOR_VERSION ([0-9]+).*" "\\1" minor "${macros}")
        string(REGEX REPLACE ".*#define OMPI_RELEASE_VERSION ([0-9]+).*" "\\1" release "${macros}")
        set(version "${major}.${minor}.${release}")
      endif()
      set(${mpi} "${name}" PARENT_SCOPE)
      set(${title} "${words} ${version}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(WARNING "the MPI of ${compiler} is none that the program knows, so it is left out")
endfunction()

file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/lib/tributary")
set(TRIBUTARY_MPIS "")
set(mpi_found "")
set(mpi_libraries "")
foreach(wanted ${TRIBUTARY_MPI_COMPILERS})
  find_program(compiler "${wanted}" NO_CACHE)
  if(NOT compiler)
    continue()
  endif()
  tributary_which_mpi("${compiler}" mpi title)
  if(mpi STREQUAL "" OR mpi IN_LIST TRIBUTARY_MPIS)
    unset(compiler)
    continue()
  endif()
  set(library "${PROJECT_BINARY_DIR}/lib/tributary/${mpi}.so")
  set(source "${PROJECT_SOURCE_DIR}/runner/mpi/mpi_layer.c")
  add_custom_command(OUTPUT "${library}"
    COMMAND "${compiler}" -std=c11 -O2 -Wall -Wextra $<$<BOOL:${TRIBUTARY_WERROR}>:-Werror> -fPIC -shared
      "-DTRIBUTARY_MPI_NAME=\"${title}\"" "${source}" -o "${library}"
    DEPENDS "${source}" "${PROJECT_SOURCE_DIR}/runner/mpi/mpi_layer.h" "${compiler}"
    COMMENT "lib/tributary/${mpi}.so for ${title}" COMMAND_EXPAND_LISTS VERBATIM)
  list(APPEND TRIBUTARY_MPIS "${mpi}")
  list(APPEND mpi_libraries "${library}")
  list(APPEND mpi_found "${title} (${compiler})")
  string(REGEX REPLACE "mpicc([^/]*)$" "mpirun\\1" mpirun "${compiler}")
  if(NOT mpirun STREQUAL compiler AND EXISTS "${mpirun}")
    set(TRIBUTARY_MPIRUN_${mpi} "${mpirun}")
  endif()
  unset(compiler)
endforeach()
add_custom_target(mpi_layers DEPENDS ${mpi_libraries})
file(GLOB present "${PROJECT_BINARY_DIR}/lib/tributary/*.so")
foreach(library ${present})
  if(NOT library IN_LIST mpi_libraries)  # left over from an MPI that is not wanted any more
    file(REMOVE "${library}")
  endif()
endforeach()
if(mpi_libraries)
  install(FILES ${mpi_libraries} DESTINATION lib/tributary)
  list(JOIN mpi_found ", " mpi_found)
  message(STATUS "MPI: the program will run under ${mpi_found}")
else()
  message(STATUS "MPI: none found, so the program will run on one rank only; put an mpicc in PATH, or give "
    "-DTRIBUTARY_MPI_COMPILERS=…")
endif()
