# SPDX-License-Identifier: MIT
"""Java: a file for each enum, each class of options, and each class of what is told."""

from __future__ import annotations

import re

import overlay
from api import Field, Record
from header import Enum, Value
from language import NOTE, Language, wrap

HEAD = f"// SPDX-License-Identifier: MIT\n// {NOTE}\npackage io.github.libbitnet;\n\n"

# Type of an option, and its value if nobody sets it ("" is Java's own).
TYPES = {
    "bool": ("boolean", ""),
    "flag": ("boolean", ""),
    "extra": ("boolean", ""),
    "count": ("int", ""),
    "range": ("int", ""),
    "number": ("long", ""),
    "float": ("float", ""),
    "text": ("String", ""),
    "template": ("String", ""),
    "progress": ("Progress", ""),
    "log": ("Log", ""),
    "options": ("SamplerOptions", "new SamplerOptions()"),
    "texts": ("List<String>", "new ArrayList<>()"),
    "biases": ("Map<Integer, Float>", "new LinkedHashMap<>()"),
}

# Of what is told: the type, and how it is made of the native member.
TOLD = {
    "text": ("String", "Text.decode({0})"),
    "bool": ("boolean", "{0} != 0"),
    "token": ("OptionalInt", "token({0})"),
    "count": ("int", "{0}"),
    "number": ("long", "{0}"),
    "time": ("Duration", "Duration.ofNanos({0})"),
}

IMPORTS = {
    "ArrayList": "java.util.ArrayList", "Duration": "java.time.Duration", "LinkedHashMap": "java.util.LinkedHashMap",
    "List": "java.util.List", "Map": "java.util.Map", "Objects": "java.util.Objects",
    "OptionalInt": "java.util.OptionalInt", "Path": "java.nio.file.Path",
}


