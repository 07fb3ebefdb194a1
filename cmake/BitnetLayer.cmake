# SPDX-License-Identifier: MIT
# bitnet_layer(name FOLDER folder [BELOW layer ...] [LIBRARIES ...]): a layer of the library. Its CMakeLists.txt lists the
# sources of the target bitnet_NAME.
#
# Every layer has an include path of its own, which holds nothing but "NAME/...": headers that include those of its
# folder. It sees its own path and those of the layers BELOW, so that a header of a layer above is not found.
function(bitnet_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FOLDER" "BELOW;LIBRARIES")
  set(path ${PROJECT_BINARY_DIR}/layers/${name})
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${arg_FOLDER} ${arg_FOLDER}/*.h)
  foreach(header ${headers})
    set(forwarder ${path}/${name}/${header})
    get_filename_component(folder ${forwarder} DIRECTORY)
    file(RELATIVE_PATH target ${folder} ${arg_FOLDER}/${header})
    file(CONFIGURE OUTPUT ${forwarder} CONTENT "#include \"${target}\"\n")
  endforeach()
  add_library(bitnet_${name} OBJECT)
  target_include_directories(bitnet_${name} PUBLIC ${path})
  list(TRANSFORM arg_BELOW PREPEND bitnet_)
  target_link_libraries(bitnet_${name} PUBLIC bitnet_options ${arg_BELOW} ${arg_LIBRARIES})
  add_subdirectory(${arg_FOLDER} ${PROJECT_BINARY_DIR}/lib/${name})
endfunction()
