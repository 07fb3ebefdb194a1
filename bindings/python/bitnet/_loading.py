# SPDX-License-Identifier: MIT
"""Loads the C++ half before any other module needs it, and says what to do where that fails."""

from __future__ import annotations

import importlib
import importlib.machinery
import pathlib
import re

FOLDER = pathlib.Path(__file__).parent
MISSING = re.compile(r"([^\s:/]+): cannot open shared object file|Error loading shared library ([^\s:/]+):")


def explain(said: str) -> str:
    """What the system's loader said, and advice."""
    missing = MISSING.search(said)
    if missing:
        return f"{said} (the system lacks {missing[1] or missing[2]}: install the package that has it)"
    if "failed to map segment" in said:
        return f"{said} (the file system of {FOLDER} may be mounted noexec)"
    return said


def explain_absence() -> str:
    there = ", ".join(sorted(file.name for file in FOLDER.glob("_core.*"))) or "nothing of the kind"
    wanted = " or ".join(f"_core{suffix}" for suffix in importlib.machinery.EXTENSION_SUFFIXES)
    return f"this Python needs {wanted}, and {FOLDER} has {there}; install libbitnet by the pip of this Python"


def load() -> None:
    begin = "cannot load the native half of bitnet: "
    try:
        importlib.import_module("._core", __package__)
    except ModuleNotFoundError as error:
        raise ImportError(begin + explain_absence(), name=error.name) from error
    except ImportError as error:
        raise ImportError(begin + explain(str(error)), name=error.name, path=error.path) from error


load()
