# SPDX-License-Identifier: MIT
# Toolchain file: Debian's MinGW for Windows on x86-64, with the libraries that scripts/dependencies built.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc-posix)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
find_program(BITNET_WINE NAMES wine wine64)
if(BITNET_WINE)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${BITNET_WINE})
endif()

# What is linked has the C++ runtime inside, which Debian compiles with much to debug.
foreach(kind EXE SHARED MODULE)
  set(CMAKE_${kind}_LINKER_FLAGS_RELEASE_INIT -s)
endforeach()

get_filename_component(BITNET_DEPENDENCIES ${CMAKE_CURRENT_LIST_DIR}/../build/dependencies/x86_64-w64-mingw32 ABSOLUTE)
set(CMAKE_FIND_ROOT_PATH ${BITNET_DEPENDENCIES} /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# For headers without a package: FlatBuffers.
set(CMAKE_C_STANDARD_INCLUDE_DIRECTORIES ${BITNET_DEPENDENCIES}/include)
set(CMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES ${BITNET_DEPENDENCIES}/include)
