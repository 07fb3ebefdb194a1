# SPDX-License-Identifier: MIT
"""What an import says where the native half cannot be loaded."""
import pathlib
import shutil
import subprocess
import sys

import pytest

import bitnet


@pytest.fixture
def package(tmp_path):
    """A copy of the package, to be damaged."""
    copy = tmp_path / "bitnet"
    shutil.copytree(pathlib.Path(bitnet.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def core(package):
    (file,) = package.glob("_core.*")
    return file


def import_from(package):
    """The last line of what Python says."""
    result = subprocess.run([sys.executable, "-B", "-c", "import bitnet; print(bitnet.version())"], cwd=package.parent,
                            capture_output=True, text=True)
    return (result.stdout + result.stderr).strip().splitlines()[-1]


BEGIN = "ImportError: cannot load the native half of bitnet: "


def test_copy_works(package):
    assert import_from(package) == bitnet.version()


def test_missing_library_is_named(package):
    file = core(package)
    content = file.read_bytes()
    assert b"\0libc.so.6\0" in content
    file.write_bytes(content.replace(b"\0libc.so.6\0", b"\0libc.so.x\0"))
    said = import_from(package)
    assert said.startswith(BEGIN)
    assert "the system lacks libc.so.x: install the package that has it" in said


def test_file_that_is_no_library_is_named(package):
    file = core(package)
    file.write_text("no library")
    said = import_from(package)
    assert said.startswith(f"{BEGIN}{file}: ")
    assert "too short" in said or "invalid ELF header" in said


def test_package_of_another_python_is_named(package):
    other = "_core.cpython-399-x86_64-linux-gnu.so"
    name = core(package).name
    core(package).rename(package / other)
    needed, rest = import_from(package).split(", and ")
    assert needed.startswith(f"{BEGIN}this Python needs _core.") and name in needed.split()
    assert rest == f"{package} has {other}; install libbitnet by the pip of this Python"


def test_package_without_it_is_told(package):
    core(package).unlink()
    assert f"and {package} has nothing of the kind; install libbitnet" in import_from(package)
