# SPDX-License-Identifier: MIT
# What the library needs: flatc, and the libraries that pkg-config finds, as targets PkgConfig::ZSTD, PkgConfig::PCRE2,
# PkgConfig::UTF8PROC and PkgConfig::XXHASH; and the headers of FlatBuffers and nlohmann-json. Whatever is missing or too old
# is named at once, with the packages that bring it. With BITNET_CORE only headers are needed besides flatc: those of
# FlatBuffers, and that of xxHash, whose functions are then compiled in. docs/building.md lists the versions as well.
include(CheckIncludeFileCXX)
find_package(PkgConfig QUIET)

# bitnet_refuse(what found packages): one more line of what is missing or too old.
function(bitnet_refuse what found packages)
  set_property(DIRECTORY APPEND_STRING PROPERTY BITNET_REFUSED "  ${what} (${found}): ${packages}\n")
endfunction()

# bitnet_module(prefix module version packages): what pkg-config finds. A version of 0 is any.
function(bitnet_module prefix module version packages)
  set(needed ${module})
  set(said ${module})
  if(version)
    set(needed ${module}>=${version})
    set(said "${module} ${version} or newer")
  endif()
  set(found_version)
  if(PkgConfig_FOUND)
    pkg_check_modules(${prefix} QUIET IMPORTED_TARGET ${needed})
    if(${prefix}_FOUND)
      return()
    endif()
    bitnet_version_of(found_version ${PKG_CONFIG_EXECUTABLE} "--modversion;${module}")
  endif()
  bitnet_found(found "${found_version}")
  bitnet_refuse("${said}" "${found}" "${packages}")
endfunction()

# bitnet_header(variable header): `variable` is the folder of a header that no compiled library comes with, if CMake finds it.
# BITNET_HEADER_FOLDERS collects them: with CMAKE_PREFIX_PATH they are not those of the compiler.
set(BITNET_HEADER_FOLDERS)
macro(bitnet_header variable header)
  find_path(${variable} ${header})
  mark_as_advanced(${variable})
  if(${variable})
    list(APPEND BITNET_HEADER_FOLDERS ${${variable}})
    list(REMOVE_DUPLICATES BITNET_HEADER_FOLDERS)
  endif()
endmacro()

