# SPDX-License-Identifier: MIT
"""Sessions and what is generated in them."""

from __future__ import annotations

import typing
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Union

from . import _check, _native, _waiting
from ._object import Closeable
from ._options import *
from ._types import Path

if typing.TYPE_CHECKING:
    import numpy

    from ._chat import Message
    from ._engine import Engine
    from ._model import Bytes, Model

Tokens = Union[Sequence[int], "numpy.ndarray[Any, numpy.dtype[numpy.int32]]"]

class Cancel:
    """A request to stop, which any thread may make, before or during the call that it is given to. It stays made."""

    def __init__(self) -> None:
        self._native = _native.Cancel()

    def request(self) -> None:
        self._native.request()

    @property
    def requested(self) -> bool:
        return self._native.requested()

    def __repr__(self) -> str:
        return f"<bitnet.Cancel {'requested' if self.requested else 'not requested'}>"


def _native_cancel(cancel: Cancel | None) -> Any:
    return None if cancel is None else _check.instance(cancel, Cancel, "cancel")._native


class Generation(Closeable, Iterator[str], AsyncIterator[str]):
    """The text being generated, piece by piece: an iterator of whole characters, made by Session.generate.

    As an asynchronous iterator, `async for text in session.generate(...)`, it leaves the event loop to others while it is
    computed; any number of them may be under way. Cancelling the task cancels it.

    Changing the session otherwise ends it. A context manager, for those who stop early.
    """

    def __init__(self, session: Session, native: Any):
        self._session = session
        self._native = native
        self.tokens: list[int] = []  # drawn so far
        self.finish: Finish | None = None  # None while there is more to come

    def __next__(self) -> str:
        while self.finish is None:
            text = self._take()
            if text:
                return text
        raise StopIteration

    async def __anext__(self) -> str:
        while self.finish is None:
            await _waiting.wait(self._native)
            text = self._take()
            if text:
                return text
        raise StopAsyncIteration

    def _take(self) -> str:
        """The text of the next token, which may be empty."""
        piece = self._native.next()
        if piece.finish:
            self.finish = Finish(piece.finish)
        else:
            self.tokens.append(piece.token)
        return piece.text.decode()

    def cancel(self) -> None:
        """From any thread: the step under way raises bitnet.CancelledError, or the next one."""
        self._native.cancel()

    def close(self) -> None:
        """Ends it here. The session keeps what has been evaluated."""
        super().close()

    def _describe(self) -> str:
        return f"{len(self.tokens)} tokens, {'not finished' if self.finish is None else self.finish.name}"


class _LogitsView:
    """NumPy's way to memory that another object owns: the arrays over it keep this alive, and the session unchanged."""

    def __init__(self, native: Any):
        self._native = native
        self.__array_interface__ = {"version": 3, "typestr": "<f4", "shape": (native.size(),),
                                    "data": (native.address(), True)}


