# SPDX-License-Identifier: MIT
"""C#: one file with the enums, the classes of options, and the types of what is told."""

from __future__ import annotations

import overlay
from api import Field, Record
from header import Enum, Value
from language import NOTE, Language, wrap

HEAD = f"""// SPDX-License-Identifier: MIT
// {NOTE}
using System;
using System.Collections.Generic;

namespace Bitnet {{
"""

# Type of an option, and what sets the native member; {0} is the option, {1} the member.
OPTIONS = {
    "bool": ("bool", "{0} ? 1 : 0"),
    "flag": ("bool", ""),
    "extra": ("bool", ""),
    "count": ("int", "Arguments.Count({0}, nameof({0}))"),
    "range": ("int", "{0}"),
    "number": ("ulong", "{0}"),
    "float": ("float", "{0}"),
    "text": ("string", "if ({0} != null) native.set_{1}(Arguments.Utf8({0}, nameof({0})));"),
    "template": ("string", "if ({0} != null) native.set_{1}(Arguments.Utf8({0}, nameof({0})));"),
    "progress": ("IProgress<WorkProgress>", ""),
    "log": ("Action<LogLevel, string>", ""),
    "options": ("SamplerOptions",
                "using (Native.SamplerOptions o = ({0} ?? new SamplerOptions()).ToNative()) native.set_{1}(o);"),
    "texts": ("ICollection<string>", "foreach (byte[] text in Arguments.Texts({0}, nameof({0}))) native.add_{1}(text);"),
    "biases": ("IDictionary<int, float>",
               "foreach (var bias in {0} ?? new Dictionary<int, float>()) native.add_bias(bias.Key, bias.Value);"),
}

# What an option is if nobody sets it, where that is no default of C#.
INITIAL = {"options": "new SamplerOptions()", "texts": "new List<string>()", "biases": "new Dictionary<int, float>()"}

# Of what is told: the type, and how it is made of the native member.
TOLD = {
    "text": ("string", "Arguments.Text({0})"),
    "bool": ("bool", "{0} != 0"),
    "token": ("int?", "{0} < 0 ? (int?)null : {0}"),
    "count": ("int", "(int){0}"),
    "number": ("long", "(long){0}"),
    "time": ("TimeSpan", "TimeSpan.FromTicks((long)({0} / 100))"),
}

# Types of values, which are copied: those that have no text.
STRUCTS = {"bitnet_perf"}


class CSharp(Language):
    name = "csharp"

    def member_case(self, words: str) -> str:
        return self.pascal(words)

    def value_case(self, words: str) -> str:
        return self.pascal(words)

    def plain(self, text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def code(self, code: str) -> str:
        return f"<c>{code}</c>"

    def link(self, name: str) -> str:
        return f'<see cref="{name}"/>' if name[0].isupper() or "." in name else name

    def link_value(self, value: Value, enum: Enum, here: bool) -> str:
        return self.link(self.value(value, enum) if here else f"{self.type(enum.c)}.{self.value(value, enum)}")

    def link_member(self, field: Field) -> str:
        return self.link(self.member(field))

    def summary(self, text: str, indent: str = "    ") -> str:
        return wrap(f"<summary>{text}", f"{indent}/// ", f"{indent}/// ", "</summary>")

    # ------------------------------------------------------------------ enums

    def enum(self, enum: Enum) -> str:
        values = self.values(enum)
        lines = [self.summary(self.sentence(enum.c, enum.doc, enum), ""), f"public enum {self.type(enum.c)} {{"]
        for value in values:
            lines.append(self.summary(self.of_value(value, enum)))
            lines.append(f"    {self.value(value, enum)} = {value.number}{'' if value is values[-1] else ','}")
        return "\n".join([*lines, "}"]) + "\n"

    # ---------------------------------------------------------------- options

    def type_of(self, field: Field) -> str:
        return self.type(field.enum.c) if field.enum is not None else OPTIONS[field.kind][0]

    def statement(self, field: Field) -> str:
        name = self.member(field)
        if field.enum is not None:
            return f"native.{field.c} = (Native.{field.enum.c})Arguments.Defined({name}, nameof({name}));"
        template = OPTIONS[field.kind][1].format(name, field.c)
        return template if template.endswith(";") else f"native.{field.c} = {template};"

    def to_native(self, record: Record) -> list[str]:
        kind, flags = f"Native.{self.type(record.c)}", record.of("flag")
        lines = ["", f"    internal {kind} ToNative({'int flags = 0' if flags else ''}) {{",
                 f"        var native = new {kind}();"]
        lines += [f"        {self.statement(field)}" for field in record.fields
                  if field.kind not in ("progress", "log", "flag", "extra")]
        lines += [f"        if ({self.member(field)}) flags |= Native.Functions.{field.bit};" for field in flags]
        if flags:
            lines.append(f"        native.{flags[0].c} = (uint)flags;")
        return [*lines, "        return native;", "    }"]

    def options(self, record: Record) -> str:
        lines = [self.summary(self.sentence(record.c, record.doc, record), ""),
                 f"public sealed class {self.type(record.c)} {{"]
        for field in record.fields:
            initial = f" = {INITIAL[field.kind]};" if field.kind in INITIAL else ""
            text = self.of_field(field, record)
            if field.kind in ("texts", "biases"):
                text += " Null: none."
            lines.append(self.summary(text))
            lines.append(f"    public {self.type_of(field)} {self.member(field)} {{ get; set; }}{initial}")
        return "\n".join([*lines, *self.to_native(record), "}"]) + "\n"

    # ----------------------------------------------------------- what is told

    def told(self, record: Record) -> str:
        kind = self.type(record.c)
        native = record.c if record.c in STRUCTS else kind
        lines = [self.summary(self.sentence(record.c, record.doc, record), ""),
                 f"public {'struct' if record.c in STRUCTS else 'sealed class'} {kind} {{",
                 f"    internal {kind}(Native.{native} from) {{"]
        lines += [f"        {self.member(field)} = {TOLD[field.kind][1].format('from.' + field.c)};"
                  for field in record.fields]
        lines += ["    }", ""]
        for field in record.fields:
            lines.append(self.summary(self.of_field(field, record)))
            lines.append(f"    public {TOLD[field.kind][0]} {self.member(field)} {{ get; }}")
        shown = [self.member(field) for field in record.fields if field.id not in overlay.LONG_TEXTS]
        parts = [f'"{", " if i else f"{kind}["}{name}=" + {name} +' for i, name in enumerate(shown)]
        lines += ["", "    /// <summary>The most of it, for people.</summary>", "    public override string ToString() {",
                  "        return " + "\n               ".join([*parts, '"]";']), "    }", "}"]
        return "\n".join(lines) + "\n"

    def files(self) -> dict[str, str]:
        parts = [self.enum(enum) for enum in self.api.enums.values() if enum.has_name]
        parts += [self.options(record) if record.c.endswith("_options") else self.told(record)
                  for record in self.api.records.values()]
        return {"Api.cs": HEAD + "\n" + "\n".join(parts) + "\n}\n"}
