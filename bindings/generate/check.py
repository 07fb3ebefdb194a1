# SPDX-License-Identifier: MIT
"""C that compiles only if the compiler sees bitnet.h as header.py has read it: the same values and members, and no more.
To be compiled with -Werror=switch -Werror=missing-field-initializers -Werror."""

from __future__ import annotations

import header
from header import Enum, Struct
from language import NOTE, Language


class Check(Language):
    name = "check"

    def enum(self, enum: Enum) -> list[str]:
        lines = [f'_Static_assert({value.c} == {value.number}, "{value.c}");' for value in enum.values]
        if enum.has_name:
            # No value is missing, or -Wswitch warns.
            cases = " ".join(f"case {value.c}:" for value in enum.values)
            lines += [f"int knows_{enum.c}({enum.c} value);",
                      f"int knows_{enum.c}({enum.c} value) {{ switch (value) {{ {cases} return 1; }} return 0; }}"]
        return lines

    def struct(self, struct: Struct) -> list[str]:
        copy = f"struct copy_of_{struct.c}"
        members = "".join("int (*{0.name})(void*); ".format(member) if member.type == "function"
                          else "{0.type} {0.name}; ".format(member) for member in struct.members)
        lines = [f"{copy} {{ {members}}};", f'_Static_assert(sizeof({copy}) == sizeof({struct.c}), "{struct.c}");']
        for member in struct.members:
            offsets = f"offsetof({copy}, {member.name}) == offsetof({struct.c}, {member.name})"
            types = f"_Generic(&(({struct.c}*)0)->{member.name}, __typeof__((({copy}*)0)->{member.name})*: 1)"
            lines.append(f'_Static_assert({offsets} && {types}, "{struct.c}.{member.name}");')
        # No member is missing, or -Wmissing-field-initializers warns.
        zeros = ", ".join("0" for _ in struct.members)
        lines += [f"extern const {struct.c} all_of_{struct.c};", f"const {struct.c} all_of_{struct.c} = {{{zeros}}};"]
        return lines

    def files(self) -> dict[str, str]:
        # As they are in C, before any language's own view of them.
        enums, structs = header.read(self.api.source)
        lines = ["/* SPDX-License-Identifier: MIT */", f"/* {NOTE} */", "#include <bitnet.h>"]
        for enum in enums.values():
            lines += self.enum(enum)
        for struct in structs.values():
            lines += self.struct(struct)
        return {"check.c": "\n".join(lines) + "\n"}
