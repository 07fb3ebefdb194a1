# SPDX-License-Identifier: MIT
"""Drawing tokens."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any, TypedDict, Union

from . import _check, _native
from ._object import Closeable

if typing.TYPE_CHECKING:
    import array

    import numpy

    from ._session import Session, Tokens


Floats = Union["numpy.ndarray[Any, numpy.dtype[numpy.float32]]", "array.array[float]", memoryview]


class SamplerOptions(TypedDict, total=False):
    """How tokens are drawn; all of them are off by default, which is the most likely token each time. For those who keep
    them: Sampler(**options), session.generate(prompt, **options)."""

    seed: int  # of the random numbers
    temperature: float  # divides the logits
    top_k: int  # keep the k most likely
    top_p: float  # keep the fewest whose probabilities reach p
    min_p: float  # keep those at least min_p times as likely as the most likely one
    repetition_penalty: float  # divides positive, multiplies negative logits of recent tokens
    frequency_penalty: float  # subtracted once for every occurrence among the recent tokens
    presence_penalty: float  # subtracted if it occurs among them at all
    penalty_window: int  # how many of the last tokens count as recent; 0: 64
    logit_bias: Mapping[int, float]  # added to the logits; -inf forbids a token


def sampler_options(given: Mapping[str, Any]) -> Any:
    """Of a name for each of SamplerOptions; None is the default."""
    native = _native.SamplerOptions()
    native.seed = _check.seed(given["seed"], "seed")
    for name in ("top_k", "penalty_window"):
        setattr(native, name, _check.count(given[name], name))
    for name in ("temperature", "top_p", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty"):
        setattr(native, name, _check.real(given[name], name))
    for token, bias in _check.biases(given["logit_bias"], "logit_bias"):
        native.add_bias(token, bias)
    return native


class Sampler(Closeable):
    """Turns logits into a token, with the options that SamplerOptions explains. Holds the random state."""

    def __init__(self, *, seed: int | None = 0, temperature: float | None = 0, top_k: int | None = 0,
                 top_p: float | None = 0, min_p: float | None = 0, repetition_penalty: float | None = 0,
                 frequency_penalty: float | None = 0, presence_penalty: float | None = 0, penalty_window: int | None = 0,
                 logit_bias: Mapping[int, float] | None = None):
        given = {"seed": seed, "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p,
                 "repetition_penalty": repetition_penalty, "frequency_penalty": frequency_penalty,
                 "presence_penalty": presence_penalty, "penalty_window": penalty_window, "logit_bias": logit_bias}
        self._native = _native.Sampler(sampler_options(given))
        self._options = {name: value for name, value in given.items() if value}

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
