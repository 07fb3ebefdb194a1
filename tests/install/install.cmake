# SPDX-License-Identifier: MIT
# Installs BUILD, then moves the tree to PREFIX: whatever remembers where it was installed is found out.
set(first ${PREFIX}-before)
file(REMOVE_RECURSE ${first} ${PREFIX})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${first} COMMAND_ERROR_IS_FATAL ANY)
file(RENAME ${first} ${PREFIX})
