# SPDX-License-Identifier: MIT
"""SWIG: of the structs of bitnet.h, what bitnet.i leaves out, for native.h has methods for it, and what nobody may set."""

from __future__ import annotations

import overlay
from header import Struct
from language import NOTE, Language

# Members that are numbers: all that SWIG shows of options.
NUMBERS = {"int", "uint32_t", "uint64_t", "float"}


class Swig(Language):
    name = "swig"

    def shown(self, struct: Struct) -> list[str]:
        if struct.c in overlay.BY_HAND:
            return [f"%ignore {struct.c};"]
        options = struct.c.endswith("_options")
        lines = []
        for member in struct.members:
            pointer = member.type not in NUMBERS | set(self.api.enums) | {"bitnet_token"}
            if pointer and (options or member.type == "size_t"):
                lines.append(f"%ignore {struct.c}::{member.name};")
            elif pointer:
                lines.append(f"%immutable {struct.c}::{member.name};")
        return lines

    def files(self) -> dict[str, str]:
        lines = ["// SPDX-License-Identifier: MIT", f"// {NOTE}"]
        for struct in self.api.structs.values():
            lines += self.shown(struct)
        return {"api.i": "\n".join(lines) + "\n"}