# bitnet_header_version(variable header MACRO...): the version that a header's macros say. The compiler is asked, because only
# it knows where it finds headers: it compiles the version into a program, as text.
function(bitnet_header_version variable header)
  set(base ${PROJECT_BINARY_DIR}/dependencies/${variable})
  list(TRANSFORM ARGN REPLACE "(.+)" "TEXT(\\1)" OUTPUT_VARIABLE numbers)
  list(JOIN numbers " \".\" " version)
  file(WRITE ${base}.cpp "#include <${header}>\n#define QUOTED(x) #x\n#define TEXT(x) QUOTED(x)\n"
    "extern const char text[];\nconst char text[] = \"version:\" ${version};\n"
    "int main(int count, char**) { return text[count]; }\n")
  file(REMOVE ${base}.bin)
  get_directory_property(folders INCLUDE_DIRECTORIES)
  list(APPEND folders ${BITNET_HEADER_FOLDERS})
  try_compile(compiled ${base} SOURCES ${base}.cpp
    CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${folders}" COPY_FILE ${base}.bin COPY_FILE_ERROR ignored)
  unset(compiled CACHE)
  set(found)
  if(EXISTS ${base}.bin)
    file(STRINGS ${base}.bin found REGEX "version:[0-9]+[.]")
    string(REGEX REPLACE ".*version:([0-9.]+).*" "\\1" found "${found}")
  endif()
  set(${variable} "${found}" PARENT_SCOPE)
endfunction()

# FlatBuffers: objects of tables can be copied since 2.0.6. What flatc writes belongs to the headers of its own version.
set(needed 2.0.6)
set(packages "flatbuffers-compiler, libflatbuffers-dev (Debian, Ubuntu), flatbuffers-compiler, flatbuffers-devel (Fedora), \
flatbuffers (Arch, Homebrew)")
find_program(BITNET_FLATC flatc)
bitnet_version_of(flatc "${BITNET_FLATC}" --version)
if(NOT flatc OR flatc VERSION_LESS needed)
  bitnet_found(found "${flatc}")
  bitnet_refuse("flatc ${needed} or newer" "${found}" "${packages}")
  unset(BITNET_FLATC CACHE)  # looked for again next time
else()
  bitnet_header(BITNET_FLATBUFFERS_FOLDER flatbuffers/base.h)
  bitnet_header_version(headers flatbuffers/base.h
    FLATBUFFERS_VERSION_MAJOR FLATBUFFERS_VERSION_MINOR FLATBUFFERS_VERSION_REVISION)
  if(NOT headers VERSION_EQUAL flatc)
    bitnet_found(found "${headers}")
    bitnet_refuse("flatbuffers/base.h ${flatc}, of the version of ${BITNET_FLATC}" "${found}" "${packages}")
    unset(BITNET_FLATBUFFERS_FOLDER CACHE)
  endif()
endif()

set(packages "libxxhash-dev (Debian, Ubuntu), xxhash-devel (Fedora), xxhash (Arch, Homebrew)")
if(BITNET_CORE)
  set(needed 0.8)
  bitnet_header(BITNET_XXHASH_FOLDER xxhash.h)
  bitnet_header_version(xxhash xxhash.h XXH_VERSION_MAJOR XXH_VERSION_MINOR XXH_VERSION_RELEASE)
  if(NOT xxhash OR xxhash VERSION_LESS needed)
    bitnet_found(found "${xxhash}")
    bitnet_refuse("xxhash.h ${needed} or newer" "${found}" "${packages}")
    unset(BITNET_XXHASH_FOLDER CACHE)
  endif()
else()
  if(NOT PkgConfig_FOUND)
    bitnet_refuse(pkg-config "not found" "pkg-config (Debian, Ubuntu), pkgconf-pkg-config (Fedora), pkgconf (Arch, Homebrew)")
  endif()
  bitnet_module(XXHASH libxxhash 0.8 "${packages}")  # XXH3 is stable
  # The interface of compression parameters became stable with 1.4.
  bitnet_module(ZSTD libzstd 1.4 "libzstd-dev (Debian, Ubuntu), libzstd-devel (Fedora), zstd (Arch, Homebrew)")
  # Expressions of the splitting rules name White_Space.
  bitnet_module(PCRE2 libpcre2-8 10.40 "libpcre2-dev (Debian, Ubuntu), pcre2-devel (Fedora), pcre2 (Arch, Homebrew)")
  bitnet_module(UTF8PROC libutf8proc 0
    "libutf8proc-dev (Debian, Ubuntu), utf8proc-devel (Fedora), libutf8proc (Arch), utf8proc (Homebrew)")
  bitnet_header(BITNET_JSON_FOLDER nlohmann/json.hpp)
  get_directory_property(CMAKE_REQUIRED_INCLUDES INCLUDE_DIRECTORIES)
  list(APPEND CMAKE_REQUIRED_INCLUDES ${BITNET_HEADER_FOLDERS})
  check_include_file_cxx(nlohmann/json.hpp BITNET_HAS_JSON)
  if(NOT BITNET_HAS_JSON)
    bitnet_refuse(nlohmann/json.hpp "not found"
      "nlohmann-json3-dev (Debian, Ubuntu), json-devel (Fedora), nlohmann-json (Arch, Homebrew)")
    unset(BITNET_HAS_JSON CACHE)
  endif()
endif()

get_directory_property(refused BITNET_REFUSED)
if(refused)
  set(without)
  if(NOT BITNET_CORE)
    set(without " -DBITNET_CORE=ON builds a library that needs none of Zstandard, PCRE2, utf8proc and nlohmann-json.")
  endif()
  message(FATAL_ERROR "libbitnet is built with tools and libraries that are not here, that pkg-config does not find, or that "
    "are too old. What is needed, what was found, and the packages that bring it:\n${refused}"
    "scripts/setup build in the sources installs them. Libraries elsewhere are found by PKG_CONFIG_PATH, headers and programs by CMAKE_PREFIX_PATH.${without}")
endif()
