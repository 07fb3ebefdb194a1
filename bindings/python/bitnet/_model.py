# SPDX-License-Identifier: MIT
"""Models and text."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import Any, Union

from . import _chat, _check, _native
from ._chat import Message
from ._engine import Engine, Pool
from ._errors import ArgumentError
from ._files import Listener
from ._object import Closeable
from ._options import *
from ._session import Cancel, Session, Tokens
from ._types import Path

if typing.TYPE_CHECKING:
    import mmap

    import numpy

Bytes = Union[bytes, bytearray, memoryview, "mmap.mmap", "numpy.ndarray[Any, Any]"]


def _text_flags(special: bool | None, bos_eos: bool | None = False) -> int:
    return ((_native.BITNET_TEXT_SPECIAL if _check.boolean(special, "special") else 0)
            | (_native.BITNET_TEXT_BOS_EOS if _check.boolean(bos_eos, "bos_eos") else 0))


class Model(Closeable):
    """Weights and vocabulary, shared by any number of sessions and threads. A context manager.

    Opens a `.bitnet` file, which is mapped and used as it lies, or a GGUF file, which is repacked in memory.

    {OpenArguments}
    """

    def __init__(self, path: Path, *, options: OpenArguments):
        self._open(_native.Model.open, _check.path(path, "path"), options)

    @classmethod
    def from_bytes(cls, data: Bytes, *, options: OpenArguments) -> Model:
        """The same from a file's bytes, which are copied."""
        model = cls.__new__(cls)
        model._open(_native.Model.open_memory, _check.buffer(data, "data"), options)
        return model

    def _open(self, function: Any, source: Any, options: OpenArguments) -> None:
        native = options.native()
        listener = Listener(options.progress, options.log)
        self._listener = listener  # which the model's log calls as long as it lives
        self._native = listener.call(function, source, native)
        self._name = self._native.info().name.decode(errors="replace")

    def close(self) -> None:
        """Lets go of the model. Sessions still using it keep what they need."""
        super().close()

    def _describe(self) -> str:
        try:
            info = self.info
        except ArgumentError:
            return "closed"
        return f"{info.name!r}, {info.architecture}, {info.parameters} weights"

    @property
    def info(self) -> ModelInfo:
        return ModelInfo._of(self._native.info())

    @property
    def metadata(self) -> dict[str, str]:
        """Free-form entries of the file."""
        texts = iter([text.decode(errors="replace") for text in self._native.metadata()])
        return dict(zip(texts, texts))

    def tokenize(self, text: str | bytes, *, special: bool | None = False, bos_eos: bool | None = False) -> list[int]:
        """With `special`, text such as "<|eot_id|>" becomes that control token: never for text from strangers. With
        `bos_eos`, the begin and end tokens are added that the vocabulary asks for."""
        return self._native.tokenize(_check.text(text, "text"), _text_flags(special, bos_eos))

    def detokenize(self, tokens: Tokens, *, special: bool | None = False) -> str:
        """The text of tokens. Half characters at a cut become U+FFFD; a Decoder does streams."""
        return self.detokenize_bytes(tokens, special=special).decode(errors="replace")

    def detokenize_bytes(self, tokens: Tokens, *, special: bool | None = False) -> bytes:
        """The same, exactly the bytes of the tokens."""
        return self._native.detokenize(_check.tokens(tokens, "tokens"), _text_flags(special))

    def is_control(self, token: int) -> bool:
        """Whether no plain text is written by the token."""
        return self._native.is_control(_check.token(token, "token"))

    def is_end(self, token: int) -> bool:
        """Whether the token ends a generation."""
        return self._native.is_end(_check.token(token, "token"))

    def chat_tokenize(self, messages: Iterable[Message], *, reply: bool | None = True,
                      trust: bool | None = False) -> list[int]:
        """The tokens of a conversation as the model's chat template writes it, for Session.generate with `whole`.

        messages  {"role": ..., "content": ...} or (role, content); a content may be a list of {"type": "text", "text": ...}
        reply     end where the assistant's answer begins
        trust     control tokens spelt out in contents, such as "<|eot_id|>", are those tokens; otherwise they are plain
                  text. Never for text from strangers, who could then speak for others
        """
        flags = ((_native.BITNET_CHAT_REPLY if reply is None or _check.boolean(reply, "reply") else 0)
                 | (_native.BITNET_CHAT_TRUST if _check.boolean(trust, "trust") else 0))
        return self._native.chat_tokenize(_chat.conversation(messages), flags)

    def chat_prompt(self, messages: Iterable[Message], *, reply: bool | None = True) -> str:
        """The same as text, to look at or to store. Text does not tell the template's control tokens from contents that
        spell one: to compute with it, use chat_tokenize."""
        flags = _native.BITNET_CHAT_REPLY if reply is None or _check.boolean(reply, "reply") else 0
        return self._native.chat_format(_chat.conversation(messages), flags).decode(errors="replace")

    def embed(self, texts: Iterable[str | bytes | Tokens], *, engine: Engine | None = None, cancel: Cancel | None = None,
              options: EmbedArguments) -> list[memoryview]:
        """The embeddings of texts, which are computed together. Texts whose meaning is alike have embeddings with a large dot
        product. Each is a memoryview of floats, of int8, or of bytes that hold smaller numbers: bytes() makes a blob of it,
        and numpy.asarray() an array.

        texts       of str, or of lists of tokens, to which nothing is added
        engine      what computes; None: the model's own
        cancel      stops the call from another thread
        {EmbedArguments}
        """
        native, count = _native.Texts(), 0
        for count, text in enumerate(_check.items(texts, "texts", "a list of str"), 1):
            if _check.is_text(text):
                native.add(_check.text(text, f"texts[{count - 1}]"))
            else:
                native.add_tokens(_check.tokens(text, f"texts[{count - 1}]", "str or a sequence of int"))
        computes = None if engine is None else _check.instance(engine, Engine, "engine")._native
        stop = None if cancel is None else _check.instance(cancel, Cancel, "cancel")._native
        data = memoryview(self._native.embed(native, options.native(), computes, stop))
        size = len(data) // max(count, 1)
        form = {None: "f", "float": "f", "int8": "b"}.get(options.format, "B")
        return [data[i * size:(i + 1) * size].cast(form) for i in range(count)]

    def engine(self, *, pool: Pool | None = None, options: EngineArguments) -> Engine:
        """What computes for the sessions that are made with it, in place of the model's own engine.

        pool                whose threads compute; None: as `threads` says
        {EngineArguments}
        """
        return Engine(self, pool=pool, **options._asdict())

    def engine_memory(self, *, options: EngineArguments) -> int:
        """The bytes that such an engine takes besides the model and its sessions."""
        return self._native.engine_memory(options.native())

    def trim(self) -> int:
        """Has the model's own engine give memory back that it does not need at the moment: what it keeps of prompts, whose
        bytes are returned, and its work space."""
        return self._native.trim()

    def session(self, *, engine: Engine | None = None, options: SessionArguments) -> Session:
        """An empty session.

        engine    what computes for it; None: the model's own, which all its sessions share
        {SessionArguments}
        """
        return Session(self, engine=engine, **options._asdict())

    def session_memory(self, *, options: SessionArguments) -> int:
        """The bytes that such a session takes besides the model and its engine."""
        return self._native.session_memory(options.native())


class Decoder(Closeable):
    """Tokens to text as they come, never splitting a character. With `special`, control tokens are written out."""

    def __init__(self, model: Model, *, special: bool | None = False):
        flags = _text_flags(special)
        self._native = _native.Decoder(_check.instance(model, Model, "model")._native, flags)
        self._name = model._name

    def push(self, token: int) -> str:
        """The text that the token completes, which may be empty."""
        return self._native.push(_check.token(token, "token")).decode()

    def finish(self) -> str:
        """What is left; the decoder then starts over."""
        return self._native.finish().decode()

    def _describe(self) -> str:
        return f"of {self._name!r}"
