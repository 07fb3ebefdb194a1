# SPDX-License-Identifier: MIT
"""Sessions and what is generated in them."""

from __future__ import annotations

import dataclasses
import enum
import os
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, Union

from . import _native
from ._files import Path, choose
from ._sampler import sampler_options

if typing.TYPE_CHECKING:
    import numpy

    from ._model import Message, Model

Tokens = Union[Sequence[int], "numpy.ndarray[Any, numpy.dtype[numpy.int32]]"]
Which = Literal["last", "all", "none"]
Kv = Literal["f16", "int8", "int16"]
KINDS = {None: _native.BITNET_KV_DEFAULT, "f16": _native.BITNET_KV_F16, "int8": _native.BITNET_KV_INT8,
         "int16": _native.BITNET_KV_INT16}
WHICH = {"last": _native.BITNET_LOGITS_LAST, "all": _native.BITNET_LOGITS_ALL, "none": _native.BITNET_LOGITS_NONE}


class Finish(enum.Enum):
    """Why a text ended."""

    END_TOKEN = _native.BITNET_FINISH_END_TOKEN  # the model ended it
    STOP = _native.BITNET_FINISH_STOP  # a stop string came
    MAX_TOKENS = _native.BITNET_FINISH_MAX_TOKENS
    CONTEXT = _native.BITNET_FINISH_CONTEXT  # the session is full


@dataclasses.dataclass(frozen=True)
class Perf:
    """Counters of a session; times in nanoseconds."""

    prompt_tokens: int
    prompt_ns: int
    generated_tokens: int
    generated_ns: int
    sampled_tokens: int
    sample_ns: int


class Cancel:
    """A request to stop, which any thread may make, before or during the call that it is given to. It stays made."""

    def __init__(self) -> None:
        self._native = _native.Cancel()

    def request(self) -> None:
        self._native.request()

    @property
    def requested(self) -> bool:
        return self._native.requested()


def _native_cancel(cancel: Cancel | None) -> Any:
    return None if cancel is None else cancel._native


class Generation(Iterator[str]):
    """The text being generated, piece by piece: an iterator of whole characters, made by Session.generate.

    Changing the session otherwise ends it. A context manager, for those who stop early.
    """

    def __init__(self, session: Session, native: Any):
        self._session = session
        self._native = native
        self.tokens: list[int] = []  # drawn so far
        self.finish: Finish | None = None  # None while there is more to come

    def __next__(self) -> str:
        while self.finish is None:
            piece = self._native.next()
            if piece.finish:
                self.finish = Finish(piece.finish)
            else:
                self.tokens.append(piece.token)
            if piece.text:
                return piece.text.decode()
        raise StopIteration

    def cancel(self) -> None:
        """From any thread: the step under way raises CancelledError, or the next one."""
        self._native.cancel()

    def close(self) -> None:
        """Ends it here. The session keeps what has been evaluated."""
        self._native.close()

    def __enter__(self) -> Generation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _LogitsView:
    """NumPy's way to memory that another object owns: the arrays over it keep this alive, and the session unchanged."""

    def __init__(self, native: Any):
        self._native = native
        self.__array_interface__ = {"version": 3, "typestr": "<f4", "shape": (native.size(),),
                                    "data": (native.address(), True)}


def session_options(context: int, threads: int, batch: int, kv: Kv | None, generation_threads: int) -> Any:
    options = _native.SessionOptions()
    options.context, options.threads, options.batch = context, threads, batch
    options.kv = choose(KINDS, kv, "kv")
    options.generation_threads = generation_threads
    return options


