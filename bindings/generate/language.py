# SPDX-License-Identifier: MIT
"""What the languages have in common: names, and the comments of bitnet.h in a language's own words."""

from __future__ import annotations

import re
import textwrap

import api
import overlay
from api import API, Field, Record
from header import Enum, Mistake, Value

WIDTH = 120
NOTE = "Made of include/bitnet.h by bindings/generate; do not edit."

# What a comment mentions: nothing given, a number that stands for it, a value, a function or type, a member or code.
MENTION = re.compile(r'(?P<null>NULL(?: or "")?)|'
                     r"(?P<name>(?<![$\w])(?:BITNET_\w+|bitnet_\w+(?![-\w]))|-INFINITY)|"
                     r"`(?P<code>[^`]+)`")


class Language:
    name = ""
    null = "null"

    def __init__(self, description: API):
        self.api = description

    # ------------------------------------------------------------------ names

    def word(self, word: str) -> str:
        """A word inside of a name."""
        return overlay.WORDS.get(self.name, {}).get(word, word.capitalize())

    def pascal(self, words: str) -> str:
        return "".join(self.word(word) for word in words.split("_"))

    def camel(self, words: str) -> str:
        first, *rest = words.split("_")
        return overlay.WORDS.get(self.name, {}).get(first, first) + "".join(self.word(word) for word in rest)

    def type(self, c: str) -> str:
        own = overlay.TYPES.get(c, {}).get(self.name)
        return own or "".join(word.capitalize() for word in c[len("bitnet_"):].rstrip("_").split("_"))

    def member_case(self, words: str) -> str:
        return self.camel(words)

    def value_case(self, words: str) -> str:
        raise NotImplementedError

    def member(self, field: Field) -> str:
        return overlay.MEMBERS.get(field.key, {}).get(self.name) or self.member_case(field.key)

    def value(self, value: Value, enum: Enum) -> str:
        return overlay.VALUES.get(value.c, {}).get(self.name) or self.value_case(api.words(value, enum))

    def values(self, enum: Enum) -> list[Value]:
        """Those that the language shows."""
        return [value for value in enum.values if not overlay.HIDDEN.get(value.c, set()) & {self.name, "*"}]

    def default(self, enum: Enum) -> Value:
        """What an option of this type is if nobody sets it."""
        zero = next(value for value in enum.values if value.number == 0)
        return zero if zero in self.values(enum) else self.api.value(overlay.DEFAULTS[enum.c])[1]

    # --------------------------------------------------------------- comments

    def plain(self, text: str) -> str:
        """Text as comments of the language have it."""
        return text

    def code(self, code: str) -> str:
        return f"`{code}`"

    def link(self, name: str) -> str:
        """To a function, a constant or a type, as overlay.MENTIONED names it."""
        return self.code(name)

    def link_value(self, value: Value, enum: Enum, here: bool) -> str:
        """To a value; `here` is in the comments of its own enum."""
        return self.code(self.value(value, enum) if here else f"{self.type(enum.c)}.{self.value(value, enum)}")

    def link_member(self, field: Field) -> str:
        return self.code(self.member(field))

    def no(self, field: Field | None) -> str:
        """How a comment says NULL."""
        return self.null

    def _mention(self, match: re.Match[str], of: Enum | Record | None, field: Field | None, what: str) -> str:
        if match["null"]:
            none = self.no(field)
            return none.capitalize() if match.string[:match.start()].endswith(". ") else none
        if match["code"]:
            members = {member.key: member for member in of.fields} if isinstance(of, Record) else {}
            member = members.get(match["code"])
            if member is None:
                return self.code(match["code"])
            return self.code(self.member(member)) if member is field else self.link_member(member)
        name = match["name"]
        if name in overlay.MENTIONED and self.name in overlay.MENTIONED[name]:
            return self.link(overlay.MENTIONED[name][self.name])
        if name in self.api.records:
            return self.link(self.type(name))
        if name.startswith("BITNET_"):
            enum, value = self.api.value(name)
            return self.link_value(value, enum, enum is of)
        raise Mistake(f"the comment of {what} mentions {name}, for which overlay.MENTIONED has no name in {self.name}")

    def comment(self, what: str, text: str, of: Enum | Record | None = None, field: Field | None = None) -> str:
        """The comment of what C calls `what`, in one line."""
        own = overlay.COMMENTS.get(what, {})
        text = own.get(self.name) or own.get("*") or text
        parts = []
        position = 0
        for match in MENTION.finditer(text):
            parts.append(self.plain(text[position:match.start()]))
            parts.append(self._mention(match, of, field, what))
            position = match.end()
        return "".join(parts) + self.plain(text[position:])

    def sentence(self, what: str, text: str, of: Enum | Record | None = None, field: Field | None = None) -> str:
        """The same with a capital and a full stop."""
        own = overlay.COMMENTS.get(what, {})
        text = own.get(self.name) or own.get("*") or text
        comment = self.comment(what, text, of, field)
        first = MENTION.match(text)
        if first is None or first["null"]:
            comment = comment[0].upper() + comment[1:]
        return comment if comment.endswith((".", "!", "?")) else comment + "."

    def of_field(self, field: Field, record: Record) -> str:
        return self.sentence(field.id, field.doc, record, field)

    def of_value(self, value: Value, enum: Enum) -> str:
        return self.sentence(value.c, value.doc, enum)

    # ------------------------------------------------------------------ files

    def files(self) -> dict[str, str]:
        """What is generated: paths, and what is in them."""
        raise NotImplementedError


def wrap(text: str, first: str, rest: str, last: str = "") -> str:
    """A comment whose lines begin with these and whose last line ends with that. What {} encloses is not broken."""
    held = re.sub(r"\{@?[^{}]*\}|<see [^>]*>", lambda match: match[0].replace(" ", "\0"), text)
    lines = textwrap.wrap(held + last.replace(" ", "\0"), WIDTH, initial_indent=first, subsequent_indent=rest,
                          break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


def fold(head: str, parts: list[str], tail: str, indent: str) -> str:
    """head, parts with commas, tail: in as many lines as it takes, all but the first with this indent."""
    lines = [head]
    for i, part in enumerate(parts):
        piece = part + (", " if i + 1 < len(parts) else tail)
        if len(lines[-1]) + len(piece.rstrip()) > WIDTH and lines[-1].strip():
            lines.append(indent)
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines) if parts else head + tail
