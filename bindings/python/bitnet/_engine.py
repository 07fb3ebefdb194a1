# SPDX-License-Identifier: MIT
"""What computes: for programs that want another engine than the one that every model has."""

from __future__ import annotations

import typing
from typing import Any

from . import _check, _native
from ._object import Closeable
from ._options import *
from ._session import Session

if typing.TYPE_CHECKING:
    from ._model import Model


class Pool(Closeable):
    """Threads that compute, which engines of several models may share: they take turns, a pass at a time. Engines that use
    it keep what they need of it. A context manager.

    {PoolArguments}
    """

    def __init__(self, *, options: PoolArguments):
        self._native = _native.Pool(options.native())

    def _describe(self) -> str:
        return "open"


class Engine(Closeable):
    """Computes what its sessions ask for at the same time, in one pass over the weights. Sessions that use it keep what they
    need of it. A context manager. Made by Model.engine, which says what the options are."""

    def __init__(self, model: Model, *, pool: Pool | None = None, options: EngineArguments):
        from ._model import Model

        self._model = _check.instance(model, Model, "model")
        shared = None if pool is None else _check.instance(pool, Pool, "pool")._native
        self._native = _native.Engine(model._native, options.native(), shared)

    @property
    def model(self) -> Model:
        return self._model

    def session(self, *, options: SessionArguments) -> Session:
        """An empty session of the engine's model that this engine computes for: as Model.session."""
        return Session(self._model, engine=self, **options._asdict())

    def trim(self) -> int:
        """Gives memory back that the engine does not need at the moment: as Model.trim."""
        return self._native.trim()

    def _describe(self) -> str:
        return f"of {self._model._name!r}"


def native_engine(engine: Engine | None) -> Any:
    return None if engine is None else _check.instance(engine, Engine, "engine")._native