class Session:
    """One sequence of tokens with its KV cache, its threads and its last logits. A context manager. Made by Model.session,
    which says what the options are."""

    def __init__(self, model: Model, *, context: int = 0, threads: int = 0, batch: int = 0, kv: Kv | None = None,
                 generation_threads: int = 0):
        self._model = model
        options = session_options(context, threads, batch, kv, generation_threads)
        self._native = _native.Session(model._native, options)

    @property
    def model(self) -> Model:
        return self._model

    def close(self) -> None:
        """Cancels what another thread is doing with the session, then frees it."""
        self._native.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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

    def generate(self, prompt: str | bytes | Tokens, *, max_tokens: int = 0, stop: Iterable[str] = (),
                 whole: bool = False, special_prompt: bool = False, special_output: bool = False,
                 ignore_end: bool = False, **sampling: Any) -> Generation:
        """Goes on from the session's tokens and `prompt`, a text or tokens. Nothing is evaluated until the first piece
        is asked for.

        max_tokens      0: until an end token or the context is full
        stop            the text ends before the first of these
        whole           the prompt is the whole text from the start: what the session holds of it is kept
        special_prompt  the prompt's text may name control tokens (chat prompts do)
        special_output  write control tokens out
        ignore_end      go on after an end token
        sampling        as SamplerOptions; by default always the most likely token
        """
        options = _native.GenerateOptions()
        options.max_tokens = max_tokens
        options.flags = ((_native.BITNET_GENERATE_WHOLE if whole else 0)
                         | (_native.BITNET_GENERATE_SPECIAL_PROMPT if special_prompt else 0)
                         | (_native.BITNET_GENERATE_SPECIAL_OUTPUT if special_output else 0)
                         | (_native.BITNET_GENERATE_IGNORE_END if ignore_end else 0))
        for text in (stop,) if isinstance(stop, str) else stop:
            options.add_stop(text.encode())
        options.set_sampler(sampler_options(sampling))
        if isinstance(prompt, str):
            prompt = prompt.encode()
        start = self._native.generate if isinstance(prompt, bytes) else self._native.generate_tokens
        return Generation(self, start(prompt, options))

    def chat(self, messages: Iterable[Message], **options: Any) -> Generation:
        """The assistant's answer to a conversation, given whole each time; what the session holds of it is kept."""
        return self.generate(self._model.chat_prompt(messages), whole=True, special_prompt=True, **options)

    def eval(self, tokens: Tokens, *, logits: Which = "last", cancel: Cancel | None = None) -> None:
        """Appends tokens and computes their keys, values and logits: of the last one, all or none. On an error the
        session is as before."""
        self._native.eval(tokens, choose(WHICH, logits, "logits"), _native_cancel(cancel))

    def logits(self, row: int = 0, *, copy: bool = True) -> numpy.ndarray[Any, numpy.dtype[numpy.float32]]:
        """The logits of the last evaluation; `row` counts its tokens if it was made with logits="all".

        With copy=False a read-only array over the session's own memory: the session refuses to change while such an
        array is in use.
        """
        import numpy

        return numpy.array(_LogitsView(self._native.logits(row)), copy=copy)

    def rewind(self, position: int = 0) -> None:
        """Forgets all tokens from `position` on."""
        self._native.rewind(position)

    def fork(self) -> Session:
        """A second session with the same tokens, KV cache and options. It shares the threads of the first."""
        fork = Session.__new__(Session)
        fork._model = self._model
        fork._native = self._native.fork()
        return fork

    def save(self, path: Path) -> None:
        """Writes tokens and KV cache to a file."""
        self._native.save(os.fsencode(path))

    def load(self, path: Path) -> None:
        """Reads back what save() wrote, into a session of the same model, replacing what it holds."""
        self._native.load(os.fsencode(path))

    def save_bytes(self) -> bytes:
        return self._native.save_memory()

    def load_bytes(self, data: Any) -> None:
        self._native.load_memory(data)

    @property
    def perf(self) -> Perf:
        native = self._native.perf()
        return Perf(*(getattr(native, field.name) for field in dataclasses.fields(Perf)))

    def reset_perf(self) -> None:
        self._native.reset_perf()


def eval_batch(items: Iterable[tuple[Session, Tokens]], *, logits: Which = "last",
               cancel: Cancel | None = None) -> None:
    """Session.eval for several sessions of one model in one pass over the weights. All or nothing."""
    batch = _native.Batch()
    for session, tokens in items:
        batch.add(session._native, tokens, choose(WHICH, logits, "logits"))
    batch.eval(_native_cancel(cancel))
