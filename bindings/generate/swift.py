# SPDX-License-Identifier: MIT
"""Swift: one file, which is part of the repository: its package manager runs nothing before it compiles."""

from __future__ import annotations

import overlay
from api import Field, Record
from header import Enum, Value
from language import NOTE, Language, fold, wrap

HEAD = f"""// SPDX-License-Identifier: MIT
// {NOTE}
import CBitnet
"""

KEYWORDS = {"as", "case", "default", "false", "for", "in", "internal", "is", "private", "public", "self", "static", "true"}

# Type of an option, what it is if nobody sets it, and what sets the member of C; {0} is the option, {1} the member.
OPTIONS = {
    "bool": ("Bool", "false", "options.{1} = {0} ? 1 : 0"),
    "flag": ("Bool", "false", "if {0} {{ options.{1} |= UInt32({2}) }}"),
    "extra": ("Bool", "false", ""),
    "count": ("Int", "0", 'options.{1} = try count({0}, "{0}")'),
    "range": ("Int", "0", 'options.{1} = Int32(clamping: try count({0}, "{0}"))'),
    "number": ("UInt64", "0", "options.{1} = {0}"),
    "float": ("Float", "0", "options.{1} = {0}"),
    "text": ("String?", "nil", ""),
    "template": ("String?", "nil", ""),
    "log": ("(@Sendable (_ level: LogLevel, _ line: String) -> Void)?", "nil", ""),
    "options": ("SamplerOptions", "SamplerOptions()", ""),
    "texts": ("[String]", "[]", ""),
    "biases": ("[Token: Float]", "[:]", ""),
}

# Options that C sees by pointers, which are valid in a closure: how that is begun, and what it sets.
POINTERS = {
    "text": ('withCString({0}, "{0}") {{ {0} in', ["options.{1} = {0}"]),
    "template": ('withCString({0}, "{0}") {{ {0} in', ["options.{1} = {0}"]),
    "options": ("{0}.withCPointer {{ {0} in", ["options.{1} = {0}"]),
    "texts": ('withCStrings({0}, "{0}") {{ {0}, count in', ["options.{1} = {0}", "options.{1}_count = count"]),
    "biases": ("withBiases({0}) {{ {0}, count in", ["options.{1} = {0}", "options.{1}_count = count"]),
}

# Of what is told: the type, and how it is made of the member of C.
TOLD = {
    "text": ("String", "String(cString: {0})"),
    "bool": ("Bool", "{0} != 0"),
    "token": ("Token?", "{0} < 0 ? nil : {0}"),
    "count": ("Int", "Int({0})"),
    "number": ("UInt64", "{0}"),
    "time": ("Duration", ".nanoseconds(Int64({0}))"),
}

# Structs whose numbers count what happens, which Swift does by Int.
COUNTERS = {"bitnet_perf"}


