# cmake --install: bin/, share/tributary/ (job scripts, experiments); it may be moved to another place. Torch is looked
# for in lib/torch beside it, then where it was when this was built. `--component torch` fills lib/torch with what a CPU
# needs of it.
set_target_properties(tributary PROPERTIES
  INSTALL_RPATH "$ORIGIN/../lib/torch;${TRIBUTARY_TORCH_DIR}/lib"
  INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS tributary RUNTIME DESTINATION bin)
install(DIRECTORY slurm experiments DESTINATION share/tributary USE_SOURCE_PERMISSIONS PATTERN site.env EXCLUDE)
install(FILES LICENSE README.md DESTINATION share/tributary)

file(GLOB torch_libraries
  "${TRIBUTARY_TORCH_DIR}/lib/libtorch_cpu.so" "${TRIBUTARY_TORCH_DIR}/lib/libc10.so"
  "${TRIBUTARY_TORCH_DIR}/lib/libgomp*.so*" "${TRIBUTARY_TORCH_DIR}/lib/libgfortran*.so*"
  # The wheel's CPU library wants these two even where there is no card.
  "${TRIBUTARY_TORCH_DIR}/../nvidia/*/lib/libcupti.so.*" "${TRIBUTARY_TORCH_DIR}/../nvidia/*/lib/libcudart.so.*"
  "${TRIBUTARY_TORCH_DIR}/../torch.libs/*.so*")
install(FILES ${torch_libraries} DESTINATION lib/torch COMPONENT torch EXCLUDE_FROM_ALL)