class Session(Closeable):
    """One sequence of tokens with its KV cache and its last logits. A context manager. Made by Model.session, which says
    what the options are."""

    def __init__(self, model: Model, *, engine: Engine | None = None, options: SessionArguments):
        from ._engine import native_engine
        from ._model import Model

        self._model = _check.instance(model, Model, "model")
        self._native = _native.Session(model._native, options.native(), native_engine(engine))

    @property
    def model(self) -> Model:
        return self._model

    def close(self) -> None:
        """Cancels what another thread is doing with the session, then frees it."""
        super().close()

    def _describe(self) -> str:
        return f"of {self._model._name!r}, {self._native.describe().decode()}"

    @property
    def position(self) -> int:
        """The number of tokens evaluated so far."""
        return self._native.position()

    @property
    def context(self) -> int:
        """The number of tokens that fit."""
        return self._native.context()

    @property
    def tokens(self) -> list[int]:
        """The tokens evaluated so far."""
        return self._native.tokens()

    def generate(self, prompt: str | bytes | Tokens, *, options: GenerateArguments) -> Generation:
        """Goes on from the session's tokens and `prompt`, a text or tokens. Nothing is evaluated until the first piece
        is asked for.

        {GenerateArguments}

        The others say how tokens are drawn, as SamplerOptions explains; by default always the most likely one.
        """
        return self._generate(prompt, options)

    def chat(self, messages: Iterable[Message], *, trust: bool | None = False, options: ChatArguments) -> Generation:
        """The assistant's answer to a conversation, given whole each time; what the session holds of it is kept. Messages
        and `trust` are as for Model.chat_tokenize, the other options as for generate()."""
        return self._generate(self._model.chat_tokenize(messages, trust=trust), options)

    def _generate(self, prompt: str | bytes | Tokens, options: GenerateArguments) -> Generation:
        native = options.native()
        if _check.is_text(prompt):
            return Generation(self, self._native.generate(_check.text(prompt, "prompt"), native))
        tokens = _check.tokens(prompt, "prompt", "str, bytes or a sequence of int")
        return Generation(self, self._native.generate_tokens(tokens, native))

    def eval(self, tokens: Tokens, *, logits: Which | None = "last", cancel: Cancel | None = None) -> None:
        """Appends tokens and computes their keys, values and logits: of the last one, all or none. On an error the
        session is as before."""
        self._native.eval(_check.tokens(tokens, "tokens"), _check.choice(WHICH, logits, "logits"), _native_cancel(cancel))

    def logits(self, row: int | None = 0, *, copy: bool | None = True) -> numpy.ndarray[Any, numpy.dtype[numpy.float32]]:
        """The logits of the last evaluation; `row` counts its tokens if it was made with logits="all".

        With copy=False a read-only array over the session's own memory: the session refuses to change while such an
        array is in use.
        """
        import numpy

        copied = copy is None or _check.boolean(copy, "copy")
        view = _LogitsView(self._native.logits(_check.count(row, "row")))
        return numpy.array(view) if copied else numpy.asarray(view)

    def rewind(self, position: int | None = 0) -> None:
        """Forgets all tokens from `position` on."""
        self._native.rewind(_check.count(position, "position"))

    def fork(self) -> Session:
        """A second session with the same tokens, KV cache and options. Its engine is that of the first."""
        fork = Session.__new__(Session)
        fork._model = self._model
        fork._native = self._native.fork()
        return fork

    def save(self, path: Path) -> None:
        """Writes tokens and KV cache to a file."""
        self._native.save(_check.path(path, "path"))

    def load(self, path: Path) -> None:
        """Reads back what save() wrote, into a session of the same model, replacing what it holds."""
        self._native.load(_check.path(path, "path"))

    def save_bytes(self) -> bytes:
        """What save() writes."""
        return self._native.save_memory()

    def load_bytes(self, data: Bytes) -> None:
        """Reads back what save() wrote or save_bytes() gave, as load() does."""
        self._native.load_memory(_check.buffer(data, "data"))

    @property
    def perf(self) -> Perf:
        """Counters since the session was made or they were last reset."""
        return Perf._of(self._native.perf())

    def reset_perf(self) -> None:
        """Sets the counters to zero."""
        self._native.reset_perf()


def eval_batch(items: Iterable[tuple[Session, Tokens]], *, logits: Which | None = "last",
               cancel: Cancel | None = None) -> None:
    """Session.eval for several sessions of one model in one pass over the weights. If one of them cannot be
    evaluated, nothing is."""
    batch = _native.Batch()
    which = _check.choice(WHICH, logits, "logits")
    for i, (session, tokens) in enumerate(_check.pairs(items, "items", "(session, tokens)")):
        _check.instance(session, Session, f"items[{i}][0]")
        batch.add(session._native, _check.tokens(tokens, f"items[{i}][1]"), which)
    batch.eval(_native_cancel(cancel))
