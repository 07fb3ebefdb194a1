# SPDX-License-Identifier: MIT
"""Types of arguments."""

from __future__ import annotations

import os
from typing import Callable, Optional, Union

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
Progress = Callable[[int, int], Optional[bool]]
Log = Callable[[str, str], None]
ChatTemplate = Union[str, "os.PathLike[str]", "os.PathLike[bytes]"]
