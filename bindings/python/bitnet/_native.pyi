# SPDX-License-Identifier: MIT
# The generated module, of which type checkers need not know more.
from typing import Any

def __getattr__(name: str) -> Any: ...
