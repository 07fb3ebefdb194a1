# SPDX-License-Identifier: MIT
"""Python: _options.py, and the written modules with the options among their functions' parameters.

A written function takes all options of a struct as one parameter that only its name can give: `options: OpenArguments`.
In the package each option is a parameter of its own, and the function begins with `options = OpenArguments(...)`. A line
`{OpenArguments}` in a docstring becomes the list of these options.
"""

from __future__ import annotations

import ast
import dataclasses
import pathlib
import re

import api
import overlay
from api import Field, Record
from header import Enum, Mistake, Value
from language import NOTE, Language, fold, wrap

HEAD = f'''# SPDX-License-Identifier: MIT
# {NOTE}
"""The options of functions, what they may be, and what is told of models and sessions."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypedDict

from . import _check, _native
from ._types import ChatTemplate, Log, Progress

'''

# Type of a parameter, its default, and how the native member's value is made of it.
PARAMETERS = {
    "bool": ("bool | None", "False", 'int(_check.boolean(self.{0}, "{0}"))'),
    "flag": ("bool | None", "False", '_check.boolean(self.{0}, "{0}")'),
    "count": ("int | None", "0", '_check.count(self.{0}, "{0}")'),
    "number": ("int | None", "0", '_check.seed(self.{0}, "{0}")'),
    "float": ("float | None", "0", '_check.real(self.{0}, "{0}")'),
    "text": ("str | None", "None", '_check.string(self.{0}, "{0}")'),
    "template": ("ChatTemplate | None", "None", "_check.chat_template(self.{0})"),
    "progress": ("Progress | None", "None", ""),
    "log": ("Log | None", "None", ""),
    "texts": ("str | Iterable[str] | None", "()", '_check.texts(self.{0}, "{0}")'),
    "biases": ("Mapping[int, float] | None", "None", '_check.biases(self.{0}, "{0}")'),
}

# Of what is told: the type, and how it is made of the native member.
TOLD = {
    "text": ("str", 'native.{0}.decode(errors="replace")'),
    "bool": ("bool", "bool(native.{0})"),
    "token": ("int | None", "None if native.{0} < 0 else native.{0}"),
    "count": ("int", "native.{0}"),
    "number": ("int", "native.{0}"),
    "time": ("int", "native.{0}"),
}

