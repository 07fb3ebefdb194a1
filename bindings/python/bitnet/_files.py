# SPDX-License-Identifier: MIT
"""Calls that take callbacks or file names, and what the library tells of itself."""

from __future__ import annotations

import os
from typing import Any, Callable, Literal, Optional, Union

from . import _check, _native
from ._errors import BitnetError

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
Progress = Callable[[int, int], Optional[bool]]
Log = Callable[[str, str], None]
Packing = Literal["i2", "t5"]
Head = Literal["f16", "int8", "q6", "screened"]
Layout = Literal["auto", "x86", "arm", "rows"]
Activation = Literal["relu2", "silu"]
ChatTemplate = Union[str, "os.PathLike[str]", "os.PathLike[bytes]"]

PACKINGS = {None: _native.BITNET_PACKING_DEFAULT, "i2": _native.BITNET_PACKING_I2, "t5": _native.BITNET_PACKING_T5}
HEADS = {None: _native.BITNET_HEAD_DEFAULT, "f16": _native.BITNET_HEAD_F16, "int8": _native.BITNET_HEAD_INT8,
         "q6": _native.BITNET_HEAD_Q6, "screened": _native.BITNET_HEAD_SCREENED}
LAYOUTS = {None: _native.BITNET_I2S_AUTO, "auto": _native.BITNET_I2S_AUTO, "x86": _native.BITNET_I2S_X86,
           "arm": _native.BITNET_I2S_ARM, "rows": _native.BITNET_I2S_ROWS}
ACTIVATIONS = {None: _native.BITNET_ACTIVATION_DEFAULT, "relu2": _native.BITNET_ACTIVATION_RELU2,
               "silu": _native.BITNET_ACTIVATION_SILU}
LEVELS = {_native.BITNET_LOG_WARNING: "warning", _native.BITNET_LOG_INFO: "info"}


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


def convert(source: Path, target: Path, *, packing: Packing | None = None, head: Head | None = None,
            i2s: Layout | None = None, quantize: bool | None = False, zstd_level: int | None = 0,
            progress: Progress | None = None, log: Log | None = None, chat_template: ChatTemplate | None = None,
            activation: Activation | None = None) -> None:
    """Writes a GGUF or `.bitnet` file as `.bitnet`.

    packing, head, i2s         as for Model
    quantize                   weights that are not ternary yet become so
    zstd_level                 1 to 19 compresses the tensors for download
    chat_template, activation  to be stored, as for Model
    progress(done, total)      in bytes; may return False to cancel
    log(level, message)        hears what the library chooses or notices
    """
    listener = Listener(progress, log)
    options = _native.ConvertOptions()
    options.packing = _check.choice(PACKINGS, packing, "packing")
    options.head = _check.choice(HEADS, head, "head")
    options.i2s = _check.choice(LAYOUTS, i2s, "i2s")
    options.quantize = int(_check.boolean(quantize, "quantize"))
    options.zstd_level = 0 if zstd_level is None else _check.integer(zstd_level, "zstd_level", 0, 19)
    options.activation = _check.choice(ACTIVATIONS, activation, "activation")
    if chat_template is not None:
        options.set_chat_template(_check.chat_template(chat_template))
    listener.call(_native.convert, _check.path(source, "source"), _check.path(target, "target"), options)


def verify(path: Path, *, progress: Progress | None = None) -> None:
    """Reads a whole `.bitnet` file and checks every checksum, packed weight and scale."""
    Listener(progress).call(_native.verify, _check.path(path, "path"))


def version() -> str:
    """Of the library, "0.1.0"."""
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
