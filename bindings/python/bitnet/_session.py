# SPDX-License-Identifier: MIT
"""Sessions and what is generated in them."""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Union

from . import _check, _native
from ._files import Path
from ._object import Closeable
from ._sampler import sampler_options

if typing.TYPE_CHECKING:
    import numpy

    from ._chat import Message
    from ._model import Bytes, Model

Tokens = Union[Sequence[int], "numpy.ndarray[Any, numpy.dtype[numpy.int32]]"]
Which = Literal["last", "all", "none"]
Kv = Literal["f16", "int8", "int16"]
KINDS = {None: _native.BITNET_KV_DEFAULT, "f16": _native.BITNET_KV_F16, "int8": _native.BITNET_KV_INT8,
         "int16": _native.BITNET_KV_INT16}
WHICH = {None: _native.BITNET_LOGITS_LAST, "last": _native.BITNET_LOGITS_LAST, "all": _native.BITNET_LOGITS_ALL,
         "none": _native.BITNET_LOGITS_NONE}


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

    def __repr__(self) -> str:
        return f"<bitnet.Cancel {'requested' if self.requested else 'not requested'}>"


def _native_cancel(cancel: Cancel | None) -> Any:
    return None if cancel is None else _check.instance(cancel, Cancel, "cancel")._native


class Generation(Closeable, Iterator[str]):
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
        super().close()

    def _describe(self) -> str:
        return f"{len(self.tokens)} tokens, {'not finished' if self.finish is None else self.finish.name}"


class _LogitsView:
    """NumPy's way to memory that another object owns: the arrays over it keep this alive, and the session unchanged."""

    def __init__(self, native: Any):
        self._native = native
        self.__array_interface__ = {"version": 3, "typestr": "<f4", "shape": (native.size(),),
                                    "data": (native.address(), True)}


def session_options(context: int | None, threads: int | None, batch: int | None, kv: Kv | None,
                    generation_threads: int | None) -> Any:
    options = _native.SessionOptions()
    options.context = _check.count(context, "context")
    options.threads = _check.count(threads, "threads")
    options.batch = _check.count(batch, "batch")
    options.kv = _check.choice(KINDS, kv, "kv")
    options.generation_threads = _check.count(generation_threads, "generation_threads")
    return options


class Session(Closeable):
    """One sequence of tokens with its KV cache, its threads and its last logits. A context manager. Made by Model.session,
    which says what the options are."""

    def __init__(self, model: Model, *, context: int | None = 0, threads: int | None = 0, batch: int | None = 0,
                 kv: Kv | None = None, generation_threads: int | None = 0):
        from ._model import Model

        self._model = _check.instance(model, Model, "model")
        options = session_options(context, threads, batch, kv, generation_threads)
        self._native = _native.Session(model._native, options)

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

    def generate(self, prompt: str | bytes | Tokens, *, max_tokens: int | None = 0, stop: str | Iterable[str] | None = (),
                 whole: bool | None = False, special_prompt: bool | None = False, special_output: bool | None = False,
                 ignore_end: bool | None = False, seed: int | None = 0, temperature: float | None = 0,
                 top_k: int | None = 0, top_p: float | None = 0, min_p: float | None = 0,
                 repetition_penalty: float | None = 0, frequency_penalty: float | None = 0,
                 presence_penalty: float | None = 0, penalty_window: int | None = 0,
                 logit_bias: Mapping[int, float] | None = None) -> Generation:
        """Goes on from the session's tokens and `prompt`, a text or tokens. Nothing is evaluated until the first piece
        is asked for.

        max_tokens      0: until an end token or the context is full
        stop            the text ends before the first of these
        whole           the prompt is the whole text from the start: what the session holds of it is kept
        special_prompt  text such as "<|eot_id|>" in the prompt becomes that control token: never for text from strangers
        special_output  write control tokens out
        ignore_end      go on after an end token

        The others say how tokens are drawn, as SamplerOptions explains; by default always the most likely one.
        """
        options = _native.GenerateOptions()
        options.max_tokens = _check.count(max_tokens, "max_tokens")
        options.flags = ((_native.BITNET_GENERATE_WHOLE if _check.boolean(whole, "whole") else 0)
                         | (_native.BITNET_GENERATE_SPECIAL_PROMPT
                            if _check.boolean(special_prompt, "special_prompt") else 0)
                         | (_native.BITNET_GENERATE_SPECIAL_OUTPUT
                            if _check.boolean(special_output, "special_output") else 0)
                         | (_native.BITNET_GENERATE_IGNORE_END if _check.boolean(ignore_end, "ignore_end") else 0))
        for text in _check.texts(stop, "stop"):
            options.add_stop(text)
        options.set_sampler(sampler_options(
            {"seed": seed, "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p,
             "repetition_penalty": repetition_penalty, "frequency_penalty": frequency_penalty,
             "presence_penalty": presence_penalty, "penalty_window": penalty_window, "logit_bias": logit_bias}))
        if _check.is_text(prompt):
            return Generation(self, self._native.generate(_check.text(prompt, "prompt"), options))
        tokens = _check.tokens(prompt, "prompt", "str, bytes or a sequence of int")
        return Generation(self, self._native.generate_tokens(tokens, options))

    def chat(self, messages: Iterable[Message], *, trust: bool | None = False, max_tokens: int | None = 0,
             stop: str | Iterable[str] | None = (), special_output: bool | None = False, ignore_end: bool | None = False,
             seed: int | None = 0, temperature: float | None = 0, top_k: int | None = 0, top_p: float | None = 0,
             min_p: float | None = 0, repetition_penalty: float | None = 0, frequency_penalty: float | None = 0,
             presence_penalty: float | None = 0, penalty_window: int | None = 0,
             logit_bias: Mapping[int, float] | None = None) -> Generation:
        """The assistant's answer to a conversation, given whole each time; what the session holds of it is kept. Messages
        and `trust` are as for Model.chat_tokenize, the other options as for generate()."""
        return self.generate(
            self._model.chat_tokenize(messages, trust=trust), whole=True, max_tokens=max_tokens, stop=stop,
            special_output=special_output, ignore_end=ignore_end, seed=seed, temperature=temperature, top_k=top_k,
            top_p=top_p, min_p=min_p, repetition_penalty=repetition_penalty, frequency_penalty=frequency_penalty,
            presence_penalty=presence_penalty, penalty_window=penalty_window, logit_bias=logit_bias)

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
        """A second session with the same tokens, KV cache and options. It shares the threads of the first."""
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
        native = self._native.perf()
        return Perf(*(getattr(native, field.name) for field in dataclasses.fields(Perf)))

    def reset_perf(self) -> None:
        """Sets the counters to zero."""
        self._native.reset_perf()


def eval_batch(items: Iterable[tuple[Session, Tokens]], *, logits: Which | None = "last",
               cancel: Cancel | None = None) -> None:
    """Session.eval for several sessions of one model in one pass over the weights. All or nothing."""
    batch = _native.Batch()
    which = _check.choice(WHICH, logits, "logits")
    for i, (session, tokens) in enumerate(_check.pairs(items, "items", "(session, tokens)")):
        _check.instance(session, Session, f"items[{i}][0]")
        batch.add(session._native, _check.tokens(tokens, f"items[{i}][1]"), which)
    batch.eval(_native_cancel(cancel))