class Swift(Language):
    name = "swift"
    null = "nil"

    def value_case(self, words: str) -> str:
        return self.camel(words)

    def link_value(self, value: Value, enum: Enum, here: bool) -> str:
        return self.code(self.value(value, enum) if here else f"{self.type(enum.c)}.{self.value(value, enum)}")

    def declared(self, value: Value, enum: Enum) -> str:
        name = self.value(value, enum)
        return f"`{name}`" if name in KEYWORDS else name

    def doc(self, text: str, indent: str = "  ") -> str:
        return wrap(text, f"{indent}/// ", f"{indent}/// ")

    # ------------------------------------------------------------------ enums

    def enum(self, enum: Enum) -> str:
        lines = [self.doc(self.sentence(enum.c, enum.doc, enum), ""), f"public enum {self.type(enum.c)}: Sendable {{"]
        for value in self.values(enum):
            lines += [self.doc(self.of_value(value, enum)), f"  case {self.declared(value, enum)}"]
        if enum.c in overlay.GIVEN:
            lines += ["", "  /// Nil of what is none of these.", f"  init?(_ c: {enum.c}) {{", "    switch c {"]
            lines += [f"    case {value.c}: self = .{self.value(value, enum)}" for value in self.values(enum)]
            return "\n".join([*lines, "    default: return nil", "    }", "  }", "}"]) + "\n"
        lines += ["", f"  var toC: {enum.c} {{", "    switch self {"]
        lines += [f"    case .{self.value(value, enum)}: return {value.c}" for value in self.values(enum)]
        return "\n".join([*lines, "    }", "  }", "}"]) + "\n"

    def status(self, enum: Enum) -> str:
        lines = ["extension BitnetError {", self.doc(self.sentence(enum.c, enum.doc, enum)),
                 f"  public enum {self.type(enum.c)}: Int32, Sendable {{"]
        for value in self.values(enum):
            lines += [self.doc(self.of_value(value, enum), "    "),
                      f"    case {self.declared(value, enum)} = {value.number}"]
        return "\n".join([*lines, "  }", "}"]) + "\n"

    def flags(self, enum: Enum) -> str:
        kind = self.type(enum.c)
        lines = [self.doc(self.sentence(enum.c, enum.doc, enum), ""), f"public struct {kind}: OptionSet, Sendable {{",
                 "  public let rawValue: UInt32", "  public init(rawValue: UInt32) { self.rawValue = rawValue }"]
        for value in self.values(enum):
            lines += [self.doc(self.of_value(value, enum)),
                      f"  public static let {self.declared(value, enum)} = {kind}(rawValue: UInt32({value.c}))"]
        return "\n".join([*lines, "}"]) + "\n"

    # ---------------------------------------------------------------- options

    def option(self, field: Field) -> tuple[str, str]:
        if field.enum is not None:
            return self.type(field.enum.c), f".{self.value(self.default(field.enum), field.enum)}"
        return OPTIONS[field.kind][:2]

    def statement(self, field: Field) -> str:
        name = self.member(field)
        if field.enum is not None:
            return f"options.{field.c} = {name}.toC"
        return OPTIONS[field.kind][2].format(name, field.c, field.bit)

    def with_c(self, record: Record) -> list[str]:
        lines = ["", "  /// Calls with what C takes, whose pointers are valid during that call.",
                 f"  func withC<R>(_ body: (inout {record.c}) throws -> R) throws -> R {{",
                 f"    var options = {record.c}()", f"    options.size = MemoryLayout<{record.c}>.size"]
        shown = [field for field in record.fields if field.kind not in ("progress", "log")]
        lines += [f"    {self.statement(field)}" for field in shown if field.kind not in POINTERS and self.statement(field)]
        indent = "    "
        pointers = [field for field in shown if field.kind in POINTERS]
        for field in pointers:
            begin, body = POINTERS[field.kind]
            lines.append(f"{indent}return try " + begin.format(self.member(field)))
            indent += "  "
            lines += [indent + line.format(self.member(field), field.c) for line in body]
        lines.append(f"{indent}return try body(&options)")
        for _ in pointers:
            indent = indent[:-2]
            lines.append(f"{indent}}}")
        return [*lines, "  }"]

    def options(self, record: Record) -> str:
        fields = [field for field in record.fields if field.kind != "progress"]
        lines = [self.doc(self.sentence(record.c, record.doc, record), ""),
                 f"public struct {self.type(record.c)}: Sendable {{"]
        for field in fields:
            kind, default = self.option(field)
            value = "" if default == "nil" else f" = {default}"
            lines += [self.doc(self.of_field(field, record)), f"  public var {self.member(field)}: {kind}{value}"]
        parameters = [f"{self.member(field)}: {{}} = {{}}".format(*self.option(field)) for field in fields]
        lines += ["", "  public init(", fold("    ", parameters, "", "    "), "  ) {"]
        lines += [f"    self.{self.member(field)} = {self.member(field)}" for field in fields]
        return "\n".join([*lines, "  }", *self.with_c(record), "}"]) + "\n"

    # ----------------------------------------------------------- what is told

    def told(self, record: Record) -> str:
        kind = self.type(record.c)
        lines = [self.doc(self.sentence(record.c, record.doc, record), ""),
                 f"public struct {kind}: Sendable, Equatable {{"]
        kinds = {field: "count" if field.kind == "number" and record.c in COUNTERS else field.kind
                 for field in record.fields}
        for field in record.fields:
            lines += [self.doc(self.of_field(field, record)), f"  public let {self.member(field)}: {TOLD[kinds[field]][0]}"]
        lines += ["", f"  init(_ c: {record.c}) {{"]
        lines += [f"    {self.member(field)} = {TOLD[kinds[field]][1].format('c.' + field.c)}" for field in record.fields]
        return "\n".join([*lines, "  }", "}"]) + "\n"

    def files(self) -> dict[str, str]:
        parts = []
        for enum in self.api.enums.values():
            if enum.c == "bitnet_status":
                parts.append(self.status(enum))
            elif enum.has_name:
                parts.append(self.enum(enum))
            elif self.name in overlay.TYPES.get(enum.c, {}):
                parts.append(self.flags(enum))
        parts += [self.options(record) if record.c.endswith("_options") else self.told(record)
                  for record in self.api.records.values()]
        return {"Generated.swift": HEAD + "\n" + "\n".join(parts)}
