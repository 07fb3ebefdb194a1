# SPDX-License-Identifier: MIT
"""Calls that take callbacks or file names, and what the library tells of itself."""

from __future__ import annotations

from typing import Any, Callable

from . import _check, _native
from ._errors import BitnetError
from ._options import *
from ._types import Path


class Listener(_native.Listener):
    """Calls the user's functions. What they raise cancels the call under way and is raised when it is back."""

    def __init__(self, progress: Progress | None = None, log: Log | None = None):
        super().__init__()
        self._progress = _check.callback(progress, "progress")
        self._log = _check.callback(log, "log")
        self._error: BaseException | None = None

    def progress(self, done: int, total: int) -> bool:
        try:
            return self._progress is None or self._progress(done, total) is not False
        except BaseException as error:
            self._error = error
            return False

    def log(self, level: int, message: bytes) -> None:
        try:
            if self._log is not None:
                self._log(LEVELS.get(level, str(level)), message.decode(errors="replace"))
        except BaseException as error:
            self._error = error

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """function(*arguments, self)"""
        try:
            result = function(*arguments, self)
        except BitnetError:
            if self._error is None:
                raise
        error, self._error = self._error, None
        if error is not None:
            raise error
        return result


def convert(source: Path, target: Path, *, options: ConvertArguments) -> None:
    """Writes a GGUF or `.bitnet` file as `.bitnet`.

    {ConvertArguments}
    """
    listener = Listener(options.progress, options.log)
    native = options.native()
    listener.call(_native.convert, _check.path(source, "source"), _check.path(target, "target"), native)


def verify(path: Path, *, progress: Progress | None = None) -> None:
    """Reads a whole `.bitnet` file and checks every checksum, packed weight and scale."""
    Listener(progress).call(_native.verify, _check.path(path, "path"))


def verify_against(path: Path, original: Path, *, progress: Progress | None = None) -> None:
    """Compares a `.bitnet` file with what it was converted from; raises with the first difference if it is not lossless."""
    Listener(progress).call(_native.verify_against, _check.path(path, "path"), _check.path(original, "original"))


def version() -> str:
    """Of the library, "0.2.0"."""
    return _native.version().decode()


def cpu_features() -> list[str]:
    """The CPU's vector features that matter here."""
    return _native.cpu_features().decode().split()


def isa_names() -> list[str]:
    """The kernel sets that this CPU can run, fastest first."""
    return [name.decode() for name in _native.isa_names()]


def chat_template_names() -> list[str]:
    """The known chat templates, for the `chat_template` of Model and convert()."""
    return [name.decode() for name in _native.chat_template_names()]
