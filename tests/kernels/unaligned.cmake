# SPDX-License-Identifier: MIT
# Fails if an object of OBJECTS moves a vector of 32 or 64 bytes by an instruction that takes only aligned addresses.
if(NOT OBJECTS)
  message(FATAL_ERROR "no objects to look at")
endif()
foreach(object ${OBJECTS})
  execute_process(COMMAND ${OBJDUMP} --disassemble --no-show-raw-insn ${object}
    OUTPUT_VARIABLE code COMMAND_ERROR_IS_FATAL ANY)
  if(NOT code MATCHES "vmovdqu")
    message(SEND_ERROR "${object} moves no vectors: was it disassembled?")
  endif()
  # One operand in memory, "(%rsp)" or the like, and the other a register of 32 or 64 bytes.
  string(REGEX MATCH "[^\n]*vmov(aps|apd|dqa|dqa32|dqa64) +([^\n]*\\([^\n]*,%[yz]mm|%[yz]mm[^\n]*\\()[^\n]*" aligned "${code}")
  if(aligned)
    message(SEND_ERROR "${object} moves a vector as if its address were aligned: ${aligned}")
  endif()
endforeach()
