# SPDX-License-Identifier: MIT
"""Runs 1.58-bit (ternary) language models on a CPU, inside your program.

    import bitnet

    with bitnet.Model("model.bitnet") as model:
        for text in model.session().generate("Once upon a time", max_tokens=100):
            print(text, end="", flush=True)

Objects may be used by any thread; calls to one object queue up, and the interpreter lock is released while they run. What is
closed stays closed: using it is an ArgumentError. Closing twice, or not at all, is no mistake.
"""

from . import _loading  # first, since all others need what it loads
from ._chat import Message
from ._conversation import Chat, ChatPrompt
from ._engine import Engine, Pool
from ._errors import (ArgumentError, BitnetError, BusyError, CancelledError, ContextError, FileError, FormatError,
                      InternalError, MismatchError, NotFoundError, OutOfMemoryError, UnsupportedError)
from ._files import chat_template_names, convert, cpu_features, isa_names, verify, verify_against, version
from ._model import Decoder, Model
from ._options import Finish, ModelInfo, Perf, SamplerOptions
from ._sampler import Sampler
from ._session import Cancel, Generation, Session, eval_batch

__version__ = version()
__all__ = [
    "ArgumentError", "BitnetError", "BusyError", "Cancel", "CancelledError", "Chat", "ChatPrompt", "ContextError",
    "Decoder", "Engine",
    "FileError", "Finish", "FormatError", "Generation", "InternalError", "Message", "MismatchError", "Model", "ModelInfo",
    "NotFoundError", "OutOfMemoryError", "Perf", "Pool", "Sampler", "SamplerOptions", "Session", "UnsupportedError",
    "chat_template_names", "convert", "cpu_features", "eval_batch", "isa_names", "verify", "verify_against", "version",
]
