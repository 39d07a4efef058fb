# tributary_embed(TARGET NAMESPACE function=file …): the bytes of files in the program's read-only data, each behind a
# function `std::string_view <function>()`. The assembler copies them: a compiler would take minutes over a few megabytes
# of literals.
enable_language(ASM)

function(tributary_embed target namespace)
  set(assembly "${PROJECT_BINARY_DIR}/embedded/${target}.S")
  set(source "${PROJECT_BINARY_DIR}/embedded/${target}.cpp")
  set(data "  .section .rodata\n")
  set(symbols "")
  set(functions "")
  set(files "")
  foreach(pair ${ARGN})
    string(REGEX MATCH "^([a-z_]+)=(.*)$" whole "${pair}")
    set(function "${CMAKE_MATCH_1}")
    set(file "${CMAKE_MATCH_2}")
    set(symbol "tributary_${function}")
    list(APPEND files "${file}")
    string(APPEND data "  .global ${symbol}\n${symbol}:\n  .incbin \"${file}\"\n"
      "  .global ${symbol}_end\n${symbol}_end:\n")
    string(APPEND symbols "extern \"C\" const char ${symbol}[];\nextern \"C\" const char ${symbol}_end[];\n")
    string(APPEND functions "std::string_view ${function}() { return {${symbol}, ${symbol}_end}; }\n")
  endforeach()
  string(APPEND data "  .section .note.GNU-stack,\"\",%progbits\n")
  file(CONFIGURE OUTPUT "${assembly}" CONTENT "${data}" @ONLY)
  file(CONFIGURE OUTPUT "${source}" @ONLY CONTENT
    "#include <string_view>\n\n${symbols}\nnamespace ${namespace} {\n${functions}}  // namespace ${namespace}\n")
  set_source_files_properties("${assembly}" PROPERTIES OBJECT_DEPENDS "${files}")
  target_sources(${target} PRIVATE "${assembly}" "${source}")
endfunction()
