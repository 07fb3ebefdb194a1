# SPDX-License-Identifier: MIT
# Toolchain file: the clang of zig, which has the C libraries of many systems with it, in many versions. Used by
# scripts/natives.
#
#   BITNET_ZIG         the program zig
#   BITNET_ZIG_TARGET  one of zig's: x86_64-linux-gnu.2.28, aarch64-linux-musl, aarch64-windows-gnu, ...
#
# The libraries are those that scripts/dependencies built for the target.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES BITNET_ZIG BITNET_ZIG_TARGET)
string(REGEX MATCH "^[a-z0-9_]+" CMAKE_SYSTEM_PROCESSOR ${BITNET_ZIG_TARGET})
set(CMAKE_SYSTEM_NAME Linux)
if(BITNET_ZIG_TARGET MATCHES "windows")
  set(CMAKE_SYSTEM_NAME Windows)
endif()

# CMake wants programs, compiler caches want a compiler that is one. zig compiles its C and C++ libraries once for each level of
# optimization that it links for: -O3 here keeps CMake's own checks from being another one.
get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
set(programs ${root}/build/dependencies/zig/${BITNET_ZIG_TARGET})
foreach(command cc c++ ar ranlib rc dlltool)
  set(line "exec '${BITNET_ZIG}' ${command}")
  if(command MATCHES "^c")
    string(APPEND line " -target ${BITNET_ZIG_TARGET} -O3")
  elseif(command STREQUAL "rc")
    string(APPEND line " /:auto-includes gnu")
  endif()
  file(CONFIGURE OUTPUT ${programs}/${command} CONTENT "#!/bin/sh\n${line} \"$@\"\n" @ONLY)
  file(CHMOD ${programs}/${command} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
endforeach()
set(CMAKE_C_COMPILER ${programs}/cc)
set(CMAKE_CXX_COMPILER ${programs}/c++)
set(CMAKE_AR ${programs}/ar)
set(CMAKE_RANLIB ${programs}/ranlib)
set(CMAKE_RC_COMPILER ${programs}/rc)
set(CMAKE_DLLTOOL ${programs}/dlltool)

# A library that others load has the C++ runtime inside, which zig compiles with much to debug; a program for musl has
# everything, and runs on any Linux.
foreach(kind EXE SHARED MODULE)
  set(CMAKE_${kind}_LINKER_FLAGS_INIT -s)
endforeach()
# zig leaves out what ends a library's static objects when it is unloaded (GCC's crtbeginS.o), and the program would end them
# where the library was. So it stays until the program ends; musl unloads nothing anyway.
if(BITNET_ZIG_TARGET MATCHES "linux-gnu")
  string(APPEND CMAKE_SHARED_LINKER_FLAGS_INIT " -Wl,-z,nodelete")
  string(APPEND CMAKE_MODULE_LINKER_FLAGS_INIT " -Wl,-z,nodelete")
endif()
if(BITNET_ZIG_TARGET MATCHES "musl")
  string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " -static")
endif()

set(CMAKE_FIND_ROOT_PATH ${root}/build/dependencies/${BITNET_ZIG_TARGET})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
