# SPDX-License-Identifier: MIT
# What the library needs: flatc, and the libraries that pkg-config finds, as targets PkgConfig::ZSTD, PkgConfig::PCRE2,
# PkgConfig::UTF8PROC and PkgConfig::XXHASH; and the headers of FlatBuffers and nlohmann-json. Whatever is missing is named
# at once, with the packages that bring it. With BITNET_CORE only headers are needed besides flatc: those of FlatBuffers,
# and that of xxHash, whose functions are then compiled in.
include(CheckIncludeFile)
include(CheckIncludeFileCXX)
find_package(PkgConfig QUIET)

set(bitnet_missing)
macro(bitnet_dependency prefix module debian fedora arch brew)
  if(PkgConfig_FOUND)
    pkg_check_modules(${prefix} QUIET IMPORTED_TARGET ${module})
  endif()
  if(NOT ${prefix}_FOUND)
    string(APPEND bitnet_missing "  ${module}: ${debian} (Debian, Ubuntu), ${fedora} (Fedora), ${arch} (Arch), ${brew} (Homebrew)\n")
  endif()
endmacro()

if(NOT PkgConfig_FOUND AND NOT BITNET_CORE)
  string(APPEND bitnet_missing
    "  pkg-config: pkg-config (Debian, Ubuntu), pkgconf-pkg-config (Fedora), pkgconf (Arch, Homebrew)\n")
endif()
find_program(BITNET_FLATC flatc)
if(NOT BITNET_FLATC)
  string(APPEND bitnet_missing "  flatc: flatbuffers-compiler, libflatbuffers-dev (Debian, Ubuntu), flatbuffers, flatbuffers-devel (Fedora), "
    "flatbuffers (Arch, Homebrew)\n")
endif()
if(BITNET_CORE)
  check_include_file(xxhash.h BITNET_HAS_XXHASH)
  if(NOT BITNET_HAS_XXHASH)
    string(APPEND bitnet_missing "  xxhash.h: libxxhash-dev (Debian, Ubuntu), xxhash-devel (Fedora), xxhash (Arch, Homebrew)\n")
  endif()
else()
  bitnet_dependency(ZSTD libzstd libzstd-dev libzstd-devel zstd zstd)
  bitnet_dependency(PCRE2 libpcre2-8 libpcre2-dev pcre2-devel pcre2 pcre2)
  bitnet_dependency(UTF8PROC libutf8proc libutf8proc-dev utf8proc-devel libutf8proc utf8proc)
  bitnet_dependency(XXHASH libxxhash libxxhash-dev xxhash-devel xxhash xxhash)
  check_include_file_cxx(nlohmann/json.hpp BITNET_HAS_JSON)
  if(NOT BITNET_HAS_JSON)
    string(APPEND bitnet_missing
      "  nlohmann/json.hpp: nlohmann-json3-dev (Debian, Ubuntu), json-devel (Fedora), nlohmann-json (Arch, Homebrew)\n")
  endif()
endif()
if(bitnet_missing)
  message(FATAL_ERROR "libbitnet is built with tools and libraries that are not here, or that pkg-config does not find. "
    "What is missing, and the packages that bring it:\n${bitnet_missing}"
    "scripts/setup build in the sources installs them. Libraries elsewhere are found by PKG_CONFIG_PATH.")
endif()
