# SPDX-License-Identifier: Apache-2.0
# `cmake --install`: headers, library, program and the files behind find_package(fryer).

include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fryer)

install(TARGETS fryer_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS fryer_library fryer_headers EXPORT fryer_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
# All headers but the one that needs Thrust, which users of the library may not have.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/fryer DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h" PATTERN engine/statistics.h EXCLUDE)
install(EXPORT fryer_targets NAMESPACE fryer:: FILE fryer-targets.cmake DESTINATION ${package_dir})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/fryer-config.cmake.in ${PROJECT_BINARY_DIR}/fryer-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/fryer-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fryer-config.cmake ${PROJECT_BINARY_DIR}/fryer-config-version.cmake
  DESTINATION ${package_dir})
