# SPDX-License-Identifier: MIT
# Fails unless the headers of just the layers EXPECTED, of all LAYERS, are found on the include paths PATHS, and the files
# in SOURCES include nothing by a way around the paths.
cmake_minimum_required(VERSION 3.22)

foreach(layer ${LAYERS})
  foreach(path ${PATHS})
    file(GLOB headers ${path}/${layer}/*.h)
    if(headers OR (layer STREQUAL kernels AND EXISTS ${path}/kernels.h))
      list(APPEND seen ${layer})
    endif()
  endforeach()
endforeach()
foreach(layer ${LAYERS})
  if(layer IN_LIST seen AND NOT layer IN_LIST EXPECTED)
    message(SEND_ERROR "the layer sees ${layer}, which is not below it")
  elseif(layer IN_LIST EXPECTED AND NOT layer IN_LIST seen)
    message(SEND_ERROR "the layer does not see ${layer}")
  endif()
endforeach()

file(GLOB_RECURSE sources ${SOURCES}/*.h ${SOURCES}/*.cpp)
foreach(source ${sources})
  file(STRINGS ${source} around REGEX "#include \"\\.\\./|#include \"/")
  if(around)
    message(SEND_ERROR "${source} includes by a way around the include paths: ${around}")
  endif()
endforeach()
