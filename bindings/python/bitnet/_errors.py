# SPDX-License-Identifier: MIT
"""The exceptions, one class for each status of bitnet.h."""

from __future__ import annotations

from . import _native


class BitnetError(Exception):
    """What the library refuses or fails to do. Raised as the subclass that belongs to the status."""


class ArgumentError(BitnetError, ValueError):
    """An argument or option is wrong, or the object is closed."""


class OutOfMemoryError(BitnetError, MemoryError):
    """There is not enough memory."""


class FileError(BitnetError, OSError):
    """The system refused to open, read or write a file."""


class NotFoundError(FileError, FileNotFoundError):
    """The file to read does not exist."""


class FormatError(BitnetError, ValueError):
    """A file is damaged, truncated or not what it claims to be."""


class UnsupportedError(BitnetError):
    """Well-formed, but this version cannot do it."""


class ContextError(BitnetError):
    """The tokens do not fit the session's context."""


class CancelledError(BitnetError):
    """The call was cancelled."""


class MismatchError(BitnetError):
    """A saved state belongs to another model."""


class InternalError(BitnetError):
    """A mistake in the library: please report it."""


class BusyError(BitnetError):
    """Another call uses the session."""


_CLASSES = {
    _native.BITNET_ERROR_ARGUMENT: ArgumentError,
    _native.BITNET_ERROR_MEMORY: OutOfMemoryError,
    _native.BITNET_ERROR_NOT_FOUND: NotFoundError,
    _native.BITNET_ERROR_IO: FileError,
    _native.BITNET_ERROR_FORMAT: FormatError,
    _native.BITNET_ERROR_UNSUPPORTED: UnsupportedError,
    _native.BITNET_ERROR_CONTEXT: ContextError,
    _native.BITNET_ERROR_CANCELLED: CancelledError,
    _native.BITNET_ERROR_MISMATCH: MismatchError,
    _native.BITNET_ERROR_INTERNAL: InternalError,
    _native.BITNET_ERROR_BUSY: BusyError,
}


def _make_error(status: int, message: str) -> BitnetError:
    return _CLASSES.get(status, BitnetError)(message)


_native.set_make_error(_make_error)