class Java(Language):
    name = "java"

    def value_case(self, words: str) -> str:
        return words.upper()

    def plain(self, text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def code(self, code: str) -> str:
        return f"{{@code {code}}}"

    def link(self, name: str) -> str:
        return f"{{@link {name}}}" if name[0].isupper() else name

    def link_value(self, value: Value, enum: Enum, here: bool) -> str:
        return f"{{@link {'' if here else self.type(enum.c)}#{self.value(value, enum)}}}"

    def link_member(self, field: Field) -> str:
        parameters = ""  # of a getter
        if field.struct.endswith("_options"):
            parameters = {"texts": "String", "biases": "int, float"}.get(field.kind) or self.type_of(field)[0]
        return f"{{@link #{self.member(field)}({parameters}) {self.member(field)}}}"

    def javadoc(self, text: str, indent: str = "  ") -> str:
        line = f"{indent}/** {text} */"
        if len(line) <= 120:
            return line
        return f"{indent}/**\n" + wrap(text, f"{indent} * ", f"{indent} * ") + f"\n{indent} */"

    def file(self, body: str) -> str:
        code = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
        used = sorted(path for name, path in IMPORTS.items() if re.search(rf"\b{name}\b", code))
        return HEAD + "".join(f"import {path};\n" for path in used) + ("\n" if used else "") + body

    # ------------------------------------------------------------------ enums

    def enum(self, enum: Enum) -> str:
        kind = self.type(enum.c)
        lines = [self.javadoc(self.sentence(enum.c, enum.doc, enum), ""), f"public enum {kind} {{"]
        values = self.values(enum)
        for value in values:
            lines.append(self.javadoc(self.of_value(value, enum)))
            lines.append(f"  {self.value(value, enum)}(NativeConstants.{value.c}){';' if value is values[-1] else ','}")
        lines += ["", "  final int value;", "", f"  {kind}(int value) {{", "    this.value = value;", "  }"]
        if enum.c in overlay.GIVEN:
            lines += self.given(enum)
        if not enum.has_name:
            lines += self.flags(enum)
        return self.file("\n".join([*lines, "}"]) + "\n")

    def given(self, enum: Enum) -> list[str]:
        kind, other = self.type(enum.c), overlay.GIVEN[enum.c]
        lines = ["", f"  static {kind} of(int value) {{", f"    for ({kind} item : values()) {{",
                 "      if (item.value == value) return item;", "    }"]
        if other:
            return [*lines, f"    return {self.value(self.api.value(other)[1], enum)};", "  }"]
        return [*lines, f'    throw new AssertionError("a {enum.c} that these classes do not know: " + value);', "  }"]

    def flags(self, enum: Enum) -> list[str]:
        kind = self.type(enum.c)
        return ["", f"  static int flags({kind}... options) {{", "    int flags = 0;",
                f'    for ({kind} option : Objects.requireNonNull(options, "options")) {{',
                '      flags |= Objects.requireNonNull(option, "option").value;', "    }", "    return flags;", "  }"]

    # ---------------------------------------------------------------- options

    def type_of(self, field: Field) -> tuple[str, str]:
        if field.enum is not None:
            return self.type(field.enum.c), f"{self.type(field.enum.c)}.{self.value(self.default(field.enum), field.enum)}"
        return TYPES[field.kind]

    def variable(self, field: Field) -> str:
        kind, value = self.type_of(field)
        final = "final " if field.kind in ("texts", "biases") else ""
        return f"  private {final}{kind} {self.member(field)}{' = ' + value if value else ''};"

    def doc(self, field: Field, record: Record) -> str:
        text = self.of_field(field, record)
        if field.enum is not None:
            text += f" Null: {{@link {'#'.join(self.type_of(field)[1].split('.'))}}}."
        return self.javadoc(text)

    def setter(self, field: Field, record: Record) -> list[str]:
        kind, value = self.type_of(field)
        name, made = self.member(field), self.type(record.c)
        parameter, body = f"{kind} {name}", f"this.{name} = {name};"
        if field.kind == "count":
            body = f'this.{name} = Text.count({name}, "{name}");'
        elif field.kind in ("enum", "options"):
            body = f"this.{name} = Text.or({name}, {value});"
        elif field.kind == "texts":
            parameter, body = "String text", f'{name}.add(Objects.requireNonNull(text, "text"));'
        elif field.kind == "biases":
            parameter, body = "int token, float bias", f"{name}.put(token, bias);"
        return [self.doc(field, record), f"  public {made} {name}({parameter}) {{", f"    {body}", "    return this;", "  }",
                ""]

    def more(self, field: Field, record: Record) -> list[str]:
        """What goes with some options."""
        made, name = self.type(record.c), self.member(field)
        if field.kind == "template":
            return ["  /** The same from a file of the default file system, in UTF-8. */",
                    f"  public {made} {name}File(Path path) {{", f"    return {name}(Text.templateFile(path));", "  }", ""]
        if field.kind == "extra":
            return [f"  boolean {name}() {{", f"    return {name};", "  }", ""]
        return []

    def statement(self, field: Field) -> list[str]:
        name, setter = self.member(field), f"options.set{field.c.capitalize()}"
        if field.kind in ("text", "template"):
            return [f'    if ({name} != null) options.set_{field.c}(Text.encode({name}, "{name}"));']
        if field.kind == "texts":
            return [f'    for (String text : {name}) options.add_{field.c}(Text.encode(text, "{name}"));']
        if field.kind == "biases":
            return [f"    {name}.forEach(options::add_bias);"]
        if field.kind == "options":
            return [f"    options.set_{field.c}({name}.toNative());"]
        value = {"bool": f"{name} ? 1 : 0", "enum": f"{name}.value"}.get(field.kind, name)
        return [f"    {setter}({value});"]

    def to_native(self, record: Record) -> list[str]:
        kind, flags = f"Native{self.type(record.c)}", record.of("flag")
        lines = [f"  {kind} toNative({'int flags' if flags else ''}) {{", f"    {kind} options = new {kind}();"]
        for field in record.fields:
            if field.kind not in ("progress", "log", "flag", "extra"):
                lines += self.statement(field)
        lines += [f"    if ({self.member(field)}) flags |= NativeConstants.{field.bit};" for field in flags]
        if flags:
            lines.append(f"    options.set{flags[0].c.capitalize()}(flags);")
        return [*lines, "    return options;", "  }"]

    def options(self, record: Record) -> str:
        lines = [self.javadoc(self.sentence(record.c, record.doc, record), ""),
                 f"public final class {self.type(record.c)} {{"]
        lines += [self.variable(field) for field in record.fields] + [""]
        for field in record.fields:
            lines += self.setter(field, record) + self.more(field, record)
        lines += self.to_native(record)
        if record.of("log"):
            lines += ["", "  Listener listener() {", "    return new Listener(progress, log);", "  }"]
        return self.file("\n".join([*lines, "}"]) + "\n")

    # ----------------------------------------------------------- what is told

    def told(self, record: Record) -> str:
        kind = self.type(record.c)
        lines = [self.javadoc(self.sentence(record.c, record.doc, record), ""), f"public final class {kind} {{"]
        lines += [f"  private final {TOLD[field.kind][0]} {self.member(field)};" for field in record.fields]
        lines += ["", f"  {kind}(Native{kind} from) {{"]
        for field in record.fields:
            lines.append(f"    {self.member(field)} = {TOLD[field.kind][1].format(f'from.get{field.c.capitalize()}()')};")
        lines += ["  }", ""]
        if record.of("token"):
            lines += ["  private static OptionalInt token(int token) {",
                      "    return token < 0 ? OptionalInt.empty() : OptionalInt.of(token);", "  }", ""]
        for field in record.fields:
            lines += [self.javadoc(self.of_field(field, record)),
                      f"  public {TOLD[field.kind][0]} {self.member(field)}() {{",
                      f"    return {self.member(field)};", "  }", ""]
        shown = [self.member(field) for field in record.fields if field.id not in overlay.LONG_TEXTS]
        parts = [f'"{", " if i else f"{kind}["}{name}=" + {name}' for i, name in enumerate(shown)]
        lines += ["  /** The most of it, for people. */", "  @Override", "  public String toString() {",
                  "    return " + "\n        + ".join(parts) + ' + "]";', "  }", "}"]
        return self.file("\n".join(lines) + "\n")

    def files(self) -> dict[str, str]:
        files = {}
        for enum in self.api.enums.values():
            if enum.has_name or enum.c in overlay.TYPES and self.name in overlay.TYPES[enum.c]:
                files[self.type(enum.c)] = self.enum(enum)
        for record in self.api.records.values():
            files[self.type(record.c)] = self.options(record) if record.c.endswith("_options") else self.told(record)
        return {f"{name}.java": text for name, text in files.items()}
