# SPDX-License-Identifier: MIT
# How a missing or outdated tool is told of: what was found, what is needed, what brings it or does without it.

# bitnet_version_of(variable PROGRAM ARGUMENT): the first version in what a program prints; empty if there is none.
function(bitnet_version_of variable program argument)
  set(version)
  if(program)
    execute_process(COMMAND ${program} ${argument} OUTPUT_VARIABLE output ERROR_QUIET)
    string(REGEX MATCH "[0-9]+([.][0-9]+)+" version "${output}")
  endif()
  set(${variable} "${version}" PARENT_SCOPE)
endfunction()

# bitnet_found(variable version): in words.
function(bitnet_found variable version)
  if(version)
    set(${variable} "found: ${version}" PARENT_SCOPE)
  else()
    set(${variable} "not found" PARENT_SCOPE)
  endif()
endfunction()

# bitnet_feature_needs(OPTIONS found WHAT packages): ends the configuration unless `found` is true, and says that it goes on
# with these options off.
function(bitnet_feature_needs options found what packages)
  if(NOT found)
    list(JOIN options ", " names)
    list(TRANSFORM options REPLACE "(.+)" "-D\\1=OFF" OUTPUT_VARIABLE off)
    list(JOIN off " " off)
    message(FATAL_ERROR "${names}: needs ${what}.\n  packages: ${packages}\n  without it: ${off}")
  endif()
endfunction()
