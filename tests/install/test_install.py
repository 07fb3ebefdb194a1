# SPDX-License-Identifier: MIT
"""Uses an installed libbitnet as its users do: through pkg-config, find_package, the header, the program, the manual."""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

STRICT = ["-Wall", "-Wextra", "-Werror"]
PROMPT = "It was a fine morning, and"


def parse_arguments():
    parser = argparse.ArgumentParser()
    for name in "source", "build", "prefix":
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    for name in "libdir", "cmake", "cc", "cxx":
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_known_args()


ARGUMENTS, REST = parse_arguments()
PREFIX = ARGUMENTS.prefix
LIBDIR = PREFIX / ARGUMENTS.libdir
EXAMPLES = ARGUMENTS.source / "examples"
ENVIRONMENT = {**os.environ, "PKG_CONFIG_PATH": str(LIBDIR / "pkgconfig"), "LD_LIBRARY_PATH": str(LIBDIR), "LC_ALL": "C"}


def attempt(*command, stdin=None):
    return subprocess.run([str(part) for part in command], input=stdin, capture_output=True, text=True, env=ENVIRONMENT)


def run(*command, stdin=None):
    """Runs a command that must succeed and gives its output."""
    result = attempt(*command, stdin=stdin)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\nexit {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def pkg_config(*arguments):
    return run("pkg-config", *arguments, "bitnet").split()


def header_text():
    """The installed header without its comments."""
    return re.sub(r"/\*.*?\*/", "", (PREFIX / "include/bitnet.h").read_text(), flags=re.S)


def header_version():
    return ".".join(re.search(rf"#define BITNET_VERSION_{part} (\d+)", header_text())[1]
                    for part in ("MAJOR", "MINOR", "PATCH"))


def abi_version():
    """What soname and symbols are named after: until 1.0 a minor version may change the interface."""
    major, minor, _ = header_version().split(".")
    return f"0.{minor}" if major == "0" else major


def shipped_model():
    models = sorted((PREFIX / "share/bitnet/models").rglob("*.bitnet"))
    if not models:
        raise AssertionError("no model has been installed")
    return models[0]


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def check_writes_text(self, program, *arguments):
        output = run(program, shipped_model(), PROMPT, *arguments)
        self.assertGreater(len(output.split()), 10, f"{program} wrote: {output!r}")


class Header(Case):
    def compile(self, compiler, language, standard):
        run(compiler, "-x", language, f"-std={standard}", "-pedantic-errors", *STRICT, "-fsyntax-only",
            PREFIX / "include/bitnet.h")

    def test_compiles_alone_as_c(self):
        for standard in "c99", "c11", "c17":
            self.compile(ARGUMENTS.cc, "c-header", standard)

    def test_compiles_alone_as_cxx(self):
        for standard in "c++11", "c++17", "c++20":
            self.compile(ARGUMENTS.cxx, "c++-header", standard)

    def test_says_the_version_of_the_package(self):
        self.assertEqual([header_version()], pkg_config("--modversion"))


class Library(Case):
    LIBRARY = LIBDIR / "libbitnet.so"

    def dynamic_section(self):
        return run("readelf", "--dynamic", "--wide", self.LIBRARY)

    def test_exports_what_the_header_declares(self):
        declared = set(re.findall(r"BITNET_API[^;(]*?\b(bitnet_\w+)\(", header_text()))
        self.assertGreater(len(declared), 30)
        symbols = [line.split()[-1] for line in run("nm", "-D", "--defined-only", self.LIBRARY).splitlines()]
        version = f"BITNET_{abi_version()}"
        self.assertEqual({version} | {f"{name}@@{version}" for name in declared}, set(symbols))

    def test_has_its_soname(self):
        self.assertEqual([f"libbitnet.so.{abi_version()}"], re.findall(r"\(SONAME\).*\[(.*)\]", self.dynamic_section()))

    def test_names_no_search_path(self):
        self.assertNotRegex(self.dynamic_section(), r"\((RPATH|RUNPATH|TEXTREL)\)")

    def test_needs_few_libraries(self):
        needed = re.findall(r"\(NEEDED\).*\[(.*?)\.so", self.dynamic_section())
        ours = {"libzstd", "libpcre2-8", "libutf8proc", "libxxhash"}
        known = ours | {"libstdc++", "libc++", "libm", "libgcc_s", "libc", "libpthread"}
        self.assertLessEqual({name for name in needed if not name.startswith("ld-linux")}, known)

    def test_stack_is_not_executable(self):
        self.assertRegex(run("readelf", "--segments", "--wide", self.LIBRARY), r"GNU_STACK .* RW ")

    def test_installed_files_name_no_folder_of_the_build(self):
        files = [*LIBDIR.glob("cmake/bitnet/*.cmake"), LIBDIR / "pkgconfig/bitnet.pc"]
        self.assertGreaterEqual(len(files), 7)
        for file in files:
            for folder in ARGUMENTS.source, ARGUMENTS.build, PREFIX:
                self.assertNotIn(str(folder), file.read_text(), file)


class PkgConfig(Case):
    def build(self, source, *flags):
        program = self.folder / source.stem
        compiler = [ARGUMENTS.cc, "-std=c99", "-D_POSIX_C_SOURCE=200809L"]
        if source.suffix == ".cpp":
            compiler = [ARGUMENTS.cxx, "-std=c++17"]
        run(*compiler, *STRICT, source, "-o", program, *flags, "-pthread")
        return program

    def test_every_example_runs(self):
        flags = pkg_config("--cflags", "--libs")
        more_arguments = {"pull": ["1", "60"], "variations": ["3"]}
        examples = [source for source in (*EXAMPLES.glob("c/*.c"), *EXAMPLES.glob("cpp/*.cpp"))
                    if source.stem not in ("chat", "search", "serve")]  # which have tests of their own
        self.assertGreaterEqual(len(examples), 4)
        for source in examples:
            with self.subTest(example=source.name):
                self.check_writes_text(self.build(source, *flags), *more_arguments.get(source.stem, []))

    def test_the_example_of_a_conversation_replies(self):
        program = self.build(EXAMPLES / "c/chat.c", *pkg_config("--cflags", "--libs"))
        template = "{% for message in messages %}{{ message.content + '\\n' }}{% endfor %}"
        replies = run(program, shipped_model(), template, stdin=f"{PROMPT}\nAnd then?\n")
        self.assertGreater(len(replies.split()), 20)

    def test_examples_report_a_missing_model(self):
        program = self.build(EXAMPLES / "c/hello.c", *pkg_config("--cflags", "--libs"))
        result = attempt(program, self.folder / "absent.bitnet", PROMPT)
        self.assertEqual(1, result.returncode)
        self.assertIn("absent.bitnet", result.stderr)

    def test_the_same_seed_writes_the_same_text(self):
        program = self.build(EXAMPLES / "c/pull.c", *pkg_config("--cflags", "--libs"))
        first, again, other = (run(program, shipped_model(), PROMPT, seed, "60") for seed in ("7", "7", "8"))
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)

    def test_a_generation_is_cancelled_from_another_thread(self):
        program = self.build(EXAMPLES / "c/pull.c", *pkg_config("--cflags", "--libs"))
        self.assertIn("[the time is over]", run(program, shipped_model(), PROMPT, "1", "0"))

    def test_static_program_needs_no_library(self):
        program = self.build(EXAMPLES / "c/hello.c", "-static", *pkg_config("--static", "--cflags", "--libs"))
        self.assertNotIn("NEEDED", run("readelf", "--dynamic", program))
        self.check_writes_text(program)


