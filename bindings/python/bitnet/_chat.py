# SPDX-License-Identifier: MIT
"""Conversations, as the clients of OpenAI's interface write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Tuple, Union

from . import _check, _native
from ._errors import ArgumentError

Message = Union[Mapping[str, object], Tuple[str, str]]


def _refuse_more(given: Mapping[Any, Any], known: tuple[str, ...], where: str) -> None:
    """What would be lost without a word is refused; keys that hold nothing are no loss."""
    for key, value in given.items():
        if key not in known and value is not None and value != [] and value != {}:
            raise ArgumentError(f"{where} has {key!r}, which chat templates are not given here: leave it out, or write it "
                                "into the content")


def _part(part: Any, where: str) -> str:
    """A part of a content: {"type": "text", "text": ...}."""
    if not isinstance(part, Mapping):
        _check.wrong_type(where, '{"type": "text", "text": ...}', part)
    kind = part.get("type")
    if kind != "text":
        raise ArgumentError(f"{where} has type {kind!r}; models that read more than 'text' are not supported")
    if part.get("text") is None:
        raise ArgumentError(f"{where} has no text")
    if not isinstance(part["text"], str):
        _check.wrong_type(f"{where}['text']", "str", part["text"])
    _refuse_more(part, ("type", "text"), where)
    return part["text"]


def _content(content: Any, where: str, whose: str) -> bytes:
    if content is None:
        raise ArgumentError(f"{whose} has no content")
    if isinstance(content, (list, tuple)):
        content = "".join(_part(part, f"{where}[{i}]") for i, part in enumerate(content))
    elif not isinstance(content, str):
        _check.wrong_type(where, "str or a list of parts", content)
    return _check.string(content, where)


def _role(role: Any, where: str) -> bytes:
    if role is None:
        raise ArgumentError(f"{where} has no role")
    if not isinstance(role, str):
        _check.wrong_type(f"the role of {where}", "str", role)
    if "\0" in role:
        raise ArgumentError(f"the role of {where} contains a zero byte")
    return _check.string(role, f"the role of {where}")


def _message(message: Any, where: str) -> tuple[bytes, bytes]:
    if isinstance(message, Mapping):
        given = message
        role, content = message.get("role"), message.get("content")
    elif isinstance(message, (tuple, list)) and len(message) == 2:
        given = {}
        role, content = message
    else:
        _check.wrong_type(where, '{"role": ..., "content": ...} or (role, content)', message)
    name = _role(role, where)
    whose = f"{where} ({role})"
    _refuse_more(given, ("role", "content"), whose)
    return name, _content(content, f"the content of {whose}", whose)


def pair(message: Any) -> tuple[bytes, bytes]:
    """Role and content."""
    return _message(message, "the message")


def pairs(messages: Any) -> list[tuple[bytes, bytes]]:
    if isinstance(messages, Mapping):
        raise TypeError("messages must be a list of messages, not a single one")
    return [_message(message, f"messages[{i}]")
            for i, message in enumerate(_check.items(messages, "messages", "a list of messages"))]


def conversation(messages: Any) -> Any:
    native = _native.Conversation()
    for message in pairs(messages):
        native.add(*message)
    return native
