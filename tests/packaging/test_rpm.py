# SPDX-License-Identifier: MIT
"""The RPM spec lists exactly what is installed: test_rpm.py RPMSPEC PREFIX LIBDIR"""

import fnmatch
import pathlib
import re
import subprocess
import sys
import unittest

RPMSPEC, PREFIX, LIBDIR = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = "/usr/python"  # which CMake does not install

# What Fedora's macros say, where another distribution's rpm does not know them.
MACROS = {"_prefix": "/usr", "_libdir": f"/usr/{LIBDIR}", "_mandir": "/usr/share/man", "_docdir": "/usr/share/doc",
          "python3_sitearch": PYTHON, "_vpath_builddir": "build"}


def parsed_spec():
    defines = [part for name, value in MACROS.items() for part in ("--define", f"{name} {value}")]
    result = subprocess.run([RPMSPEC, "--parse", *defines, ROOT / "packaging/rpm/libbitnet.spec"],
                            capture_output=True, text=True)
    if result.returncode != 0 or result.stderr:
        raise AssertionError(f"rpmspec: exit {result.returncode}\n{result.stderr}")
    return result.stdout


class Spec(unittest.TestCase):
    def setUp(self):
        spec = parsed_spec()
        self.patterns = [line for files in re.findall(r"^%files.*\n((?:[/%].+\n)+?)(?=\n|%)", spec, re.M)
                         for line in files.splitlines() if line.startswith("/") and not line.startswith(PYTHON)]
        removed = set(re.findall(r"^rm \S*?(/usr/\S+)$", spec, re.M))
        self.assertTrue(removed)
        self.installed = {f"/usr/{path.relative_to(PREFIX)}" for path in PREFIX.rglob("*")
                          if path.is_file() or path.is_symlink()}
        self.assertLessEqual(removed, self.installed)
        self.installed -= removed

    def owners(self, file):
        return [pattern for pattern in self.patterns
                if fnmatch.fnmatch(file, pattern) or (pattern.endswith("/") and file.startswith(pattern))]

    def test_each_file_is_in_one_package(self):
        self.assertEqual({}, {file: owners for file in self.installed if len(owners := self.owners(file)) != 1})

    def test_each_line_is_of_a_file(self):
        self.assertEqual([], [pattern for pattern in self.patterns
                              if not any(pattern in self.owners(file) for file in self.installed)])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
