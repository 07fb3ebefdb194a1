# SPDX-License-Identifier: MIT
# Fails unless each segment of LIBRARY may lie in memory with pages of 16 KiB.
execute_process(COMMAND readelf --program-headers --wide ${LIBRARY} OUTPUT_VARIABLE headers COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "LOAD[^\n]*" segments "${headers}")
if(NOT segments)
  message(FATAL_ERROR "no segments:\n${headers}")
endif()
foreach(segment IN LISTS segments)
  if(NOT segment MATCHES " 0x4000$")
    message(FATAL_ERROR "not aligned to 0x4000: ${segment}")
  endif()
endforeach()