# A function whose options are those of another, but for these.
FIXED = {"ChatArguments": ("GenerateArguments", {"whole": "True", "special_prompt": "False"})}


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The options of a function."""

    name: str  # OpenArguments
    made: str  # the class of which an object is made
    record: Record
    fields: list[Field]
    fixed: dict[str, str]


class Python(Language):
    name = "python"
    null = "None"

    def member_case(self, words: str) -> str:
        return words

    def value_case(self, words: str) -> str:
        return words

    def code(self, code: str) -> str:
        return code

    def link_value(self, value: Value, enum: Enum, here: bool) -> str:
        if value.number == 0 and "default" in value.c.lower():
            return "None"
        return f'"{self.value(value, enum)}"'

    # ---------------------------------------------------------------- choices

    def names(self, enum: Enum) -> list[Value]:
        """What an option may be; None is the default."""
        return [value for value in self.values(enum) if api.words(value, enum) != "default"]

    def table(self, enum: Enum) -> str:
        """The name of the dict of numbers."""
        return self.type(enum.c).upper()

    def choices(self, enum: Enum) -> str:
        kind = self.type(enum.c)
        names = [f'"{self.value(value, enum)}"' for value in self.names(enum)]
        zero = next(value for value in enum.values if value.number == 0)
        pairs = [f"None: _native.{zero.c}"]
        pairs += [f'"{self.value(value, enum)}": _native.{value.c}' for value in self.names(enum)]
        comment = wrap(self.sentence(enum.c, enum.doc, enum), "# ", "# ")
        return (f"{comment}\n" + fold(f"{kind} = Literal[", names, "]", " " * len(f"{kind} = Literal[")) + "\n"
                + fold(f"{self.table(enum)} = {{", pairs, "}", " " * len(f"{self.table(enum)} = {{")) + "\n\n")

    def levels(self, enum: Enum) -> str:
        pairs = [f'_native.{value.c}: "{self.value(value, enum)}"' for value in self.values(enum)]
        return fold("LEVELS = {", pairs, "}", " " * len("LEVELS = {")) + "\n"

    def reasons(self, enum: Enum) -> str:
        lines = [f"\n\nclass {self.type(enum.c)}(enum.Enum):", f'    """{self.sentence(enum.c, enum.doc, enum)}"""\n']
        for value in self.values(enum):
            lines.append(f"    {api.words(value, enum).upper()} = _native.{value.c}")
            lines.append(self.docstring(self.of_value(value, enum), 4))
        return "\n".join(lines) + "\n"

    def docstring(self, text: str, indent: int) -> str:
        return wrap(text, " " * indent + '"""', " " * indent, '"""')

    # ---------------------------------------------------------------- options

    def parameter(self, field: Field) -> tuple[str, str, str]:
        """Its type, its default, and the expression of the native value."""
        if field.enum is not None:
            enum, name = field.enum, self.member(field)
            return f"{self.type(enum.c)} | None", "None", f'_check.choice({self.table(enum)}, self.{name}, "{name}")'
        if field.kind == "range":
            least, most = field.range
            name = self.member(field)
            return "int | None", "0", f'0 if self.{name} is None else _check.integer(self.{name}, "{name}", {least}, {most})'
        kind, default, value = PARAMETERS[field.kind]
        return kind, default, value.format(self.member(field))

    def flat(self, record: Record) -> list[Field]:
        """The options, with those of structs among them."""
        fields: list[Field] = []
        for field in record.fields:
            if field.kind != "options":
                fields.append(field)
        for field in record.of("options"):
            fields += self.flat(self.api.records["bitnet_sampler_options"])
        return [field for field in fields if field.kind != "extra"]

    def statement(self, field: Field) -> list[str]:
        """What sets the native member."""
        name, value = self.member(field), self.parameter(field)[2]
        if field.kind in ("text", "template"):
            return [f"if self.{name} is not None:", f"    options.set_{field.c}({value})"]
        if field.kind == "texts":
            return [f"for text in {value}:", f"    options.add_{field.c}(text)"]
        if field.kind == "biases":
            return [f"for token, bias in {value}:", "    options.add_bias(token, bias)"]
        return [f"options.{field.c} = {value}"]

    def flags(self, record: Record) -> list[str]:
        flags = record.of("flag")
        lines = [f"options.{flags[0].c} = 0"] if flags else []
        for field in flags:
            lines += [f"if {self.parameter(field)[2]}:", f"    options.{field.c} |= _native.{field.bit}"]
        return lines

    def native(self, record: Record) -> list[str]:
        lines = ["    def native(self) -> Any:", f"        options = _native.{self.type(record.c)}()"]
        for field in record.fields:
            if field.kind not in ("progress", "log", "flag", "options", "extra"):
                lines += ["        " + line for line in self.statement(field)]
        lines += ["        " + line for line in self.flags(record)]
        for field in record.of("options"):
            given = self.api.records["bitnet_sampler_options"]
            made = f"        {field.c} = {self.arguments_name(given)}("
            lines += fold(made, [f"self.{self.member(field)}" for field in given.fields], ")", " " * len(made)).split("\n")
            lines.append(f"        options.set_{field.c}({field.c}.native())")
        return [*lines, "        return options"]

    def arguments_class(self, record: Record) -> str:
        what = self.sentence(record.c, record.doc, record).split(". ")[0].rstrip(".")
        lines = [f"\n\nclass {self.arguments_name(record)}(NamedTuple):",
                 f'    """{what}: what the functions that take these options are given."""\n']
        lines += [f"    {self.member(field)}: {self.parameter(field)[0]}" for field in self.flat(record)]
        lines += ["", *self.native(record)]
        return "\n".join(lines) + "\n"

    def arguments_name(self, record: Record) -> str:
        return self.type(record.c).replace("Options", "Arguments")

    def sampler_options(self) -> str:
        record = self.api.records["bitnet_sampler_options"]
        doc = self.sentence(record.c, record.doc, record) + " For those who keep them: Sampler(**options), " \
            "session.generate(prompt, **options)."
        lines = ["\n\nclass SamplerOptions(TypedDict, total=False):", self.docstring(doc, 4), ""]
        for field in record.fields:
            lines.append(f"    {self.member(field)}: {self.parameter(field)[0].replace(' | None', '')}")
            lines.append(self.docstring(self.of_field(field, record), 4))
        return "\n".join(lines) + "\n"

    # ----------------------------------------------------------- what is told

    def told(self, record: Record) -> str:
        name = self.type(record.c)
        lines = ["\n\n@dataclasses.dataclass(frozen=True)", f"class {name}:",
                 self.docstring(self.sentence(record.c, record.doc, record), 4), ""]
        for field in record.fields:
            hidden = " = dataclasses.field(repr=False)" if field.id in overlay.LONG_TEXTS else ""
            lines.append(f"    {self.member(field)}: {TOLD[field.kind][0]}{hidden}")
            lines.append(self.docstring(self.of_field(field, record), 4))
        lines += ["", "    @staticmethod", f"    def _of(native: Any) -> {name}:", f"        return {name}("]
        lines += [f"            {self.member(field)}={TOLD[field.kind][1].format(field.c)}," for field in record.fields]
        return "\n".join(lines) + "\n        )\n"

    # --------------------------------------------------------------- modules

    def arguments(self) -> dict[str, Arguments]:
        found = {}
        for record in self.api.records.values():
            if record.c.endswith("_options"):
                name = self.arguments_name(record)
                found[name] = Arguments(name, name, record, self.flat(record), {})
        for name, (of, fixed) in FIXED.items():
            whole = found[of]
            found[name] = Arguments(name, of, whole.record, [f for f in whole.fields if self.member(f) not in fixed], fixed)
        return found

    def options_module(self) -> str:
        parts = [HEAD]
        used = {field.enum.c for record in self.api.records.values() for field in record.fields if field.enum}
        choices = [enum for enum in self.api.enums.values() if enum.c in used or enum.c == "bitnet_logits_of"]
        parts += [self.choices(enum) for enum in choices]
        parts.append(self.levels(self.api.enums["bitnet_log_level"]))
        parts.append(self.reasons(self.api.enums["bitnet_finish"]))
        told = [record for record in self.api.records.values() if not record.c.endswith("_options")]
        parts += [self.told(record) for record in told]
        parts.append(self.sampler_options())
        options = [record for record in self.api.records.values() if record.c.endswith("_options")]
        parts += [self.arguments_class(record) for record in options]
        parts += [f"\n\n{name} = {arguments.made}\n" for name, arguments in self.arguments().items() if arguments.fixed]
        names = ["ChatTemplate", "Finish", "LEVELS", "Log", "Progress", "SamplerOptions", *self.arguments()]
        names += [name for enum in choices for name in (self.type(enum.c), self.table(enum))]
        names += [self.type(record.c) for record in told]
        parts.append("\n\n" + fold("__all__ = [", [f'"{name}"' for name in sorted(names)], "]", " " * 11) + "\n")
        return "".join(parts)

    def listing(self, arguments: Arguments, indent: str) -> str:
        """The options for a docstring. Those of the sampler are explained in one place."""
        own = [field for field in arguments.fields if field.struct == arguments.record.c]
        names = [self.label(field) for field in own]
        column = indent + " " * (max(map(len, names)) + 2)
        lines = []
        for field, name in zip(own, names):
            text = self.comment(field.id, field.doc, arguments.record, field)
            if field.enum is not None:
                values = (f"{self.link_value(value, field.enum, True)}, {self.comment(value.c, value.doc, field.enum)}"
                          for value in self.names(field.enum))
                zero = next(value for value in field.enum.values if value.number == 0)
                text += ": " + "; ".join(values)
                if zero not in self.names(field.enum):
                    text += f". None: {self.comment(zero.c, zero.doc, field.enum)}"
            lines.append(wrap(text, (indent + name).ljust(len(column)), column))
        return "\n".join(lines)

    def label(self, field: Field) -> str:
        return self.member(field) + {"progress": "(done, total)", "log": "(level, message)"}.get(field.kind, "")

    def expand(self, text: str, where: str) -> str:
        """A written module as it is in the package."""
        known = self.arguments()
        lines = text.split("\n")
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        for function in sorted(functions, key=lambda node: -node.lineno):
            for argument in function.args.kwonlyargs:
                kind = argument.annotation.id if isinstance(argument.annotation, ast.Name) else ""
                if kind in known:
                    self._expand_function(lines, function, argument.arg, known[kind])
        for number, line in enumerate(lines):
            match = re.fullmatch(r"( *)\{(\w+Arguments)\}", line)
            if match:
                if match[2] not in known:
                    raise Mistake(f"{where}:{number + 1}: there are no {match[2]}")
                lines[number] = self.listing(known[match[2]], match[1])
        note = f"# Made of bindings/python/bitnet/{where} and include/bitnet.h by bindings/generate; do not edit."
        return "\n".join([lines[0], note, *lines[1:]])

    def _expand_function(self, lines: list[str], function: ast.FunctionDef, name: str, arguments: Arguments) -> None:
        body = function.body[0]
        docstring = isinstance(body, ast.Expr) and isinstance(body.value, ast.Constant)
        start = body.end_lineno if docstring else body.lineno - 1
        indent = " " * body.col_offset
        values = [arguments.fixed.get(self.member(field), self.member(field)) for field in self.flat(arguments.record)]
        made = fold(f"{indent}{name} = {arguments.made}(", values, ")", indent + " " * len(f"{name} = {arguments.made}("))
        lines[start:start] = made.split("\n")
        first, last = function.lineno - 1, body.lineno - 1
        signature = " ".join(line.strip() for line in lines[first:last])
        head, _, rest = signature.partition("(")
        rest, _, tail = rest.rpartition(")")
        parameters = []
        for parameter in re.split(r", (?![^\[]*\])", rest):
            if parameter == f"{name}: {arguments.name}":
                kinds = [(self.member(field), *self.parameter(field)[:2]) for field in arguments.fields]
                parameters += [f"{member}: {kind} = {default}" for member, kind, default in kinds]
            else:
                parameters.append(parameter)
        indent = " " * function.col_offset
        lines[first:last] = fold(f"{indent}{head}(", parameters, f"){tail}", indent + " " * len(f"{head}(")).split("\n")

    def files(self) -> dict[str, str]:
        package = pathlib.Path(__file__).resolve().parent.parent / "python/bitnet"
        files = {path.name: self.expand(path.read_text(encoding="utf-8"), path.name) for path in package.glob("*.py")}
        return {"_options.py": self.options_module(), **files}
