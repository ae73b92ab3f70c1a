# Warnings and hardening for our own targets; sanitizers for everything.
include(CheckPIESupported)
check_pie_supported()

if(CTLSIGN_SANITIZE)
  add_compile_options(-fsanitize=${CTLSIGN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CTLSIGN_SANITIZE})
endif()

add_library(ctlsign_options INTERFACE)
target_compile_options(ctlsign_options INTERFACE
  -Wall -Wextra -Wconversion -Wshadow $<$<BOOL:${CTLSIGN_WERROR}>:-Werror>
  -fstack-protector-strong -fstack-clash-protection)
if(CTLSIGN_SANITIZE)
  # Instrumented, g++ 12 warns of libstdc++'s own <regex>.
  target_compile_options(ctlsign_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
else()
  target_compile_options(ctlsign_options INTERFACE $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
endif()
target_link_options(ctlsign_options INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)


# Marks TARGET as ours.
function(ctlsign_target target)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:ctlsign_options>)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/ctlsign>)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  endif()
  if(CTLSIGN_SANITIZE MATCHES thread)
    target_compile_options(${target} PRIVATE -O0)  # threads wait for tokens, compilers for nobody
  elseif(CTLSIGN_SANITIZE AND NOT type STREQUAL "STATIC_LIBRARY")
    # The libraries do the work, and are what fuzzing covers; programs and tests, with the templates of what they include, are
    # compiled in half the time.
    target_compile_options(${target} PRIVATE -O0 -fno-sanitize=fuzzer-no-link)
  endif()
endfunction()

# A library of ours: its headers are verified to compile alone, and installed beside each other.
function(ctlsign_library target export_name)
  cmake_parse_arguments(arg "" "" "SOURCES;HEADERS" ${ARGN})
  add_library(${target} ${arg_SOURCES})
  add_library(ctlsign::${export_name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${export_name} VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
    VERIFY_INTERFACE_HEADER_SETS ${CTLSIGN_TESTS})
  if(BUILD_SHARED_LIBS)
    # What C++ headers show has no list; the C interface has (bindings/c/ctlsign-c.map).
    set_target_properties(${target} PROPERTIES CXX_VISIBILITY_PRESET default VISIBILITY_INLINES_HIDDEN OFF)
  endif()
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${arg_HEADERS})
  target_compile_features(${target} PUBLIC cxx_std_20)  # its headers are for other projects too
  ctlsign_target(${target})
  install(TARGETS ${target} EXPORT ctlsign-targets FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ctlsign)
endfunction()