class CMakePackage(Case):
    def configure(self, *arguments):
        return (ARGUMENTS.cmake, "-S", ARGUMENTS.source / "tests/install/consumer", "-B", self.folder,
                f"-DCMAKE_PREFIX_PATH={PREFIX}", f"-DEXAMPLES={EXAMPLES}", f"-DCMAKE_C_COMPILER={ARGUMENTS.cc}",
                f"-DCMAKE_CXX_COMPILER={ARGUMENTS.cxx}", "-DCMAKE_BUILD_TYPE=Release", *arguments)

    def check_kind(self, kind, loads_library, programs=("hello", "story"), languages="C;CXX"):
        run(*self.configure(f"-DKIND={kind}", f"-DLANGUAGES={languages}"))
        run(ARGUMENTS.cmake, "--build", self.folder)
        for name in programs:
            program = self.folder / name
            self.assertEqual(loads_library, f"[libbitnet.so.{abi_version()}]" in run("readelf", "--dynamic", program))
            self.check_writes_text(program)

    def test_shared(self):
        self.check_kind("shared", True)

    def test_static(self):
        self.check_kind("static", False)

    def test_static_in_a_project_that_has_only_c(self):
        self.check_kind("static", False, programs=("hello",), languages="C")

    def test_refuses_another_version(self):
        project = self.folder / "CMakeLists.txt"
        for version in "0.1", "0.99", "1.0":
            project.write_text("cmake_minimum_required(VERSION 3.22)\nproject(c LANGUAGES NONE)\n"
                               f"find_package(bitnet {version} REQUIRED)\n")
            result = attempt(ARGUMENTS.cmake, "-S", self.folder, "-B", self.folder / "build",
                             f"-DCMAKE_PREFIX_PATH={PREFIX}")
            self.assertNotEqual(0, result.returncode, version)
            self.assertIn(f"version: {header_version()}", result.stderr)


