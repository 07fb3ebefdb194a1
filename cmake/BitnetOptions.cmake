# SPDX-License-Identifier: MIT
# bitnet_options: what every target of this project is compiled with.
add_library(bitnet_options INTERFACE)
target_compile_options(bitnet_options INTERFACE
  "$<$<COMPILE_LANGUAGE:C,CXX>:-Wall;-Wextra;$<$<BOOL:${BITNET_WERROR}>:-Werror>>")
# g++ 12 warns of overlaps within std::string's own code that cannot happen (GCC bug 105651).
target_compile_options(bitnet_options INTERFACE
  $<$<AND:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
# Sources that are compiled together (CMAKE_UNITY_BUILD) are headers of one to g++, in which it warns of what is theirs alone.
if(CMAKE_UNITY_BUILD)
  target_compile_options(bitnet_options INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
endif()
# An enum is decided by a switch that names every value, so that the compiler finds the places that a new one touches.
target_compile_options(bitnet_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wswitch-enum>)
# The determinism promise: each float operation rounds by itself, wherever it is compiled.
target_compile_options(bitnet_options INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-ffp-contract=off>)
if(WIN32)
  # Windows 10; its headers without macros that are words of ours.
  target_compile_definitions(bitnet_options INTERFACE
    WINVER=0x0a00 _WIN32_WINNT=0x0a00 UNICODE _UNICODE NOMINMAX WIN32_LEAN_AND_MEAN)
endif()
# MinGW has two kinds of printf. C++ uses this one, but what is declared to be like "printf" is taken for the other.
target_compile_definitions(bitnet_options INTERFACE BITNET_PRINTF_FORMAT=$<IF:$<BOOL:${MINGW}>,gnu_printf,printf>)
if(MINGW)
  target_link_options(bitnet_options INTERFACE -static)  # neither program nor DLL needs a DLL of the compiler
endif()
if(BITNET_SANITIZE)
  target_compile_options(bitnet_options INTERFACE
    -fsanitize=${BITNET_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    # As its manual says, g++ sees uninitialized values in instrumented code where there are none.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_compile_definitions(bitnet_options INTERFACE BITNET_SANITIZED)
  target_link_options(bitnet_options INTERFACE -fsanitize=${BITNET_SANITIZE})
endif()
if(BITNET_BUILD_FUZZERS)
  string(COMPARE NOTEQUAL "${CMAKE_CXX_COMPILER_ID}" GNU has_libfuzzer)
  bitnet_feature_needs(BITNET_BUILD_FUZZERS ${has_libfuzzer} "clang, whose libFuzzer g++ has not"
    "clang (Debian, Ubuntu, Fedora, Arch), chosen by CC and CXX")
  target_compile_options(bitnet_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# BITNET_KERNELS: the folder of kernels/ whose instruction sets are built.
if(CMAKE_CXX_BYTE_ORDER STREQUAL "BIG_ENDIAN")
  message(FATAL_ERROR "libbitnet uses model files as they lie in memory, and they are little-endian: "
    "it cannot run on ${CMAKE_SYSTEM_PROCESSOR}, which is big-endian")
endif()
if(NOT BITNET_PORTABLE_KERNELS AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(BITNET_KERNELS x86)
elseif(NOT BITNET_PORTABLE_KERNELS AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
  set(BITNET_KERNELS arm)
else()
  set(BITNET_KERNELS generic)
endif()

# On Windows g++ keeps vectors on the stack at multiples of 16 bytes, and moves those of 32 and 64 as if they were aligned to
# their size (GCC bug 54412), which ends the program. The assembler then makes each such move one that may be unaligned; on
# CPUs with AVX it takes no longer where the address is aligned.
if(MINGW AND BITNET_KERNELS STREQUAL "x86" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-Wa,-muse-unaligned-vector-move BITNET_HAS_UNALIGNED_VECTOR_MOVE)
  if(NOT BITNET_HAS_UNALIGNED_VECTOR_MOVE)
    message(FATAL_ERROR "The assembler does not know -muse-unaligned-vector-move, without which g++ makes wrong AVX code for "
      "Windows (GCC bug 54412): install binutils 2.38 or newer, or build with clang or with BITNET_PORTABLE_KERNELS")
  endif()
  target_compile_options(bitnet_options INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-Wa,-muse-unaligned-vector-move>)
endif()
