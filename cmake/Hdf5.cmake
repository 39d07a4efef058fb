# Target `hdf5`: HDF5 1.10 or newer with its high-level library, through the calls of 1.10. pkg-config knows it under
# everybody's name, which is what modules and conda have, or Debian's, the serial one first. It is asked before CMake's
# own search, which may take an installed serial HDF5 where PKG_CONFIG_PATH points to a parallel one.
pkg_search_module(HDF5_PC QUIET IMPORTED_TARGET hdf5 hdf5-serial hdf5-openmpi hdf5-mpich)
add_library(hdf5 INTERFACE IMPORTED)
if(TARGET PkgConfig::HDF5_PC)
  find_library(HDF5_HL_LIBRARY NAMES hdf5_hl HINTS ${HDF5_PC_LIBRARY_DIRS} REQUIRED)  # of the same HDF5
  target_link_libraries(hdf5 INTERFACE ${HDF5_HL_LIBRARY} PkgConfig::HDF5_PC)
else()
  find_package(HDF5 REQUIRED COMPONENTS C HL)
  target_link_libraries(hdf5 INTERFACE ${HDF5_HL_LIBRARIES} ${HDF5_LIBRARIES})
  target_include_directories(hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIRS})
endif()
target_compile_definitions(hdf5 INTERFACE H5_USE_110_API)

# A parallel HDF5 works too: we open files on one rank, but its headers want MPI's. It brings that MPI into the program,
# where no other may be then.
try_compile(TRIBUTARY_HDF5_SERIAL SOURCE_FROM_CONTENT hdf5_serial.cpp [=[
#include <H5pubconf.h>
#ifdef H5_HAVE_PARALLEL
#error parallel
#endif
int main() {}
]=] LINK_LIBRARIES hdf5)
if(NOT TRIBUTARY_HDF5_SERIAL)
  if(HDF5_PC_MODULE_NAME MATCHES "^hdf5-(openmpi|mpich)$")
    find_program(MPI_C_COMPILER "mpicc.${CMAKE_MATCH_1}")
  endif()
  find_package(MPI REQUIRED COMPONENTS C)
  message(STATUS "HDF5 is a parallel one: linking it with MPI, the only one that the program will run under")
  target_link_libraries(hdf5 INTERFACE MPI::MPI_C)
  target_compile_definitions(hdf5 INTERFACE OMPI_SKIP_MPICXX=1)
  set(TRIBUTARY_MPI_COMPILERS "${MPI_C_COMPILER}")
endif()
