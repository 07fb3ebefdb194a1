# SPDX-License-Identifier: MIT
"""Drawing tokens."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any, Union

from . import _check, _native
from ._object import Closeable
from ._options import *

if typing.TYPE_CHECKING:
    import array

    import numpy

    from ._session import Session, Tokens


Floats = Union["numpy.ndarray[Any, numpy.dtype[numpy.float32]]", "array.array[float]", memoryview]


class Sampler(Closeable):
    """Turns logits into a token, with the options that SamplerOptions explains. Holds the random state."""

    def __init__(self, *, options: SamplerArguments):
        self._native = _native.Sampler(options.native())
        self._options = {name: value for name, value in options._asdict().items() if value}

    def reseed(self, seed: int) -> None:
        """Starts the random numbers over."""
        self._native.reseed(_check.seed(seed, "seed"))

    def sample(self, session: Session) -> int:
        """A token drawn from the session's last logits, whose tokens are the recent ones. It is not evaluated."""
        from ._session import Session

        return _check.instance(session, Session, "session")._native.sample(self._native)

    def sample_logits(self, logits: Floats, recent: Tokens | None = ()) -> int:
        """The same from an array of 32-bit floats of your own."""
        return self._native.sample_logits(_check.buffer(logits, "logits", "an array of 32-bit floats"),
                                          () if recent is None else _check.tokens(recent, "recent"))

    def _describe(self) -> str:
        return " ".join(f"{name}={value!r}" for name, value in self._options.items()) or "of the most likely token"
