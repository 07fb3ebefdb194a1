# SPDX-License-Identifier: MIT
"""Reads the enums and structs of bitnet.h, with their comments. The header is written in one style; what is written
otherwise is an error that names its line, never left out."""

from __future__ import annotations

import dataclasses
import pathlib
import re


class Mistake(Exception):
    """What is wrong with the description, where, and what to do."""


@dataclasses.dataclass(frozen=True)
class Value:
    c: str  # BITNET_KV_INT8
    number: int
    doc: str


@dataclasses.dataclass(frozen=True)
class Enum:
    c: str  # bitnet_kv; of an enum without a name what its values begin with, BITNET_TEXT_
    prefix: str  # BITNET_KV_
    doc: str
    values: tuple[Value, ...]

    @property
    def has_name(self) -> bool:
        return self.c != self.prefix


@dataclasses.dataclass(frozen=True)
class Member:
    type: str  # "const char*"; of a pointer to a function without a typedef "function"
    name: str
    doc: str  # "" if there is none


@dataclasses.dataclass(frozen=True)
class Struct:
    c: str
    doc: str
    members: tuple[Member, ...]


COMMENT = r"(?:/\*(?P<doc>(?:(?!\*/).)*)\*/)?"
DECLARATION = re.compile(
    r"(?:/\*(?P<doc>(?:(?!\*/).)*)\*/\n)?"
    r"(?:typedef (?P<kind>enum|struct) (?P<name>\w+)(?: BITNET_AS_INT)? |(?P<flags>enum) )\{\n(?P<body>.*?)\n\}(?: \w+)?;",
    re.S)
BEGIN = re.compile(r"^(?:typedef (?:enum|struct) \w+(?: BITNET_AS_INT)?|enum) \{", re.M)
VALUE = re.compile(r"\s*(?P<c>BITNET_\w+) = (?P<number>-?\d+)(?:,|(?=\s*/\*)|(?=\s*$))\s*" + COMMENT, re.S)
MEMBER = re.compile(
    r"\s*(?:(?P<type>(?:const )?\w+(?:\* const)?\**)\s+(?P<name>\w+)|\w+ \(\*(?P<function>\w+)\)\([^()]*\));\s*" + COMMENT,
    re.S)


def clean(comment: str | None) -> str:
    """A comment as one line."""
    return re.sub(r"\s+", " ", re.sub(r"\n \*", "\n", comment or "")).strip()


@dataclasses.dataclass(frozen=True)
class Place:
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def below(self, lines: int) -> Place:
        return Place(self.file, self.line + lines)


def items(pattern: re.Pattern[str], body: str, where: Place) -> list[re.Match[str]]:
    """Matches that follow one another through the whole body, which begins there."""
    found = []
    position = 0
    while body[position:].strip():
        match = pattern.match(body, position)
        if match is None:
            rest = body[position:].lstrip()
            place = where.below(body.count("\n", 0, len(body) - len(rest)))
            raise Mistake(f"{place}: cannot read this line: {rest.splitlines()[0]}\nwrite it as its neighbours are written")
        found.append(match)
        position = match.end()
    return found


def common_prefix(names: list[str]) -> str:
    """What all begin with, up to an underscore."""
    first, last = min(names), max(names)
    length = next((i for i, letter in enumerate(first) if not last.startswith(first[:i + 1])), len(first))
    return first[:first.rindex("_", 0, length) + 1]


def read_enum(match: re.Match[str], where: Place) -> Enum:
    values = []
    for item in items(VALUE, match["body"], where):
        if not item["doc"]:
            line = where.below(match["body"].count("\n", 0, item.start("c")))
            raise Mistake(f"{line}: {item['c']} has no comment, which is its documentation in every language")
        values.append(Value(item["c"], int(item["number"]), clean(item["doc"])))
    prefix = common_prefix([value.c for value in values])
    return Enum(match["name"] or prefix, prefix, clean(match["doc"]), tuple(values))


def read_struct(match: re.Match[str], where: Place) -> Struct:
    members = (Member(item["type"] or "function", item["name"] or item["function"], clean(item["doc"]))
               for item in items(MEMBER, match["body"], where))
    return Struct(match["name"], clean(match["doc"]), tuple(members))


def read(path: pathlib.Path) -> tuple[dict[str, Enum], dict[str, Struct]]:
    text = path.read_text(encoding="utf-8")
    enums: dict[str, Enum] = {}
    structs: dict[str, Struct] = {}
    begun = {match.start() for match in BEGIN.finditer(text)}
    for match in DECLARATION.finditer(text):
        start = match.start("kind") - len("typedef ") if match["kind"] else match.start("flags")
        where = Place(path.name, text.count("\n", 0, match.start("body")) + 1)
        begun.discard(start)
        if match["kind"] == "struct":
            struct = read_struct(match, where)
            structs[struct.c] = struct
        else:
            enum = read_enum(match, where)
            enums[enum.c] = enum
    for start in sorted(begun):
        place = Place(path.name, text.count("\n", 0, start) + 1)
        raise Mistake(f"{place}: cannot find the end of what begins here")
    return enums, structs
