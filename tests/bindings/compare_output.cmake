# SPDX-License-Identifier: MIT
# Runs PROGRAM (a list) and fails unless it prints what EXPECTED holds, the last newline aside.
file(READ ${EXPECTED} expected)
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "\n$" "" expected "${expected}")
string(REGEX REPLACE "\n$" "" printed "${printed}")
if(NOT printed STREQUAL expected)
  message(FATAL_ERROR "printed:\n${printed}\nexpected:\n${expected}")
endif()