class EmbeddingCase(Case):
    """The sources as a part of someone's project, by add_subdirectory or FetchContent."""

    def configure(self, *arguments):
        return run(ARGUMENTS.cmake, "-S", ARGUMENTS.source / "tests/install/embedding", "-B", self.folder,
                   f"-DBITNET={ARGUMENTS.source}", f"-DCMAKE_C_COMPILER={ARGUMENTS.cc}",
                   f"-DCMAKE_CXX_COMPILER={ARGUMENTS.cxx}", *arguments)


class Embedding(EmbeddingCase):
    def test_kind_is_what_the_project_says(self):
        for flags, kind in (((), "SHARED"), (("-DBUILD_SHARED_LIBS=ON",), "SHARED"),
                            (("-DBUILD_SHARED_LIBS=OFF",), "STATIC")):
            with self.subTest(flags=flags):
                self.assertIn(f"bitnet::bitnet is a {kind}_LIBRARY", self.configure(*flags))

    def test_needs_no_library_of_the_program(self):
        self.configure("-DCMAKE_DISABLE_FIND_PACKAGE_CLI11=ON")


class EmbeddingBuild(EmbeddingCase):
    """Minutes long: for the full tests."""

    def test_program_in_c_runs(self):
        for shared in "ON", "OFF":
            with self.subTest(shared=shared):
                self.configure(f"-DBUILD_SHARED_LIBS={shared}")
                run(ARGUMENTS.cmake, "--build", self.folder, "--parallel", os.cpu_count())
                program = self.folder / "hello"
                self.assertEqual(shared == "ON", "libbitnet.so" in run("readelf", "--dynamic", program))
                self.check_writes_text(program)


class Program(Case):
    PROGRAM = PREFIX / "bin/bitnet"

    def test_says_its_version(self):
        self.assertIn(header_version(), run(self.PROGRAM, "--version"))

    def test_finds_the_installed_model(self):
        output = run(self.PROGRAM, "run", "-p", PROMPT, "-n", "40", "--seed", "1", stdin="")
        self.assertGreater(len(output.split()), 10)

    def test_has_a_manual_page(self):
        self.assertIn("bitnet", (PREFIX / "share/man/man1/bitnet.1").read_text())

    def test_comes_with_licence_and_documents(self):
        for name in "LICENSE", "LICENSE.third-party", "LICENSE.unicode", "README.md", "CHANGELOG.md":
            self.assertTrue((PREFIX / "share/doc/bitnet" / name).is_file(), name)


class Documents(Case):
    """The C of the documents compiles: whole programs as they are, fragments inside a function that has the objects which
    docs/api.md names at its beginning."""

    FRAGMENT = """#include <bitnet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
{functions}
void fragment(bitnet_model* model, bitnet_session* session, bitnet_sampler* sampler);
void fragment(bitnet_model* model, bitnet_session* session, bitnet_sampler* sampler) {{
  bitnet_status status = BITNET_OK;
  {body}
  (void)model, (void)session, (void)sampler, (void)status;
}}
"""

    def compile(self, text):
        run(ARGUMENTS.cc, "-std=c99", *STRICT, "-Wno-unused-function", "-x", "c", "-fsyntax-only", "-",
            *pkg_config("--cflags"), stdin=text)

    def test_c_blocks_compile(self):
        blocks = 0
        for document in ARGUMENTS.source / "README.md", ARGUMENTS.source / "docs/api.md":
            for code in re.findall(r"^```c\n(.*?)^```", document.read_text(), flags=re.S | re.M):
                blocks += 1
                with self.subTest(document=document.name, code=code):
                    if "int main(" not in code:
                        # Functions, which begin in the first column and end with a brace there, stand before the rest.
                        functions = re.findall(r"^(?:static|int|void) [^;]*?\{\n.*?^\}\n", code, flags=re.S | re.M)
                        body = code
                        for function in functions:
                            body = body.replace(function, "")
                        code = self.FRAGMENT.format(functions="\n".join(functions), body=body)
                    self.compile(code)
        self.assertGreater(blocks, 5)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *REST], verbosity=2)
