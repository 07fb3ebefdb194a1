# SPDX-License-Identifier: MIT
"""Drawing tokens."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any, TypedDict

from . import _native

if typing.TYPE_CHECKING:
    from ._session import Session, Tokens


class SamplerOptions(TypedDict, total=False):
    """How tokens are drawn; all of them are off by default, which is the most likely token each time."""

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


def sampler_options(options: Mapping[str, Any]) -> _native.SamplerOptions:
    native = _native.SamplerOptions()
    for name, value in options.items():
        if name not in SamplerOptions.__annotations__:
            raise TypeError(f"there is no option {name!r}")
        if name == "logit_bias":
            for token, bias in value.items():
                native.add_bias(token, bias)
        else:
            setattr(native, name, value)
    return native


class Sampler:
    """Turns logits into a token, with the options of SamplerOptions. Holds the random state."""

    def __init__(self, **options: Any):
        self._native = _native.Sampler(sampler_options(options))

    def reseed(self, seed: int) -> None:
        """Starts the random numbers over."""
        self._native.reseed(seed)

    def sample(self, session: Session) -> int:
        """A token drawn from the session's last logits, whose tokens are the recent ones. It is not evaluated."""
        return session._native.sample(self._native)

    def sample_logits(self, logits: Any, recent: Tokens = ()) -> int:
        """The same from an array of 32-bit floats of your own."""
        return self._native.sample_logits(logits, recent)

    def close(self) -> None:
        self._native.close()

    def __enter__(self) -> Sampler:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
