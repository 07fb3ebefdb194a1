# SPDX-License-Identifier: MIT
# What `cmake --install` puts where. Nothing installed knows the prefix: the whole tree may be moved afterwards.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/bitnet)

# The shared library and the archive are exported apart, so that a user of the first needs nothing else.
foreach(kind ${BITNET_KINDS})
  install(TARGETS bitnet_${kind} EXPORT bitnet-${kind}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}  # a DLL; its import library is an archive
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT bitnet-${kind} NAMESPACE bitnet:: FILE bitnet-${kind}.cmake DESTINATION ${package_dir})
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/include/bitnet.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/bitnet-config.cmake.in
  ${PROJECT_BINARY_DIR}/cmake/bitnet-config.cmake INSTALL_DESTINATION ${package_dir}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/bitnet-config-version.cmake
  COMPATIBILITY ${BITNET_ABI_COMPATIBILITY})
install(FILES
  ${PROJECT_BINARY_DIR}/cmake/bitnet-config.cmake ${PROJECT_BINARY_DIR}/cmake/bitnet-config-version.cmake
  DESTINATION ${package_dir})

if(TARGET bitnet_program)
  install(TARGETS bitnet_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(FILES ${PROJECT_SOURCE_DIR}/tools/bitnet.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/bitnet/models
    FILES_MATCHING PATTERN *.bitnet PATTERN *.md)
endif()

install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md
  ${PROJECT_SOURCE_DIR}/LICENSE.third-party ${PROJECT_SOURCE_DIR}/lib/text/jinja/LICENSE.unicode
  DESTINATION ${CMAKE_INSTALL_DOCDIR})
