# SPDX-License-Identifier: MIT
"""Conan 2 recipe. In a clone: conan create packaging/conan --build=missing"""
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd, stdcpp_library
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir
from conan.tools.gnu import PkgConfigDeps

SOURCES = ("CMakeLists.txt", "LICENSE*", "README.md", "CHANGELOG.md", "cmake/*", "include/*", "kernels/*", "lib/*",
           "pkgconfig/*")


class Libbitnet(ConanFile):
    name = "libbitnet"
    description = "Runs 1.58-bit (ternary) language models on a CPU, inside your program"
    license = "MIT", "Unicode-DFS-2016"
    topics = ("llm", "bitnet", "inference", "ternary")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False]}
    default_options = {"shared": False, "fPIC": True}
    implements = ["auto_shared_fpic"]

    @property
    def _root(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        text = load(self, os.path.join(self._root, "include", "bitnet.h"))
        numbers = re.findall(r"^#define BITNET_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", text, re.MULTILINE)
        self.version = self.version or ".".join(numbers)

    def export_sources(self):
        for pattern in SOURCES:
            copy(self, pattern, self._root, self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    def validate(self):
        check_min_cppstd(self, 20)

    def requirements(self):
        for library in "zstd/[>=1.5 <2]", "pcre2/[>=10.40 <11]", "utf8proc/[>=2.8 <3]", "xxhash/[>=0.8.1 <1]":
            self.requires(library)
        self.requires("flatbuffers/[>=2.0.8]", headers=True, libs=False, run=False)
        self.requires("nlohmann_json/[>=3.11 <4]")

    def build_requirements(self):
        self.tool_requires("flatbuffers/<host_version>")

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["BITNET_BUILD_TESTS"] = False
        toolchain.cache_variables["BITNET_BUILD_TOOLS"] = False
        toolchain.generate()
        PkgConfigDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        for folder in self.source_folder, f"{self.source_folder}/lib/text/jinja":
            copy(self, "LICENSE*", folder, os.path.join(self.package_folder, "licenses"))
        for folder in "lib/cmake", "lib/pkgconfig", "share":  # Conan writes its own
            rmdir(self, os.path.join(self.package_folder, folder))

    def package_info(self):
        self.cpp_info.libs = ["bitnet"]
        self.cpp_info.set_property("cmake_file_name", "bitnet")
        self.cpp_info.set_property("cmake_target_name", "bitnet::bitnet")
        self.cpp_info.set_property("cmake_target_aliases", [] if self.options.shared else ["bitnet::static"])
        self.cpp_info.set_property("pkg_config_name", "bitnet")
        if not self.options.shared:  # which a program in C links as well
            self.cpp_info.system_libs = [library for library in (stdcpp_library(self),) if library]
            if self.settings.os in ("Linux", "FreeBSD"):
                self.cpp_info.system_libs += ["pthread", "m"]
