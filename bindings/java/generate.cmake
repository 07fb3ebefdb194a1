# SPDX-License-Identifier: MIT
# Runs bindings/generate and SWIG, for CMake and for Gradle, which needs the Java sources before CMake builds anything:
#
#   cmake -DSOURCES=folder -DWRAPPER=java_wrap.cxx [-DSWIG=swig] [-DPYTHON=python3] -P generate.cmake
#
# What they make of bitnet.h, and the classes Native*, are then in SOURCES/io/github/libbitnet.
cmake_minimum_required(VERSION 3.22)
cmake_path(SET root NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../..)
find_program(SWIG NAMES swig4.1 swig4.0 swig REQUIRED)
find_program(PYTHON NAMES python3 python REQUIRED)

set(package ${SOURCES}/io/github/libbitnet)
cmake_path(GET WRAPPER PARENT_PATH wrapper_folder)
file(MAKE_DIRECTORY ${package} ${wrapper_folder})
execute_process(COMMAND ${PYTHON} -B ${root}/bindings/generate java ${package} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${PYTHON} -B ${root}/bindings/generate swig ${wrapper_folder} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${SWIG} -c++ -java -package io.github.libbitnet -module Native
  -I${CMAKE_CURRENT_LIST_DIR} -I${root}/include -I${wrapper_folder} -outdir ${package} -o ${WRAPPER} ${root}/bindings/bitnet.i
  COMMAND_ERROR_IS_FATAL ANY)

# The one generated type that SWIG cannot be told to keep inside the package.
file(READ ${package}/NativeConstants.java constants)
string(REPLACE "public interface" "interface" constants "${constants}")
file(WRITE ${package}/NativeConstants.java "${constants}")
