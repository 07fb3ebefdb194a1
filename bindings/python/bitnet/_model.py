# SPDX-License-Identifier: MIT
"""Models and text."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable
from typing import Any, Union

from . import _chat, _check, _native
from ._chat import Message
from ._errors import ArgumentError
from ._files import (ACTIVATIONS, HEADS, LAYOUTS, PACKINGS, Activation, ChatTemplate, Head, Layout, Listener, Log, Packing,
                     Path, Progress)
from ._object import Closeable
from ._session import Kv, Session, Tokens, session_options

if typing.TYPE_CHECKING:
    import mmap

    import numpy

Bytes = Union[bytes, bytearray, memoryview, "mmap.mmap", "numpy.ndarray[Any, Any]"]


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """What is known of a model; empty strings and None where its file says nothing."""

    name: str
    license: str
    architecture: str
    isa: str
    packing: str
    head: str
    parameters: int
    ternary_parameters: int
    file_bytes: int
    resident_bytes: int
    vocabulary: int
    context: int
    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    bos: int | None
    eos: int | None
    has_chat_template: bool
    chat_template: str = dataclasses.field(repr=False)  # Jinja source in use
    chat_template_source: str  # "file", "option", or the known template that stands in for the file's mistaken one
    activation: str  # "relu2" or "silu"


def _info_value(field: dataclasses.Field[Any], value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if field.name in ("bos", "eos"):
        return None if value < 0 else value
    return bool(value) if field.name == "has_chat_template" else value


def _text_flags(special: bool | None, bos_eos: bool | None = False) -> int:
    return ((_native.BITNET_TEXT_SPECIAL if _check.boolean(special, "special") else 0)
            | (_native.BITNET_TEXT_BOS_EOS if _check.boolean(bos_eos, "bos_eos") else 0))


def _open_options(isa: str | None, verify: bool | None, packing: Packing | None, head: Head | None, i2s: Layout | None,
                  chat_template: ChatTemplate | None, activation: Activation | None) -> Any:
    options = _native.OpenOptions()
    if isa is not None:
        options.set_isa(_check.string(isa, "isa"))
    options.verify = int(_check.boolean(verify, "verify"))
    options.gguf_packing = _check.choice(PACKINGS, packing, "packing")
    options.gguf_head = _check.choice(HEADS, head, "head")
    options.gguf_i2s = _check.choice(LAYOUTS, i2s, "i2s")
    options.activation = _check.choice(ACTIVATIONS, activation, "activation")
    if chat_template is not None:
        options.set_chat_template(_check.chat_template(chat_template))
    return options


class Model(Closeable):
    """Weights and vocabulary, shared by any number of sessions and threads. A context manager.

    Opens a `.bitnet` file, which is mapped and used as it lies, or a GGUF file, which is repacked in memory.

    isa                    a kernel set of isa_names(); by default the fastest
    verify                 checks every tensor's checksum
    packing, head          how a GGUF file's weights and output head are kept in memory
    i2s                    the order of the weights in a GGUF file's I2_S tensors; by default found out from the weights
    chat_template          in place of the file's: one of chat_template_names(), Jinja source, or the path of a file that
                           holds it
    activation             of files that do not name theirs
    progress(done, total)  in bytes; may return False to cancel
    log(level, message)    hears what the library chooses or notices, as long as the model lives
    """

    def __init__(self, path: Path, *, isa: str | None = None, verify: bool | None = False, packing: Packing | None = None,
                 head: Head | None = None, i2s: Layout | None = None, progress: Progress | None = None,
                 log: Log | None = None, chat_template: ChatTemplate | None = None,
                 activation: Activation | None = None):
        options = _open_options(isa, verify, packing, head, i2s, chat_template, activation)
        self._open(_native.Model.open, _check.path(path, "path"), options, Listener(progress, log))

    @classmethod
    def from_bytes(cls, data: Bytes, *, isa: str | None = None, verify: bool | None = False,
                   packing: Packing | None = None, head: Head | None = None, i2s: Layout | None = None,
                   progress: Progress | None = None, log: Log | None = None, chat_template: ChatTemplate | None = None,
                   activation: Activation | None = None) -> Model:
        """The same from a file's bytes, which are copied."""
        options = _open_options(isa, verify, packing, head, i2s, chat_template, activation)
        model = cls.__new__(cls)
        model._open(_native.Model.open_memory, _check.buffer(data, "data"), options, Listener(progress, log))
        return model

    def _open(self, function: Any, source: Any, options: Any, listener: Listener) -> None:
        self._listener = listener  # which the model's log calls as long as it lives
        self._native = listener.call(function, source, options)
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
        native = self._native.info()
        return ModelInfo(*(_info_value(field, getattr(native, field.name)) for field in dataclasses.fields(ModelInfo)))

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

    def session(self, *, context: int | None = 0, threads: int | None = 0, batch: int | None = 0, kv: Kv | None = None,
                generation_threads: int | None = 0) -> Session:
        """An empty session.

        context             tokens it can hold; 0: what the model was trained for, at most 8192
        threads             that compute, the calling one included; 0: one per physical core
        batch               tokens of a prompt that are computed together; 0: 256
        kv                  how keys and values are kept: "int16", the default, as integers of 16 bits; "f16", as floats,
                            slower in long contexts; "int8", in half the memory, quicker in long contexts. Each rounds
                            otherwise, so that logits differ slightly
        generation_threads  of `threads`, those that compute a token by itself; 0: as many as turn out fastest
        """
        return Session(self, context=context, threads=threads, batch=batch, kv=kv, generation_threads=generation_threads)

    def session_memory(self, *, context: int | None = 0, threads: int | None = 0, batch: int | None = 0,
                       kv: Kv | None = None, generation_threads: int | None = 0) -> int:
        """The bytes that such a session takes besides the model."""
        return self._native.session_memory(session_options(context, threads, batch, kv, generation_threads))


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
