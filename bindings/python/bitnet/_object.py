# SPDX-License-Identifier: MIT
"""What Model, Session, Sampler, Generation and Decoder have in common."""

from __future__ import annotations

from typing import Any, TypeVar

O = TypeVar("O", bound="Closeable")


class Closeable:
    """Holds a native object until it is closed. A context manager."""

    _native: Any = None
    _closed = False

    def close(self) -> None:
        if self._native is not None:
            self._native.close()
        self._closed = True

    @property
    def closed(self) -> bool:
        """Whether close() has been called."""
        return self._closed

    def __enter__(self: O) -> O:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<bitnet.{type(self).__name__} {'closed' if self._closed or self._native is None else self._describe()}>"

    def _describe(self) -> str:
        """What there is to say of it while it is open."""
        raise NotImplementedError
