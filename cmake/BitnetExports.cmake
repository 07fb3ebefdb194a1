# SPDX-License-Identifier: MIT
# bitnet_exports(TARGET): a shared library that gives out the functions of bitnet.h and nothing else, with its version, in
# the way of the system's linker.
function(bitnet_exports target)
  if(WIN32)
    export_by_definition(${target})
  elseif(APPLE)
    target_link_options(${target} PRIVATE "-Wl,-exported_symbol,_bitnet_*")
    set_target_properties(${target} PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${BITNET_ABI})
  else()
    export_by_version_script(${target})
  endif()
endfunction()

# ELF
function(export_by_version_script target)
  set(script ${PROJECT_BINARY_DIR}/lib/bitnet.map)
  configure_file(${PROJECT_SOURCE_DIR}/lib/bitnet.map.in ${script} @ONLY)
  set_target_properties(${target} PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION ${BITNET_ABI} LINK_DEPENDS ${script})
  target_link_options(${target} PRIVATE -Wl,--version-script=${script})
  if(NOT BITNET_SANITIZE)  # sanitizers leave symbols of their own undefined
    target_link_options(${target} PRIVATE -Wl,--no-undefined-version -Wl,-z,defs)
  endif()
endfunction()

# A module definition names every function, as the linkers of MinGW and of Visual Studio want it.
function(export_by_definition target)
  set(header ${PROJECT_SOURCE_DIR}/include/bitnet.h)
  set(definition ${PROJECT_BINARY_DIR}/lib/bitnet.def)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${header})
  file(STRINGS ${header} declarations REGEX "^BITNET_API ")
  list(TRANSFORM declarations REPLACE ".*[ *](bitnet_[a-z0-9_]+)\\(.*" "  \\1")
  list(JOIN declarations "\n" names)
  file(CONFIGURE OUTPUT ${definition} CONTENT "LIBRARY bitnet.dll\nEXPORTS\n${names}\n" @ONLY)
  target_sources(${target} PRIVATE ${definition})
  # bitnet.dll, and its import library beside the archive: libbitnet.dll.a
  set_target_properties(${target} PROPERTIES PREFIX "")
  bitnet_resource(${target} DLL bitnet.dll "Runs 1.58-bit (ternary) language models")
endfunction()

# bitnet_resource(TARGET DLL|APP name description): what Windows shows of a file's version; for a program also that it
# takes long paths.
function(bitnet_resource target kind name description)
  enable_language(RC)
  set(resource ${PROJECT_BINARY_DIR}/resources/${name}.rc)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/bitnet.rc.in ${resource} @ONLY)
  target_sources(${target} PRIVATE ${resource})
endfunction()
