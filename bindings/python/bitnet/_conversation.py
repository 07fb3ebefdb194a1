# SPDX-License-Identifier: MIT
"""Conversations that are kept, and go on."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from . import _chat, _check, _native
from ._chat import Message
from ._object import Closeable
from ._options import *
from ._session import Generation, Session
from ._types import Path

if typing.TYPE_CHECKING:
    from ._model import Bytes

Fit = Literal["drop_oldest", "refuse"]
FIT = {"drop_oldest": _native.BITNET_CHAT_FIT_DROP_OLDEST, "refuse": _native.BITNET_CHAT_FIT_REFUSE}


class ChatPrompt(NamedTuple):
    """The latest prompt, also one that was refused."""

    left_out: int  # messages that were left out of it
    left_out_from: int  # the first of these, in the history as it was then
    tokens: int  # that it has
    tokens_needed: int  # of context that it and the room for the reply take


class Chat(Closeable):
    """A conversation, whose replies a session generates. A context manager.

    What the session holds of a prompt is not evaluated again, and a reply is the same whatever it holds. It may be used for
    other things between replies. Threads may share a chat: while one of them pulls a reply, others may look at the history.

    trust    control tokens spelt out in contents are those tokens. Never for text from strangers
    plain    where the model has no template, a conversation is plain text that it goes on with
    fit      what is done about a history that leaves too little room: "drop_oldest" turns from the prompt, or "refuse" the
             reply with a ContextError, so that the caller shortens the history
    reserve  tokens of the context that a prompt leaves free; 0: the reply's max_tokens, or 256, at most a quarter of it
    """

    def __init__(self, session: Session, messages: Iterable[Message] = (), *, trust: bool | None = False,
                 plain: bool | None = False, fit: Fit | None = "drop_oldest", reserve: int | None = 0):
        flags = ((_native.BITNET_CHAT_TRUST if _check.boolean(trust, "trust") else 0)
                 | (_native.BITNET_CHAT_PLAIN if _check.boolean(plain, "plain") else 0))
        self._session = _check.instance(session, Session, "session")
        given = _chat.pairs(messages)
        self._native = _native.Chat(session._native, flags, _check.choice(FIT, fit, "fit"),
                                    _check.count(reserve, "reserve"))
        for message in given:
            self._native.add(*message)

    @property
    def session(self) -> Session:
        return self._session

    def close(self) -> None:
        """Ends a reply under way, and lets go of the conversation."""
        super().close()

    def _describe(self) -> str:
        return f"{len(self)} messages"

    # ------------------------------------------------------------- the history

    def __len__(self) -> int:
        return self._native.count()

    def __getitem__(self, index: int) -> dict[str, str]:
        count = len(self)
        at = _check.integer(index, "index", -2**31, 2**31 - 1)
        if not -count <= at < count:
            raise IndexError(f"there is no message {at}: the chat has {count}")
        at += count if at < 0 else 0
        return {"role": self._native.role(at).decode(errors="replace"),
                "content": self._native.content(at).decode(errors="replace")}

    def __iter__(self) -> Iterator[dict[str, str]]:
        return iter(self.messages)

    @property
    def messages(self) -> list[dict[str, str]]:
        """A copy of the history, as `messages` takes it."""
        return [self[i] for i in range(len(self))]

    def add(self, role: str, content: str) -> None:
        """Puts a message at the end. Like every change of the history it ends a reply under way: its text so far stays."""
        self._native.add(*_chat.pair((role, content)))

    def insert(self, index: int, role: str, content: str) -> None:
        """Puts a message before message `index`."""
        self._native.insert(_check.count(index, "index"), *_chat.pair((role, content)))

    def remove(self, index: int, count: int | None = None) -> None:
        """Takes out `count` messages from `index` on; all from there by default."""
        if count is None:
            self._native.remove_from(_check.count(index, "index"))
        else:
            self._native.remove(_check.count(index, "index"), _check.count(count, "count"))

    # ------------------------------------------------------------ what is said

    def reply(self, *, options: ChatArguments) -> Generation:
        """The assistant's reply to the history, which has it as soon as the text has ended. If it is closed before, what it
        had given out stays.

        {ChatArguments}

        The others say how tokens are drawn, as SamplerOptions explains; by default always the most likely one.
        """
        return Generation(self._session, self._native.reply(options.native()))

    def regenerate(self, *, options: ChatArguments) -> Generation:
        """Another reply in place of the last message, which stays until the new one is there. Options as for reply()."""
        return Generation(self._session, self._native.regenerate(options.native()))

    def send(self, text: str, *, options: ChatArguments) -> Generation:
        """Adds a message of the user, and gives the reply to it. Where there can be none, the history is as before. Options
        as for reply()."""
        self.add("user", text)
        try:
            return Generation(self._session, self._native.reply(options.native()))
        except BaseException:
            self.remove(len(self) - 1)
            raise

    @property
    def prompt(self) -> ChatPrompt:
        """What the latest prompt was; zeros before the first."""
        native = self._native.prompt()
        return ChatPrompt(native.left_out, native.left_out_from, native.tokens, native.tokens_needed)

    # ------------------------------------------------------------ another day

    def save(self, path: Path) -> None:
        """Writes the history to a file, as JSON that other programs know: {"model": ..., "messages": [...]}."""
        self._native.save(_check.path(path, "path"))

    def load(self, path: Path) -> None:
        """Reads back what save() wrote, or any such file, in place of the history."""
        self._native.load(_check.path(path, "path"))

    def save_json(self) -> str:
        """What save() writes."""
        return self._native.save_memory().decode()

    def load_json(self, text: str | Bytes) -> None:
        """Reads such JSON, as load() does."""
        given: Any = _check.string(text, "text") if isinstance(text, str) else _check.buffer(text, "text")
        self._native.load_memory(given)
