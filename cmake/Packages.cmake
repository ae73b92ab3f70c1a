# Debian packages: cpack --preset release. Everything is configured for /usr (CMakePresets.json).
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ctlsign)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # each package has its own
set(CPACK_PACKAGE_CONTACT "the ctlsign authors <ctlsign@packages.invalid>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
# Copyright, changelogs, compressed pages, and Debian's own places.
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/debian/finish.cmake)
set(CPACK_CTLSIGN_SOURCE_DIR ${PROJECT_SOURCE_DIR})

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL program runtime development virtual-token)
if(CTLSIGN_PYTHON_BINDING)
  list(APPEND CPACK_COMPONENTS_ALL python)
endif()
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SOURCE ctlsign)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(same_version "(= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")

function(ctlsign_package component name section summary description)
  string(TOUPPER ${component} component)
  set(CPACK_DEBIAN_${component}_PACKAGE_NAME ${name} PARENT_SCOPE)
  set(CPACK_DEBIAN_${component}_PACKAGE_SECTION ${section} PARENT_SCOPE)
  set(CPACK_DEBIAN_${component}_DESCRIPTION "${summary}\n${description}" PARENT_SCOPE)
  foreach(relation DEPENDS RECOMMENDS SUGGESTS)
    set(CPACK_DEBIAN_${component}_PACKAGE_${relation} "" PARENT_SCOPE)
  endforeach()
  file(GLOB scripts ${PROJECT_SOURCE_DIR}/cmake/debian/${name}/*)
  set(CPACK_DEBIAN_${component}_PACKAGE_CONTROL_EXTRA ${scripts} PARENT_SCOPE)
endfunction()

ctlsign_package(program ctlsign utils "sign, show and verify Cisco certificate trust lists"
"Signs the Certificate Trust Lists (CTLFile.tlv) of secured Cisco phone
clusters with USB security tokens, with an HSM or with the publisher's key,
shows and verifies them, and says beforehand which phones would refuse one.
.
It keeps the trust of a cluster over the years, signs configuration files,
and is a Trust Verification Service for phones (ctlsign-tvs.service, not
started before it has a key).")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS "p11-kit, p11-kit-modules")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SUGGESTS "ctlsign-virtual-token, opensc, pcscd")

# A package of its own, named after the version of its interface: programs that were linked with it keep theirs beside the
# next one, and depend on this alone, not on headers. Since when its interface is as it is, debian/libctlsign-c0/shlibs says.
ctlsign_package(runtime libctlsign-c0 libs "Cisco certificate trust lists, library for C"
"Decodes, builds, signs and verifies Certificate Trust Lists, with PKCS#11
tokens or key files, behind an interface for C with versioned symbols.")

ctlsign_package(development libctlsign-dev libdevel "Cisco certificate trust lists, development files"
"Headers, CMake and pkg-config files for the library for C (libctlsign-c) and
for those in C++20: pkcs11, sast, ctlsign, token keys as EVP_PKEY of
OpenSSL, virtual tokens with a header for GoogleTest.")
# What the exported targets are linked with; token keys load a module of the program's package, the header for GoogleTest that
# of virtual tokens. libssh2's pkg-config file links with libgpg-error, and its package does not ask for it.
string(JOIN ", " CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "libctlsign-c0 ${same_version}" "ctlsign ${same_version}" "ctlsign-virtual-token ${same_version}"
  libfmt-dev libgpg-error-dev libp11-dev libp11-kit-dev libpcsclite-dev libsqlite3-dev libssh2-1-dev libssl-dev libtomlplusplus-dev nlohmann-json3-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "libgtest-dev, pkg-config")

ctlsign_package(virtual-token ctlsign-virtual-token devel "PKCS#11 tokens for tests, plugged and broken by a script"
"A PKCS#11 module whose tokens are made of SoftHSM2 and behave as profiles
say: plugged in, pulled, locked and broken while the program under test
runs. With a command to do so and a plugin for pytest; the header for
GoogleTest is in libctlsign-dev. Needs nothing else of ctlsign.")
set(CPACK_DEBIAN_VIRTUAL-TOKEN_PACKAGE_DEPENDS libsofthsm2)
set(CPACK_DEBIAN_VIRTUAL-TOKEN_PACKAGE_SUGGESTS "libctlsign-dev, python3-pytest")

ctlsign_package(python python3-ctlsign python "Cisco certificate trust lists, package for Python"
"Decodes, builds, signs and verifies Certificate Trust Lists, with PKCS#11
tokens or key files; typed.")
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "${CTLSIGN_PYTHON_DEPENDS}")

include(CPack)
