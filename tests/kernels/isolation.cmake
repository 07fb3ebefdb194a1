# SPDX-License-Identifier: MIT
# Fails if an object of OBJECTS defines a global or weak symbol other than its layer.
if(NOT OBJECTS)
  message(FATAL_ERROR "no objects to look at")
endif()
foreach(object ${OBJECTS})
  execute_process(COMMAND ${NM} --defined-only --extern-only --demangle --format=posix ${object}
    OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  get_filename_component(name ${object} NAME_WE)
  if(NOT symbols MATCHES "^bitnet::${name}_layer [^\n]*\n$")
    message(SEND_ERROR "${object} defines more, or other, than bitnet::${name}_layer:\n${symbols}")
  endif()
endforeach()
