# Run by cpack before the packages are closed: what Debian's policy wants in each of them, and in its own places.
set(files FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} upper)
  set(name ${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
  set(root ${CPACK_TEMPORARY_DIRECTORY}/${component})
  set(share ${root}/usr/share)

  file(COPY ${CMAKE_CURRENT_LIST_DIR}/copyright DESTINATION ${share}/doc/${name} ${files})
  file(COPY ${CPACK_CTLSIGN_SOURCE_DIR}/CHANGELOG.md ${CMAKE_CURRENT_LIST_DIR}/changelog DESTINATION ${share}/doc/${name} ${files})
  file(RENAME ${share}/doc/${name}/changelog ${share}/doc/${name}/changelog.Debian)
  file(RENAME ${share}/doc/${name}/CHANGELOG.md ${share}/doc/${name}/changelog)
  if(component STREQUAL "program")
    # With what the documents refer to, where they look for it.
    file(COPY ${CPACK_CTLSIGN_SOURCE_DIR}/docs DESTINATION ${share}/doc/${name} ${files} PATTERN CMakeLists.txt EXCLUDE PATTERN *.in EXCLUDE)
    foreach(path README.md SECURITY.md CHANGELOG.md bindings/c/examples bindings/openssl/examples bindings/python/examples
        ctlsign/phone/models.toml pkcs11/quirks.toml)
      cmake_path(GET path PARENT_PATH folder)
      file(COPY ${CPACK_CTLSIGN_SOURCE_DIR}/${path} DESTINATION ${share}/doc/${name}/${folder} ${files} PATTERN __pycache__ EXCLUDE)
    endforeach()
    file(MAKE_DIRECTORY ${root}/etc/ctlsign)  # where the unit looks for the key and the database
  elseif(component STREQUAL "virtual-token")
    file(COPY ${CPACK_CTLSIGN_SOURCE_DIR}/docs/virtual-tokens.md DESTINATION ${share}/doc/${name} ${files})
    file(COPY ${CPACK_CTLSIGN_SOURCE_DIR}/docs/how-to/test-your-software.md DESTINATION ${share}/doc/${name}/how-to ${files})
  endif()
  file(GLOB plain ${share}/doc/${name}/changelog* ${share}/man/man1/*.1)
  execute_process(COMMAND gzip -9n ${plain} COMMAND_ERROR_IS_FATAL ANY)

  if(EXISTS ${share}/zsh/site-functions)
    file(RENAME ${share}/zsh/site-functions ${share}/zsh/vendor-completions)
  endif()
  file(GLOB libraries ${root}/usr/lib/*/*.a)
  if(libraries)
    execute_process(COMMAND strip --strip-debug --enable-deterministic-archives ${libraries} COMMAND_ERROR_IS_FATAL ANY)
  endif()
  # For one version of the interpreter, as the name of the extension says; all of them look here.
  file(GLOB versioned ${root}/usr/lib/python3.*)
  if(versioned)
    file(RENAME ${versioned} ${root}/usr/lib/python3)
  endif()
  execute_process(COMMAND find ${root} -type d -exec chmod 755 {} + COMMAND_ERROR_IS_FATAL ANY)  # whatever the umask
endforeach()
