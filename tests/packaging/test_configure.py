# SPDX-License-Identifier: MIT
"""What CMake says where a tool or a library is missing or too old; and that sources which nobody can write are enough."""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=pathlib.Path, required=True)
    for name in "cmake", "cc", "cxx":
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--binding", action="append", default=[], help="a language whose tools are here")
    return parser.parse_known_args()


ARGUMENTS, REST = parse_arguments()


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.build = self.folder / "build"

    def attempt(self, *command, launcher=(), **environment):
        return subprocess.run([*launcher, *map(str, command)], capture_output=True, text=True, cwd=self.folder,
                              env={**os.environ, "LC_ALL": "C", **environment})

    def configure(self, *options, source=ARGUMENTS.source, launcher=(), **environment):
        return self.attempt(ARGUMENTS.cmake, "-S", source, "-B", self.build, "-G", "Ninja", "-DBITNET_BUILD_TESTS=OFF",
                            f"-DCMAKE_C_COMPILER={ARGUMENTS.cc}", f"-DCMAKE_CXX_COMPILER={ARGUMENTS.cxx}", *options,
                            launcher=launcher, **environment)


class Refusals(Case):
    def check_refused(self, result, *lines):
        self.assertNotEqual(0, result.returncode)
        message = re.sub(r"\s+", " ", result.stderr)  # CMake breaks lines
        for line in lines:
            self.assertIn(line, message)

    def program(self, name, output):
        """A program that prints the version of another one."""
        file = self.folder / name
        file.write_text(f"#!/bin/sh\necho '{output}'\n")
        file.chmod(0o755)
        return file

    def test_every_old_library_is_named_at_once_and_looked_for_again(self):
        for module, version in {"libzstd": "1.3.8", "libpcre2-8": "10.39", "libxxhash": "0.7.4"}.items():
            (self.folder / f"{module}.pc").write_text(f"Name: {module}\nDescription: old\nVersion: {version}\n")
        result = self.configure(f"-DBITNET_FLATC={self.program('flatc', 'flatc version 1.11.0')}",
                                PKG_CONFIG_LIBDIR=str(self.folder))
        self.check_refused(result,
                           "flatc 2.0.6 or newer (found: 1.11.0): flatbuffers-compiler",
                           "libzstd 1.4 or newer (found: 1.3.8): libzstd-dev",
                           "libpcre2-8 10.40 or newer (found: 10.39): libpcre2-dev",
                           "libxxhash 0.8 or newer (found: 0.7.4): libxxhash-dev",
                           "libutf8proc (not found): libutf8proc-dev",
                           "-DBITNET_CORE=ON builds a library that needs none of Zstandard, PCRE2, utf8proc")
        # The same build folder, where it is SWIG's turn now.
        result = self.configure(f"-DBITNET_SWIG={self.program('swig', 'SWIG Version 3.0.12')}", "-DBITNET_BUILD_PYTHON=ON")
        self.assertNotIn("libzstd", result.stderr)
        self.check_refused(result, "BITNET_BUILD_PYTHON: needs SWIG 4.0 or newer (found: 3.0.12)",
                           "without it: -DBITNET_BUILD_PYTHON=OFF")

    def test_old_and_mismatched_headers(self):
        headers = {
            "xxhash.h": "XXH_VERSION_MAJOR 0\nXXH_VERSION_MINOR 7\nXXH_VERSION_RELEASE 4",
            "flatbuffers/base.h": "FLATBUFFERS_VERSION_MAJOR 99\nFLATBUFFERS_VERSION_MINOR 2\nFLATBUFFERS_VERSION_REVISION 3",
        }
        for name, macros in headers.items():
            file = self.folder / "include" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"#define {macro}\n" for macro in macros.splitlines()))
        # A project around this one names its headers, as the Android archive's does.
        (self.folder / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.22)\nproject(around C CXX)\n"
            f"include_directories({self.folder}/include)\nadd_subdirectory({ARGUMENTS.source} bitnet)\n")
        # And a project by itself has them in a prefix, as vcpkg and Conan do.
        for where in {"source": self.folder}, {}:
            with self.subTest(where=where):
                shutil.rmtree(self.build, ignore_errors=True)
                result = self.configure("-DBITNET_CORE=ON", f"-DCMAKE_PREFIX_PATH={'' if where else self.folder}", **where)
                self.check_refused(result, "xxhash.h 0.8 or newer (found: 0.7.4): libxxhash-dev", "(found: 99.2.3)")
                self.assertRegex(result.stderr, r"flatbuffers/base\.h \d+\.\d+\.\d+, of the version of /")

    def test_fuzzers_need_clang(self):  # this is tested with g++ alone
        self.check_refused(self.configure("-DBITNET_BUILD_FUZZERS=ON"), "BITNET_BUILD_FUZZERS: needs clang",
                           "without it: -DBITNET_BUILD_FUZZERS=OFF")

    def test_what_only_a_feature_needs_names_the_feature(self):
        for package, option in ("CLI11", "BITNET_BUILD_TOOLS"), ("GTest", "BITNET_BUILD_TESTS"):
            with self.subTest(package=package):
                result = self.configure("-DBITNET_BUILD_TOOLS=OFF", f"-D{option}=ON",
                                        f"-DCMAKE_DISABLE_FIND_PACKAGE_{package}=ON")
                self.check_refused(result, f"{option}: needs", f"without it: -D{option}=OFF")


class ReadOnlySources(Case):
    """A build writes into its own folder alone."""

    # Root may write everywhere, unless this is taken from it.
    LAUNCHER = ("setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override") if os.geteuid() == 0 else ()

    def setUp(self):
        super().setUp()
        self.sources = self.folder / "sources"
        files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                               cwd=ARGUMENTS.source, check=True, capture_output=True, text=True).stdout.split("\0")
        for file in (ARGUMENTS.source / name for name in files if name):
            if file.is_file():
                copy = self.sources / file.relative_to(ARGUMENTS.source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, copy)
        self.change_modes(0o555)
        self.addCleanup(self.change_modes, 0o755)

    def change_modes(self, mode):
        for path in (self.sources, *self.sources.rglob("*")):
            path.chmod(mode)

    def test_are_configured_and_generated_from(self):
        self.assertNotEqual(0, self.attempt("touch", self.sources / "written", launcher=self.LAUNCHER).returncode)
        result = self.configure(*(f"-DBITNET_BUILD_{binding.upper()}=ON" for binding in ARGUMENTS.binding), source=self.sources,
                                launcher=self.LAUNCHER)
        self.assertEqual(0, result.returncode, result.stderr)
        # What is generated: by a build, and by the script that CMake and Gradle run for Java.
        for command in (("--build", self.build, "--target", "bitnet_schema"),
                        (f"-DSOURCES={self.folder}/java", f"-DWRAPPER={self.folder}/java_wrap.cxx", "-P",
                         self.sources / "bindings/java/generate.cmake")):
            result = self.attempt(ARGUMENTS.cmake, *command, launcher=self.LAUNCHER)
            self.assertEqual(0, result.returncode, result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *REST], verbosity=2)
