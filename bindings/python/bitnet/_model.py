# SPDX-License-Identifier: MIT
"""Models and text."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any, Union

from . import _native
from ._files import HEADS, LAYOUTS, PACKINGS, Head, Layout, Listener, Log, Packing, Path, Progress, choose
from ._session import Kv, Session, Tokens, session_options

Message = Union[Mapping[str, str], "tuple[str, str]"]


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


def _info_value(field: dataclasses.Field[Any], value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if field.name in ("bos", "eos"):
        return None if value < 0 else value
    return bool(value) if field.name == "has_chat_template" else value


def _text_flags(special: bool, bos_eos: bool = False) -> int:
    return (_native.BITNET_TEXT_SPECIAL if special else 0) | (_native.BITNET_TEXT_BOS_EOS if bos_eos else 0)


class Model:
    """Weights and vocabulary, shared by any number of sessions and threads. A context manager.

    Opens a `.bitnet` file, which is mapped and used as it lies, or a GGUF file, which is repacked in memory as `packing`,
    `head` and `i2s` say. `isa` names a kernel set of isa_names(); `verify` checks every tensor's checksum.
    progress(done, total), in bytes, may return False to cancel; log(level, message) hears what the library notices.
    """

    def __init__(self, path: Path, *, isa: str = "", verify: bool = False, packing: Packing | None = None,
                 head: Head | None = None, i2s: Layout = "x86", progress: Progress | None = None,
                 log: Log | None = None):
        self._open(_native.Model.open, os.fsencode(path), isa, verify, packing, head, i2s, progress, log)

    @classmethod
    def from_bytes(cls, data: Any, *, isa: str = "", verify: bool = False, packing: Packing | None = None,
                   head: Head | None = None, i2s: Layout = "x86", progress: Progress | None = None,
                   log: Log | None = None) -> Model:
        """The same from a file's bytes, which are copied."""
        model = cls.__new__(cls)
        model._open(_native.Model.open_memory, data, isa, verify, packing, head, i2s, progress, log)
        return model

    def _open(self, function: Any, source: Any, isa: str, verify: bool, packing: Any, head: Any, i2s: Any,
              progress: Progress | None, log: Log | None) -> None:
        options = _native.OpenOptions()
        options.set_isa(isa.encode())
        options.verify = int(verify)
        options.gguf_packing = choose(PACKINGS, packing, "packing")
        options.gguf_head = choose(HEADS, head, "head")
        options.gguf_i2s = choose(LAYOUTS, i2s, "i2s")
        self._listener = Listener(progress, log)  # which the model's log calls as long as it lives
        self._native = self._listener.call(function, source, options)

    def close(self) -> None:
        """Lets go of the model. Sessions still using it keep what they need."""
        self._native.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def info(self) -> ModelInfo:
        native = self._native.info()
        return ModelInfo(*(_info_value(field, getattr(native, field.name)) for field in dataclasses.fields(ModelInfo)))

    @property
    def metadata(self) -> dict[str, str]:
        """Free-form entries of the file."""
        texts = iter([text.decode(errors="replace") for text in self._native.metadata()])
        return dict(zip(texts, texts))

    def tokenize(self, text: str | bytes, *, special: bool = False, bos_eos: bool = False) -> list[int]:
        """With `special`, text such as "<|eot_id|>" becomes that control token: never for text from strangers. With
        `bos_eos`, the begin and end tokens are added that the vocabulary asks for."""
        return self._native.tokenize(text.encode() if isinstance(text, str) else text, _text_flags(special, bos_eos))

    def detokenize(self, tokens: Tokens, *, special: bool = False) -> str:
        """The text of tokens. Half characters at a cut become U+FFFD; a Decoder does streams."""
        return self.detokenize_bytes(tokens, special=special).decode(errors="replace")

    def detokenize_bytes(self, tokens: Tokens, *, special: bool = False) -> bytes:
        return self._native.detokenize(tokens, _text_flags(special))

    def is_control(self, token: int) -> bool:
        """Whether no plain text is written by the token."""
        return self._native.is_control(token)

    def is_end(self, token: int) -> bool:
        """Whether the token ends a generation."""
        return self._native.is_end(token)

    def chat_prompt(self, messages: Iterable[Message], *, reply: bool = True) -> str:
        """A conversation as the model's chat template writes it, with `reply` up to where the assistant's answer begins.
        Messages are {"role": ..., "content": ...} or (role, content). Tokenize the result with `special`."""
        conversation = _native.Conversation()
        for message in messages:
            role, content = (message["role"], message["content"]) if isinstance(message, Mapping) else message
            conversation.add(role.encode(), content.encode())
        return self._native.chat_format(conversation, reply).decode(errors="replace")

    def session(self, *, context: int = 0, threads: int = 0, batch: int = 0, kv: Kv | None = None,
                generation_threads: int = 0) -> Session:
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

    def session_memory(self, *, context: int = 0, threads: int = 0, batch: int = 0, kv: Kv | None = None,
                       generation_threads: int = 0) -> int:
        """The bytes that such a session takes besides the model."""
        return self._native.session_memory(session_options(context, threads, batch, kv, generation_threads))


class Decoder:
    """Tokens to text as they come, never splitting a character. With `special`, control tokens are written out."""

    def __init__(self, model: Model, *, special: bool = False):
        self._native = _native.Decoder(model._native, _text_flags(special))

    def push(self, token: int) -> str:
        """The text that the token completes, which may be empty."""
        return self._native.push(token).decode()

    def finish(self) -> str:
        """What is left; the decoder then starts over."""
        return self._native.finish().decode()

    def close(self) -> None:
        self._native.close()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
