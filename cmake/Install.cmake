# find_package(ctlsign) and pkg-config for those who build on the libraries. Both can be moved with the installation.
include(CMakePackageConfigHelpers)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/ctlsign)
install(EXPORT ctlsign-targets NAMESPACE ctlsign:: DESTINATION ${package_folder})
install(EXPORT ctlsign-c-targets NAMESPACE ctlsign:: DESTINATION ${package_folder})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/ctlsignConfig.cmake.in
  ${PROJECT_BINARY_DIR}/ctlsignConfig.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ctlsignConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ctlsignConfig.cmake ${PROJECT_BINARY_DIR}/ctlsignConfigVersion.cmake
  DESTINATION ${package_folder})

file(RELATIVE_PATH prefix_of_pc ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
foreach(name ctlsign ctlsign-c)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
