# SPDX-License-Identifier: MIT
"""The API as data: the enums and structs of bitnet.h as the languages show them, made of header.py and overlay.py."""

from __future__ import annotations

import dataclasses
import pathlib

import header
import overlay
from header import Enum, Mistake, Struct, Value

# What a member is, in any language.
KINDS = {
    "bitnet_progress_fn": "progress",
    "bitnet_log_fn": "log",
    "bitnet_token": "token",
    "const bitnet_logit_bias*": "biases",
    "const bitnet_sampler_options*": "options",
    "const char*": "text",
    "const char* const*": "texts",
    "float": "float",
    "uint32_t": "count",
    "uint64_t": "number",
}
# Objects are parameters, which are written by hand; a program's own threads stay C's.
NOT_SHOWN = {"size_t", "void*", "function", "bitnet_parallel_fn", "bitnet_thread_start_fn", "bitnet_pool*",
             "bitnet_engine*"}


@dataclasses.dataclass(frozen=True)
class Field:
    """A member of a struct, or one bit of its flags, as the languages show it."""

    c: str  # the member of the C struct
    key: str  # as overlay.py and names of the languages are made of it: of a bit of flags the bit's own words
    kind: str  # one of KINDS, or bool, enum, flag, extra, range, template, time
    doc: str
    struct: str
    enum: Enum | None = None  # of kind enum
    bit: str = ""  # of kind flag and extra, BITNET_GENERATE_WHOLE
    range: tuple[int, int] = (0, 0)

    @property
    def id(self) -> str:
        return f"{self.struct}.{self.key}"


@dataclasses.dataclass(frozen=True)
class Record:
    """A struct as the languages show it."""

    c: str
    doc: str
    fields: tuple[Field, ...]

    def of(self, *kinds: str) -> list[Field]:
        return [field for field in self.fields if field.kind in kinds]


@dataclasses.dataclass(frozen=True)
class API:
    source: pathlib.Path  # bitnet.h
    enums: dict[str, Enum]
    structs: dict[str, Struct]  # all that bitnet.h has
    records: dict[str, Record]

    def value(self, c: str) -> tuple[Enum, Value]:
        for enum in self.enums.values():
            for value in enum.values:
                if value.c == c:
                    return enum, value
        raise Mistake(f"there is no {c} in bitnet.h")


def words(value: Value, enum: Enum) -> str:
    return value.c[len(enum.prefix):].lower()


def _member_kind(member: header.Member, struct: Struct, enums: dict[str, Enum]) -> tuple[str, str]:
    """The kind, and the comment that goes with it."""
    where = f"{struct.c}.{member.name}"
    if member.type == "int":
        if member.doc.startswith("nonzero: "):
            return "bool", member.doc[len("nonzero: "):]
        if where not in overlay.RANGES:
            raise Mistake(f'{where} is an int: begin its comment with "nonzero: ", or give its range in overlay.RANGES')
        return "range", member.doc
    if where in overlay.TEMPLATES:
        return "template", member.doc
    if member.type in enums:
        return "enum", member.doc
    if member.type == "uint64_t" and member.name.endswith("_ns"):
        return "time", member.doc
    if member.type not in KINDS:
        raise Mistake(f"{where} is a {member.type}, for which no language has a kind of option: api.py has them")
    return KINDS[member.type], member.doc


def _flags(member: header.Member, struct: Struct, enum: Enum) -> list[Field]:
    return [Field(member.name, words(value, enum), "flag", value.doc, struct.c, bit=value.c) for value in enum.values]


def _fields(struct: Struct, enums: dict[str, Enum]) -> list[Field]:
    fields: list[Field] = []
    for member in struct.members:
        where = f"{struct.c}.{member.name}"
        if member.type in NOT_SHOWN:
            continue
        if where in overlay.FLAGS:
            fields += _flags(member, struct, enums[overlay.FLAGS[where]])
            continue
        kind, doc = _member_kind(member, struct, enums)
        if not doc:
            raise Mistake(f"{where} has no comment in bitnet.h, which is its documentation in every language")
        fields.append(Field(member.name, member.name, kind, doc, struct.c, enums.get(member.type),
                            range=overlay.RANGES.get(where, (0, 0))))
    for bit in overlay.EXTRA.get(struct.c, []):
        enum = next(enum for enum in enums.values() if bit.startswith(enum.prefix))
        value = next(value for value in enum.values if value.c == bit)
        fields.append(Field("", words(value, enum), "extra", value.doc, struct.c, bit=bit))
    return fields


def _record(struct: Struct, enums: dict[str, Enum]) -> Record:
    if not struct.doc:
        raise Mistake(f"{struct.c} has no comment in bitnet.h, which is its documentation in every language")
    order = overlay.ORDER.get(struct.c, [])

    def rank(field: Field) -> tuple[bool, int]:
        return field.kind in ("progress", "log"), order.index(field.key) if field.key in order else len(order)

    return Record(struct.c, struct.doc, tuple(sorted(_fields(struct, enums), key=rank)))


def _shown(enum: Enum) -> Enum:
    prefix = overlay.PREFIXES.get(enum.c, enum.prefix)
    if not enum.doc:
        raise Mistake(f"{enum.c} has no comment in bitnet.h, which is its documentation in every language")
    return dataclasses.replace(enum, prefix=prefix, values=tuple(v for v in enum.values if v.c.startswith(prefix)))


def read(bitnet_h: pathlib.Path) -> API:
    enums, structs = header.read(bitnet_h)
    enums = {name: _shown(enum) for name, enum in enums.items()}
    records = {name: _record(struct, enums) for name, struct in structs.items() if name not in overlay.BY_HAND}
    return API(bitnet_h, enums, structs, records)
