# SPDX-License-Identifier: MIT
"""Every place that names the version of libbitnet names that of bitnet.h."""

import importlib.util
import pathlib
import re
import sys
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
NUMBER = r"(\d+\.\d+\.\d+)"

# File: what stands around its versions, all of which are compared.
VERSIONS = {
    "CHANGELOG.md": rf"\A(?:.*\n)*?## \[{NUMBER}\]",  # the newest
    "bindings/android/README.md": f"bitnet-android:{NUMBER}",
    "bindings/android/build.gradle.kts": f'^version = "{NUMBER}"',
    "bindings/go/bitnet.go": f'^// Version is that of the library, "{NUMBER}"',
    "bindings/java/README.md": f"<version>{NUMBER}</version>",
    "bindings/java/pom.xml": rf"<artifactId>bitnet</artifactId>\s*<version>{NUMBER}</version>",
    "bindings/java/src/main/java/io/github/libbitnet/Bitnet.java": f'library\'s version, "{NUMBER}"',
    "bindings/python/bitnet/_files.py": f'"""Of the library, "{NUMBER}"',
    "bindings/swift/Sources/Bitnet/Library.swift": f'library\'s version, "{NUMBER}"',
    "examples/android/app/build.gradle.kts": f"bitnet-android:{NUMBER}",
    "examples/go/go.mod": f"bindings/go v{NUMBER}",
    "examples/java/Hello.java": rf"bitnet-{NUMBER}\.jar",
    "examples/java/Serve.java": rf"bitnet-{NUMBER}\.jar",
    "examples/java/pom.xml": rf"<artifactId>bitnet</artifactId>\s*<version>{NUMBER}</version>",
    "include/bitnet.h": rf'bitnet_version_string\(void\); /\* "{NUMBER}"',
    "packaging/debian/changelog": rf"\A\w+ \({NUMBER}[+-]",  # the newest
    "packaging/rpm/libbitnet.spec": rf"^Version: +{NUMBER}|libbitnet-{NUMBER}[/.]|> - {NUMBER}-",
    "packaging/vcpkg/libbitnet/vcpkg.json": f'"version": "{NUMBER}"',
    "pyproject.toml": f'^version = "{NUMBER}"',
    "tests/bindings/android/pom.xml": rf"<artifactId>bitnet-android-tests</artifactId>\s*<version>{NUMBER}</version>",
    "tools/bitnet.1": f'^.TH BITNET 1 \\S+ "bitnet {NUMBER}"',
}

# The same of what soname and symbols are named after: MAJOR.MINOR until 1.0, then MAJOR.
ABI_VERSIONS = {
    "docs/api.md": r"find_package\(bitnet ([\d.]+) ",
    "docs/building.md": r"(?:libbitnet\.so\.|BITNET_)(\d[\d.]*)",
    "packaging/debian/control": r"libbitnet(\d[\d.]*)",
    "packaging/rpm/libbitnet.spec": r"^%global abi (\d[\d.]*)",
    "packaging/debian/tests/cmake": r"find_package\(bitnet ([\d.]+) ",
    "packaging/debian/libbitnet0.2.symbols": r"(?:libbitnet\.so\.|libbitnet|BITNET_)(\d[\d.]*)",
    "tests/install/consumer/CMakeLists.txt": r"find_package\(bitnet ([\d.]+) ",
}


def header_version():
    text = (ROOT / "include/bitnet.h").read_text()
    return [re.search(rf"^#define BITNET_VERSION_{part} (\d+)$", text, re.M)[1] for part in ("MAJOR", "MINOR", "PATCH")]


class Versions(unittest.TestCase):
    def check(self, patterns, version):
        for file, pattern in patterns.items():
            with self.subTest(file=file):
                found = re.finditer(pattern, (ROOT / file).read_text(encoding="utf-8"), re.M)
                self.assertEqual({version}, {text for match in found for text in match.groups() if text})

    def test_packages_and_documents(self):
        self.check(VERSIONS, ".".join(header_version()))

    def test_soname(self):
        major, minor, _ = header_version()
        self.check(ABI_VERSIONS, f"0.{minor}" if major == "0" else major)

    def test_needed_libraries(self):
        """Packagers name the versions that CMake asks for."""
        cmake = (ROOT / "cmake/BitnetDependencies.cmake").read_text()
        needed = dict(re.findall(r"bitnet_module\(\w+ (\S+) ([\d.]+)", cmake))
        self.assertEqual(4, len(needed))
        spec = (ROOT / "packaging/rpm/libbitnet.spec").read_text()
        found = re.findall(r"^BuildRequires: +pkgconfig\((\S+)\)(?: >= (\S+))?", spec, re.M)
        self.assertEqual(needed, {module: version or "0" for module, version in found})

    def test_conan_recipe_reads_it(self):
        modules = {name: mock.MagicMock() for name in
                   ("conan", *(f"conan.tools.{part}" for part in ("build", "cmake", "files", "gnu")), "conan.tools")}
        modules["conan"].ConanFile = type("ConanFile", (), {"version": None})
        modules["conan.tools.files"].load = lambda recipe, path: pathlib.Path(path).read_text(encoding="utf-8")
        spec = importlib.util.spec_from_file_location("conanfile", ROOT / "packaging/conan/conanfile.py")
        conanfile = importlib.util.module_from_spec(spec)
        with mock.patch.dict(sys.modules, modules), mock.patch.object(sys, "dont_write_bytecode", True):
            spec.loader.exec_module(conanfile)
        recipe = conanfile.Libbitnet()
        recipe.recipe_folder = str(ROOT / "packaging/conan")
        recipe.set_version()
        self.assertEqual(".".join(header_version()), recipe.version)


if __name__ == "__main__":
    unittest.main(argv=sys.argv, verbosity=2)
